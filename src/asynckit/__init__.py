"""Structured-concurrency helpers on anyio: the same on asyncio, uvloop and trio.

All public names are here; the modules are private.
"""

from asynckit._advise import Advice, advise
from asynckit._deadline import Deadline, move_on_after, remaining, timeout, timeout_at, with_timeout
from asynckit._errors import ChildCancelledError
from asynckit._executors import SupportsSubmit, offload, run_in_executor
from asynckit._gather import gather
from asynckit._handle import Handle
from asynckit._idle import IdleTimeout, idle_timeout
from asynckit._iterate import OffloadedIterator, ThreadIterator, iterate_in_thread
from asynckit._keyed import KeyedLock
from asynckit._map import amap
from asynckit._offloaded import Offloaded
from asynckit._outcome import Failure, Outcome, Success
from asynckit._periodic import Tick, periodic
from asynckit._process_map import ProcessMap, process_map
from asynckit._processes import run_in_process, to_process
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
from asynckit._thread_pool import BusyThread, ThreadPool, ThreadPoolStatistics, default_thread_pool
from asynckit._threads import ThreadDecorator, run_in_thread, to_thread
from asynckit._version import __version__
from asynckit._worker_errors import NotPicklableError, RemoteError, WorkerCrashed
from asynckit._worker_pool import ProcessPool

__all__ = [
    "Advice",
    "Attempt",
    "Backoff",
    "BusyThread",
    "ChildCancelledError",
    "Deadline",
    "Failure",
    "Handle",
    "IdleTimeout",
    "KeyedLock",
    "NotPicklableError",
    "Offloaded",
    "OffloadedIterator",
    "Outcome",
    "ProcessMap",
    "ProcessPool",
    "Queue",
    "QueueClosed",
    "QueueEmpty",
    "QueueFull",
    "RateLimiter",
    "RateLimiterStatistics",
    "RemoteError",
    "Restart",
    "Retry",
    "Scope",
    "Shield",
    "Stream",
    "Success",
    "SupportsSubmit",
    "ThreadDecorator",
    "ThreadIterator",
    "ThreadPool",
    "ThreadPoolStatistics",
    "Tick",
    "Waited",
    "WorkerCrashed",
    "__version__",
    "advise",
    "amap",
    "as_completed",
    "default_thread_pool",
    "gather",
    "idle_timeout",
    "iterate_in_thread",
    "move_on_after",
    "offload",
    "open_scope",
    "periodic",
    "process_map",
    "produce_consume",
    "race",
    "remaining",
    "retry",
    "run",
    "run_in_executor",
    "run_in_process",
    "run_in_thread",
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
