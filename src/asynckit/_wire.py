"""Messages between a process and its workers: pickles, with what is large beside them, over a socket.

A message is a head, then the buffers, then the pickle. Large buffers, such as those of NumPy arrays, are not in the
pickle (PEP 574), and large `bytes` are written from, and read into, the place where they are, without a copy.
"""

from __future__ import annotations

import io
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

SMALL = 1 << 16
"""Bytes up to which a message is sent and received at once."""

_HUGE = 1 << 20
"""Bytes from which memory is taken as pages that cost nothing until they are used."""

_HEAD = struct.Struct("<QI")
"""How many bytes the pickle has, and how many buffers there are; the size of each follows."""

_SIZE = struct.Struct("<Q")

Message: TypeAlias = list[Any]
"""Bytes-like objects, to be sent one after the other."""


class _Sink:
    """What `pickle` takes for a file."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[Any], object]) -> None:
        self.write = write


def pack(value: object) -> Message:
    """Make a message.

    Raises:
        Exception: Whatever pickling raises.
    """
    stream: list[Any] = []
    buffers: list[memoryview] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes <= SMALL:
            return True
        buffers.append(view)
        return False

    # Straight to a sink, `pickle` gives it large bytes as they are.
    pickle.Pickler(_Sink(stream.append), 5, buffer_callback=keep_inside).dump(value)
    size = sum(map(len, stream))
    head = _HEAD.pack(size, len(buffers))
    if size <= SMALL and not buffers:
        return [b"".join((head, *stream))]
    return [head, *(_SIZE.pack(view.nbytes) for view in buffers), *buffers, *stream]


def send(sock: socket.socket, message: Message) -> None:
    """Send a message, waiting as long as it takes.

    Raises:
        Ended: The other side is gone.
    """
    try:
        for part in message:
            sock.sendall(part)
    except OSError as error:
        raise Ended from error


def receive_from(sock: socket.socket, begun: bytes) -> Any:
    """The next message, in a thread that may wait.

    Args:
        sock: The socket.
        begun: What has been read of the message already: its beginning, or all of it.

    Raises:
        Ended: There is none: the other side is gone.
        Exception: Whatever unpickling raises. The message has been read to its end.
    """
    if is_whole(begun):
        return value_of(begun)
    return _receive(io.BufferedReader(_Resumed(sock, begun), SMALL))


def is_whole(begun: bytes) -> bool:
    """Whether this is all of a message, with nothing beside its pickle."""
    if len(begun) < _HEAD.size:
        return False
    size, count = _HEAD.unpack_from(begun)
    return bool(count == 0 and len(begun) == _HEAD.size + size)


def value_of(whole: bytes) -> Any:
    """What a message holds of which that is all.

    Raises:
        Exception: Whatever unpickling raises.
    """
    return pickle.loads(memoryview(whole)[_HEAD.size :])  # noqa: S301  # from our own process


def _receive(source: io.BufferedReader) -> Any:
    size, count = _HEAD.unpack(_exactly(source, _HEAD.size))
    sizes = [_SIZE.unpack(_exactly(source, _SIZE.size))[0] for _ in range(count)]
    buffers = [_filled(source, each) for each in sizes]
    if size <= SMALL:
        return pickle.loads(_exactly(source, size), buffers=buffers)  # noqa: S301
    part = _Part(source, size)
    try:
        return pickle.Unpickler(part, buffers=buffers).load()  # noqa: S301
    finally:
        part.skip()


class Unreadable(Exception):  # noqa: N818  # only for those who know what was to be read
    """A message has been received and cannot be unpickled; what was raised is the cause."""


class Ended(Exception):  # noqa: N818  # no failure
    """The other side is gone.

    Attributes:
        status: The exit code it has told of before; None if it has not.
    """

    def __init__(self, status: int | None = None) -> None:
        super().__init__(status)
        self.status = status


class _Resumed(io.RawIOBase):
    """A socket as a file, of which the beginning has been read."""

    def __init__(self, sock: socket.socket, begun: bytes) -> None:
        self._sock = sock
        self._begun = memoryview(begun)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._begun:
            try:
                return self._sock.recv_into(into)
            except OSError as error:
                raise Ended from error
        count = min(len(into), len(self._begun))
        into[:count] = self._begun[:count]
        self._begun = self._begun[count:]
        return count


class _Part:
    """So many bytes of a file, as one of its own."""

    def __init__(self, source: io.BufferedReader, size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int = -1) -> bytes:
        return self._took(self._source.read(self._left if size < 0 else min(size, self._left)))

    def readline(self) -> bytes:
        return self._took(self._source.readline(self._left))

    def readinto(self, into: Any) -> int:
        count = self._source.readinto(into[: self._left])
        self._left -= count
        return count

    def skip(self) -> None:
        """Read what is left and drop it."""
        while self._left and self.read(min(self._left, SMALL)):
            pass

    def _took(self, data: bytes) -> bytes:
        self._left -= len(data)
        return data


def _exactly(source: io.BufferedReader, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise Ended
    return data


def _filled(source: io.BufferedReader, size: int) -> Any:
    """A buffer that can be written to, as large as what is read into it."""
    buffer: Any
    if size < _HUGE:
        buffer = bytearray(size)
    else:
        import mmap

        buffer = mmap.mmap(-1, size)
    if source.readinto(buffer) < size:
        raise Ended
    return buffer
