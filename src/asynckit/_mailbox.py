"""Calls into an event loop from other threads; many of them cost one wake-up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anyio.abc import AsyncBackend
from anyio.lowlevel import EventLoopToken, current_token

from asynckit._call_back import event_loop_token
from asynckit._native import native_task

if TYPE_CHECKING:
    import asyncio


class Mailbox:
    """Takes calls in any thread, and makes them in the thread of an event loop, in the order they came.

    Waking an event loop is a system call, and costs more than what there is to do there as a rule. So it is woken for
    the first call only, and makes with it all that have come until it is awake.

    Attributes:
        backend: What anyio has for its kind.
        token: What threads call back by, if it is of asyncio.
    """

    __slots__ = ("_calls", "_loop", "_post", "_woken", "backend", "token")

    def __init__(self, loop: Any, post: Callable[[Callable[[], None]], object]) -> None:
        """Serve an event loop.

        Args:
            loop: It, to be told from others.
            post: How to have it call something.
        """
        token = current_token()
        self.backend: type[AsyncBackend] = token.backend_class
        self.token: EventLoopToken = event_loop_token(token)
        self._loop = loop
        self._post = post
        self._calls: deque[Callable[[], object]] = deque()
        self._woken = False

    def put(self, call: Callable[[], object]) -> None:
        """Have something called in the event loop; nothing happens if that has ended.

        Args:
            call: It must not raise.
        """
        self._calls.append(call)
        if not self._woken:
            self._woken = True
            try:
                self._post(self._empty)
            except RuntimeError:  # of asyncio and of trio: it is closed, or has ended
                self._calls.clear()
                self._woken = False

    def future(self) -> asyncio.Future[None]:
        """A new future of the event loop, which must be of asyncio."""
        future: asyncio.Future[None] = self._loop.create_future()
        return future

    def serves(self, loop: object) -> bool:
        """Whether this is the mailbox of that event loop."""
        return self._loop is loop

    def _empty(self) -> None:
        self._woken = False  # first, so that a call that comes too late for this turn makes for another
        calls = self._calls
        while calls:
            calls.popleft()()


class _Here(threading.local):
    mailbox: Mailbox | None = None


_here = _Here()


def current_mailbox() -> Mailbox:
    """The mailbox of the event loop that runs in this thread."""
    mailbox = _here.mailbox
    task = native_task()
    if task is not None:
        loop = task.get_loop()
        if mailbox is None or not mailbox.serves(loop):
            mailbox = _here.mailbox = Mailbox(loop, loop.call_soon_threadsafe)
    else:
        import trio

        token = trio.lowlevel.current_trio_token()
        if mailbox is None or not mailbox.serves(token):
            mailbox = _here.mailbox = Mailbox(token, token.run_sync_soon)
    return mailbox
