"""Advice where to run a function."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asynckit import Advice, advise, to_thread
from asynckit._advise import Figures, decided
from asynckit._cli import main
from support import work

COMPUTES = Figures(runs=3, wall=1.0, cpu=1.0, speedup=1.0, pickled_bytes=10, pickle_time=0.001, processors=2)


@pytest.mark.parametrize(
    ("figures", "calls", "place", "reason"),
    [
        (replace(COMPUTES, wall=1e-6, cpu=1e-6), 1, "loop", "it takes 1 µs, which is too short"),
        (replace(COMPUTES, cpu=0.02), 1, "thread", "it waits: only 2% of its time"),
        (replace(COMPUTES, cpu=0.02), 10**6, "thread", "it waits"),
        (COMPUTES, 1, "process", "it computes (100% of its time is on the processor) and holds the GIL"),
        (replace(COMPUTES, speedup=1.9), 1, "thread", "releases the GIL: two threads are 1.90x as fast"),
        (replace(COMPUTES, gil=False), 1, "thread", "this Python has no GIL"),
        (replace(COMPUTES, speedup=0.9, gil_held=0.9), 1, "process", "holds the GIL"),
        (replace(COMPUTES, speedup=0.9, gil_held=0.02), 1, "thread", "it holds it only 2% of the time"),
        (replace(COMPUTES, speedup=None, processors=1), 1, "process", "holds the GIL"),
        (
            replace(COMPUTES, pickle_time=None, pickled_bytes=None, unpicklable="TypeError: no"),
            1,
            "thread",
            "a process cannot be given it: TypeError: no",
        ),
        (replace(COMPUTES, pickle_time=0.7), 1, "thread", "would not pay: 700 ms of pickling for 1 s of work"),
        (COMPUTES, 2000, "cluster", "2000 calls would keep all processors here busy for 1,000 s"),
        (replace(COMPUTES, pickle_time=0.7), 2000, "thread", "would not pay"),
    ],
)
def test_the_figures_decide(figures: Figures, calls: int, place: str, reason: str) -> None:
    decision = decided(figures, calls)
    assert decision[0] == place
    assert reason in decision[1]


def test_what_waits_goes_to_a_thread() -> None:
    advice = advise(time.sleep, 0.1)
    assert advice.place == "thread"
    assert advice.wall >= 0.1
    assert advice.cpu < 0.05
    assert advice.runs == 3


# Slow enough to be measured, whatever else the machine does: what other programs take away is not counted on Linux.
on_linux = pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="nobody says how busy others are"
)


# Real figures are those of the machine, and on a busy one they are not always what is expected.
on_a_quiet_machine = pytest.mark.thorough


def measured(func: Callable[..., object], *args: object, expected: str, calls: int = 1) -> Advice:
    """What `advise` says of a real function, which other tests that run at the same time may have disturbed."""
    for _ in range(20):
        advice = advise(func, *args, calls=calls)
        if expected in f"{advice.place}: {advice.reason}":
            break
    return advice


@on_linux
@on_a_quiet_machine
@pytest.mark.parametrize("items", [60_000, 600_000])  # shorter and longer than Python lets a thread keep its lock
def test_what_computes_goes_to_a_process(items: int) -> None:
    advice = measured(work.sum_of_squares, items, expected="holds the GIL")
    assert (advice.place, "holds the GIL" in advice.reason) == ("process", True)
    assert advice.gil_held is not None
    assert advice.gil_held > 0.25
    assert advice.cpu > 0.5 * advice.wall


@on_linux
@on_a_quiet_machine
def test_what_computes_very_often_goes_to_a_cluster() -> None:
    assert measured(work.sum_of_squares, 60_000, calls=10**8, expected="cluster").place == "cluster"


@on_linux
@on_a_quiet_machine
@pytest.mark.parametrize("release", [zlib.crc32, work.digest])
def test_what_releases_the_lock_goes_to_a_thread(release: Callable[[bytes], object]) -> None:
    advice = measured(release, bytes(40_000_000), expected="releases the GIL")
    assert advice.place == "thread"
    assert advice.cpu > 0.5 * advice.wall
    assert "releases the GIL" in advice.reason


@on_a_quiet_machine
def test_what_is_quicker_than_the_way_of_its_argument_stays_here() -> None:
    advice = measured(sum, list(range(1_000_000)), expected="would not pay")
    assert advice.place == "thread"
    assert "a process would not pay" in advice.reason


def test_what_is_short_stays_on_the_loop() -> None:
    advice = advise(len, "abc")
    assert (advice.place, advice.speedup) == ("loop", None)


def test_what_it_does_is_measured() -> None:
    data = bytes(3_000_000)
    advice = advise(hashlib.sha256, data)
    assert advice.pickled_bytes is None
    assert advice.unpicklable is not None
    assert "HASH" in advice.unpicklable
    assert advice.cpu > 0
    advice = advise(bytes.upper, data)
    assert advice.pickled_bytes is not None
    assert advice.pickled_bytes > 6_000_000


def test_a_local_function_cannot_be_sent_to_a_process() -> None:
    def local() -> None: ...

    assert "is not at the top level of a module" in str(advise(local).unpicklable)


def test_what_a_bound_method_belongs_to_is_sent_too() -> None:
    assert (advise([bytes(1_000_000)].count, b"").pickled_bytes or 0) > 1_000_000


def test_arguments_that_cannot_be_pickled_are_told() -> None:
    assert "cannot pickle '_thread.lock' object" in str(advise(repr, threading.Lock()).unpicklable)


def test_the_original_of_a_decorated_function_is_measured() -> None:
    assert advise(to_thread(len), "abc").function == "len"


def test_the_report_shows_the_figures() -> None:
    report = str(advise(len, "abc"))
    assert report.startswith("len: loop\n  it takes ")
    for row in ("wall time", "CPU time", "two threads", "pickling", "GIL", "processors", "calls"):
        assert re.search(rf"^  {row} +\S", report, re.M)


def test_what_cannot_be_measured_is_refused() -> None:
    async def already_async() -> None: ...

    with pytest.raises(TypeError, match="is async already"):
        advise(already_async)
    with pytest.raises(ValueError, match="`calls` must be a whole number of 1 or more, not 0"):
        advise(len, "", calls=0)
    with pytest.raises(ZeroDivisionError) as caught:
        advise(divmod, 1, 0)
    assert "give arguments with which it succeeds" in caught.value.__notes__[0]


def test_the_command_advises(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", "builtins:len", "--args", json.dumps(["abc"])]) == 0
    assert capsys.readouterr().out.startswith("len: loop\n")


def test_the_command_says_why_a_process_is_out_of_the_question(capsys: pytest.CaptureFixture[str]) -> None:
    """No failure: for a thread nothing needs to be pickled."""
    assert main(["advise", "threading:Lock"]) == 0
    assert re.search(r"pickling +not possible: TypeError: cannot pickle '_thread.lock' object", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["math"], "name the function as `module:function`, not 'math'"),
        (["no_such_module:function"], "No module named 'no_such_module'; This came from importing"),
        (["broken_module:function"], "RuntimeError: on import; This came from importing `broken_module`"),
        (["math:nope"], "`math` has no `nope`"),
        (["math:pi"], "`advise` decorates a function, not 3.14"),
        (["asyncio:sleep", "--args", "[0]"], "is async already"),
        (["math:sqrt", "--args", "[-1]"], "ValueError: "),
        (["math:sqrt", "--args", "1"], "must be a JSON array of all arguments: '[1]'"),
        (["math:sqrt", "--args", "["], "must be a JSON array, such as"),
        (["math:sqrt", "--args", "[1]", "--calls", "0"], "`calls` must be"),
    ],
)
def test_the_command_explains_what_is_wrong(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('on import')")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["advise", *arguments]) == 2
    shown: Any = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
