"""What all the decorators give that move a function off the event loop."""

from __future__ import annotations

import inspect
import multiprocessing
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from asynckit import Offloaded, ProcessPool, run_in_process, to_process, to_thread
from support import work

DECORATED: dict[str, Callable[..., Any]] = {
    "to_thread": work.in_thread,
    "to_process": work.in_process,
    "offload": work.in_executor,
    "method": work.Box(1).plus,
    "static method": work.Box.static,
    "class method": work.Box.of_class,
}

every_kind = pytest.mark.parametrize("decorated", DECORATED.values(), ids=DECORATED)


@every_kind
def test_it_is_pickled_by_its_name_though_that_leads_to_what_decorates_it(decorated: Any) -> None:
    copy = pickle.loads(pickle.dumps(decorated))
    assert work.plainly(copy, 1) == work.plainly(decorated, 1) == 2


def test_a_function_travels_as_the_same_object() -> None:
    assert pickle.loads(pickle.dumps(work.in_thread)) is work.in_thread
    assert pickle.loads(pickle.dumps(work.numbers)) is work.numbers
    assert pickle.loads(pickle.dumps(work.Box.plus)) is work.Box.plus


@every_kind
@pytest.mark.anyio
async def test_it_travels_to_a_worker(decorated: Any) -> None:
    async with ProcessPool(1) as pool:
        assert await run_in_process(work.plainly, decorated, 1, pool=pool) == 2
        assert await run_in_process(work.drawn, work.numbers, 3, pool=pool) == [0, 1, 2]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_it_travels_to_the_standard_pools_of_processes(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(work.plainly, DECORATED.values(), [1] * len(DECORATED))) == [2] * len(DECORATED)


def test_what_has_no_name_cannot_travel() -> None:
    @to_thread
    def local() -> None: ...

    with pytest.raises(TypeError, match=r"`.*local` cannot be pickled, .*; define it with `def` at the top level"):
        pickle.dumps(local)


def test_a_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(pickle.PicklingError, match="not the same object"):
        pickle.dumps(to_process(work.increment))


def test_the_original_of_a_method_is_bound_as_the_method_is() -> None:
    assert work.Box(1).plus.sync(1) == work.Box.plus.sync(work.Box(1), 1) == 2
    assert work.Box.static.sync(1) == work.Box(1).static.sync(1) == 2
    of_class: Any = work.Box.of_class
    assert of_class.sync(*[work.Box] * (sys.version_info >= (3, 13)), 1) == 2


def test_a_bound_method_looks_like_the_original() -> None:
    method = work.Box(1).plus
    assert isinstance(method, Offloaded)
    assert (method.__name__, method.__qualname__) == ("plus", "Box.plus")
    assert list(inspect.signature(method).parameters) == ["number"]
    assert list(inspect.signature(work.Box.plus).parameters) == ["self", "number"]
