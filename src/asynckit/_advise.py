"""Where a synchronous function should run, measured instead of guessed."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVarTuple

from asynckit._offloaded import Offloaded, check_is_sync

Ts = TypeVarTuple("Ts")

_ENOUGH = 0.2
"""Seconds of runs after which there are enough of them."""
_MOST_RUNS = 100
_FEWEST_RUNS = 3
"""A single run may be one that other programs held up; fewer only if they take longer than `_PATIENCE` seconds."""
_PATIENCE = 2.0
_PAIRS = 3
"""Pairs of threads; the best counts, as other programs can only make them slower."""
_SHORT = 0.001
"""Seconds up to which a call may stay on the event loop; handing it over costs a good part of that."""
_COMPUTES = 0.5
"""From which share of its time on the processor a function counts as computing."""
_OVERLAPS = 1.5
"""From which speed-up of two threads the lock counts as released; 1 is none, 2 is all there can be."""
_PICKLES = 0.5
"""From which share of the call its pickling makes a process no gain."""
_LONG = 600.0
"""Seconds of work for all processors of this machine from which it is for several machines."""
_HELD = 0.25
"""From which share of the time the lock counts as held."""
_OVERLAP = 0.05
"""Seconds for which two threads run at once at least: several times as long as one may keep the lock."""
_MOMENT = 0.0005
"""Seconds between two looks at the lock."""
_SCHEDSTAT = Path("/proc/thread-self/schedstat")
"""On Linux: nanoseconds on a processor, nanoseconds of waiting for one, and how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Where a function should run, and the figures that say so.

    Attributes:
        function: Its name.
        place: `loop`: call it as it is; `thread`: `to_thread`; `process`: `to_process`; `cluster`: `offload`.
        reason: Why there, in a sentence.
        runs: How often it was run alone; the figures are those of the shortest run.
        wall: Seconds that a run took; on Linux without those in which others had the processor that it could have used.
        cpu: Seconds of processor time that the process used meanwhile, all threads together.
        speedup: Of two threads that run it at once, against one after the other: 2 if they do not hinder each other, 1
            if they take turns, less if no second processor was free; `None` if the function is too short to tell.
        gil_held: For which share of its time on the processor it made another thread wait that wanted the interpreter
            lock, 0 to 1; `None` if the function is too short to tell, or only waits.
        pickled_bytes: The size of function, arguments and result, pickled; `None` if they cannot be.
        pickle_time: Seconds to pickle and unpickle them; `None` if they cannot be.
        unpicklable: What pickle said, if it failed.
        gil: Whether this Python has its global interpreter lock on (PEP 703).
        processors: How many this process may use.
        calls: How many calls are planned.
    """

    function: str
    place: Literal["loop", "thread", "process", "cluster"]
    reason: str
    runs: int
    wall: float
    cpu: float
    speedup: float | None
    gil_held: float | None
    pickled_bytes: int | None
    pickle_time: float | None
    unpicklable: str | None
    gil: bool
    processors: int
    calls: int

    def __str__(self) -> str:
        """A report of several lines."""
        speedup = "not measured" if self.speedup is None else f"{self.speedup:.2f}x as fast as one after the other"
        pickled = f"not possible: {self.unpicklable}"
        if self.pickle_time is not None:
            pickled = f"{self.pickled_bytes:,} bytes in {_shown(self.pickle_time)}"
        rows = {
            "wall time": f"{_shown(self.wall)}, the shortest of {self.runs} run{'s' * (self.runs != 1)}",
            "CPU time": _shown(self.cpu),
            "two threads": speedup,
            "pickling": pickled,
            "GIL": ("on" if self.gil else "off")
            + ("" if self.gil_held is None else f", held {self.gil_held:.0%} of the time"),
            "processors": str(self.processors),
            "calls": str(self.calls),
        }
        lines = [f"{self.function}: {self.place}", f"  {self.reason}"]
        return "\n".join([*lines, *(f"  {name:<12}{value}" for name, value in rows.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured; named as in `Advice`."""

    runs: int
    wall: float
    cpu: float
    speedup: float | None = None
    gil_held: float | None = None
    pickled_bytes: int | None = None
    pickle_time: float | None = None
    unpicklable: str | None = None
    gil: bool = True
    processors: int = 1


def advise(func: Callable[[*Ts], object], /, *args: *Ts, calls: int = 1) -> Advice:
    """Measure a synchronous function, and say where an async program should run it.

    It is run several times (until 0.2 s have gone by, 3 to 100 times, fewer if it takes seconds), and if that takes
    longer than 1 ms, some more in two threads at once: it must bear that. It blocks meanwhile, so it is not for a
    running event loop, and other threads of the process falsify the figures. Other programs do so too, but hardly on
    Linux, which tells how long they had the processor.

    Args:
        func: A synchronous function, or a decorated one, of which the original is measured.
        args: Arguments that are typical of its calls.
        calls: How many calls are planned; a lot of work for this machine is work for a cluster.

    Returns:
        The advice, with its figures and its reason; print it for a report.

    Raises:
        TypeError: The function is async, or not a function.
        ValueError: `calls` is not a whole number of 1 or more.
        BaseException: What the function raised, with a note.

    Example:
        >>> from asynckit import advise
        >>> advise(len, "abc").place
        'loop'
    """
    original: Callable[..., object] = func.sync if isinstance(func, Offloaded) else func
    check_is_sync(original, "advise")
    if calls < 1:
        raise ValueError(f"`calls` must be a whole number of 1 or more, not {calls!r}")
    figures = _measured(original, args, sent=args if isinstance(func, Offloaded) else (original, args))
    place, reason = decided(figures, calls)
    return Advice(
        function=getattr(original, "__qualname__", repr(original)),
        place=place,
        reason=reason,
        calls=calls,
        **{name: getattr(figures, name) for name in Figures.__slots__},
    )


def decided(figures: Figures, calls: int) -> tuple[Literal["loop", "thread", "process", "cluster"], str]:
    """The place, and the reason for it."""
    if figures.wall < _SHORT:
        return "loop", f"it takes {_shown(figures.wall)}, which is too short to be worth handing over"
    share = figures.cpu / figures.wall
    if share < _COMPUTES:
        return "thread", f"it waits: only {share:.0%} of its time is on the processor"
    computes = f"it computes ({share:.0%} of its time is on the processor)"
    work = figures.wall * calls / figures.processors
    if work >= _LONG and figures.pickle_time is not None and figures.pickle_time < _PICKLES * figures.wall:
        return "cluster", f"{computes}, and {calls} calls would keep all processors here busy for {_shown(work)}"
    if not figures.gil:
        return "thread", f"{computes}, and this Python has no GIL: threads compute at the same time"
    released = figures.gil_held is not None and figures.gil_held < _HELD
    if released or (figures.speedup is not None and figures.speedup >= _OVERLAPS):
        return "thread", f"{computes} and releases the GIL: {_overlap(figures)}"
    if figures.pickle_time is None:
        return "thread", f"{computes} and holds the GIL, but a process cannot be given it: {figures.unpicklable}"
    if figures.pickle_time >= _PICKLES * figures.wall:
        took = f"{_shown(figures.pickle_time)} of pickling for {_shown(figures.wall)} of work"
        return "thread", f"{computes}, but a process would not pay: {took}"
    return "process", f"{computes} and holds the GIL"


def _overlap(figures: Figures) -> str:
    if figures.speedup is not None and figures.speedup >= _OVERLAPS:
        return f"two threads are {figures.speedup:.2f}x as fast"
    return f"it holds it only {figures.gil_held or 0:.0%} of the time"


def _measured(func: Callable[..., object], args: tuple[Any, ...], *, sent: object) -> Figures:
    """Figures of a call; `sent` is what a process would be sent for it."""
    processors = _processors()
    try:
        walls: list[tuple[float, float]] = []
        while _more_runs(len(walls), sum(wall for wall, _ in walls)):
            around, held_up = time.perf_counter(), _held_up()
            wall, cpu = time.perf_counter(), time.process_time()
            result = func(*args)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            held_up, around = _held_up() - held_up, time.perf_counter() - around
            # What held it up may have done so right before or after the run, so what is around the run is told of too.
            walls.append((max(around - held_up, cpu) if wall >= _SHORT and held_up else wall, cpu))
        wall, cpu = min(walls)
        speedup = 2 * wall / min(_pairs(func, args, wall)) if wall >= _SHORT else None
        # The least of some: this thread may have been held up just when it had the lock, for once.
        looks = _PAIRS if wall >= _SHORT and cpu >= _COMPUTES * wall else 0
        gil_held = min((_gil_held(func, args) for _ in range(looks)), default=None)
    except BaseException as error:
        error.add_note("The function raised this while it was measured; give arguments with which it succeeds")
        raise
    size, seconds, unpicklable = _pickled(func, sent, result)
    return Figures(
        runs=len(walls),
        wall=wall,
        cpu=cpu,
        speedup=speedup,
        gil_held=gil_held,
        pickled_bytes=size,
        pickle_time=seconds,
        unpicklable=unpicklable,
        gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
        processors=processors,
    )


def _more_runs(runs: int, seconds: float) -> bool:
    if runs < _FEWEST_RUNS:
        return runs == 0 or seconds < _PATIENCE
    return runs < _MOST_RUNS and seconds < _ENOUGH


def _pairs(func: Callable[..., object], args: tuple[Any, ...], wall: float) -> list[float]:
    """Seconds that a run takes while another thread runs it too, measured a few times."""
    pairs: list[float] = []
    times = max(1, math.ceil(_OVERLAP / wall))
    while len(pairs) < _PAIRS and sum(pairs) * times < _PATIENCE:
        pairs.append(_two_at_once(func, args, times))
    return pairs


def _two_at_once(func: Callable[..., object], args: tuple[Any, ...], times: int) -> float:
    """Seconds that a run takes in the slower of two threads, which both go on until both have run it so often.

    A thread gives up the lock a few milliseconds after it was asked to, so one that ran a short function once would be
    through before the other began.
    """
    from concurrent.futures import ThreadPoolExecutor

    ready = threading.Barrier(2)
    through: list[None] = []

    def run() -> float:
        ready.wait()
        begun = time.perf_counter()
        for _ in range(times):
            func(*args)
        took = time.perf_counter() - begun
        through.append(None)
        while len(through) < 2:
            func(*args)
        return took / times

    with ThreadPoolExecutor(2) as pool:
        return max(each.result() for each in [pool.submit(run) for _ in range(2)])


def _gil_held(func: Callable[..., object], args: tuple[Any, ...]) -> float:
    """For which share of its time on the processor a function makes others wait for the lock.

    Another thread looks for it every now and then: what it is late by, and was not held up, it has waited for the lock.
    """
    from concurrent.futures import ThreadPoolExecutor

    over, begun = threading.Event(), threading.Event()

    def look() -> float:
        waited = 0.0
        begun.set()
        while not over.is_set():
            held_up, asleep = _held_up(), time.perf_counter()
            time.sleep(_MOMENT)
            late = time.perf_counter() - asleep - _MOMENT
            late -= _held_up() - held_up
            waited += late if late > sys.getswitchinterval() / 2 else 0
        return waited

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        begun.wait()
        until, cpu = time.perf_counter() + _PATIENCE, time.thread_time()
        try:
            while time.thread_time() < cpu + _OVERLAP and time.perf_counter() < until:
                func(*args)
        finally:
            over.set()
        cpu = time.thread_time() - cpu
        return min(1.0, looking.result() / cpu) if cpu else 0.0


def _held_up() -> float:
    """Seconds for which this thread could have run and had no processor, since it began; 0 where nobody counts them."""
    try:
        return int(_SCHEDSTAT.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _pickled(func: Callable[..., object], sent: object, result: object) -> tuple[int | None, float | None, str | None]:
    """Bytes and seconds of what a process would be sent and send back, or what pickle says against it."""
    import pickle

    name = getattr(func, "__qualname__", "")
    if "<" in name:
        return None, None, f"`{name}` is not at the top level of a module"
    try:
        begun = time.perf_counter()
        data = [pickle.dumps(each, pickle.HIGHEST_PROTOCOL) for each in (sent, result)]
        for each in data:
            pickle.loads(each)  # noqa: S301  # made two lines above
        return sum(map(len, data)), time.perf_counter() - begun, None
    except Exception as error:  # noqa: BLE001  # classes raise what they like in their methods for pickle
        return None, None, f"{type(error).__name__}: {error}"


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 else f"{seconds:,.0f} s"
    return f"{seconds * 1e9:.3g} ns"
