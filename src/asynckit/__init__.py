"""Structured-concurrency helpers on anyio: the same on asyncio, uvloop and trio.

All public names are here; the modules are private.
"""

from asynckit._deadline import Deadline, move_on_after, remaining, timeout, timeout_at, with_timeout
from asynckit._errors import ChildCancelledError
from asynckit._gather import gather
from asynckit._handle import Handle
from asynckit._idle import IdleTimeout, idle_timeout
from asynckit._keyed import KeyedLock
from asynckit._map import amap
from asynckit._offload import Offloaded, to_process, to_thread
from asynckit._outcome import Failure, Outcome, Success
from asynckit._periodic import Tick, periodic
from asynckit._produce import produce_consume
from asynckit._queue import Queue, QueueClosed, QueueEmpty, QueueFull
from asynckit._race import Waited, as_completed, race, wait
from asynckit._rate import RateLimiter, RateLimiterStatistics
from asynckit._retry import Attempt, Backoff, Retry, retry
from asynckit._run import run
from asynckit._scope import Scope, open_scope
from asynckit._shield import Shield, shield
from asynckit._stream import Stream, stream, stream_outcomes
from asynckit._supervise import Restart, supervise
from asynckit._version import __version__

__all__ = [
    "Attempt",
    "Backoff",
    "ChildCancelledError",
    "Deadline",
    "Failure",
    "Handle",
    "IdleTimeout",
    "KeyedLock",
    "Offloaded",
    "Outcome",
    "Queue",
    "QueueClosed",
    "QueueEmpty",
    "QueueFull",
    "RateLimiter",
    "RateLimiterStatistics",
    "Restart",
    "Retry",
    "Scope",
    "Shield",
    "Stream",
    "Success",
    "Tick",
    "Waited",
    "__version__",
    "amap",
    "as_completed",
    "gather",
    "idle_timeout",
    "move_on_after",
    "open_scope",
    "periodic",
    "produce_consume",
    "race",
    "remaining",
    "retry",
    "run",
    "shield",
    "stream",
    "stream_outcomes",
    "supervise",
    "timeout",
    "timeout_at",
    "to_process",
    "to_thread",
    "wait",
    "with_timeout",
]
