"""What can go wrong with a call in a worker process, besides what the function itself raises."""

from __future__ import annotations

import signal


class WorkerCrashed(RuntimeError):  # noqa: N818  # it says what happened, as `QueueFull` does
    """The worker process ended before the call did: by a signal, or because the function ended it.

    Only this call is lost; the next gets another worker.

    Attributes:
        exit_code: What the process ended with, if it ended itself; else None.
        signal: The signal that killed it, if one did; else None.
    """

    def __init__(self, call: str, status: int) -> None:
        """Tell how it ended.

        Args:
            call: What ran.
            status: As `subprocess.Popen.returncode`: the exit code, or the negative number of a signal.
        """
        super().__init__(call, status)
        self._call = call
        self.exit_code: int | None = status if status >= 0 else None
        self.signal: int | None = -status if status < 0 else None

    def __str__(self) -> str:
        if self.signal is None:
            return f"the worker process of {self._call} ended with exit code {self.exit_code}"
        hint = ", perhaps for want of memory" if self.signal == signal.SIGKILL else ""
        try:
            name = signal.Signals(self.signal).name
        except ValueError:  # a real-time signal has a number only
            name = f"signal {self.signal}"
        return f"the worker process of {self._call} was killed by {name}{hint}"


class NotPicklableError(TypeError):
    """Something cannot travel between processes: a function, its arguments or its result."""


class RemoteError(Exception):
    """An exception as its worker process told of it, in words: its type, its message, its traceback there.

    It is the cause of every exception that comes from a worker, and takes the place of those that cannot be pickled.

    Attributes:
        summary: Type and message.
        traceback: The traceback, as Python prints it.
    """

    def __init__(self, summary: str, traceback: str) -> None:
        super().__init__(summary, traceback)
        self.summary = summary
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.summary}\n\nin a worker process:\n{self.traceback}"
