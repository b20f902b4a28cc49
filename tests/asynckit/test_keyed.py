"""A lock for each key."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asynckit._keyed import KeyedLock
from support.points import Points, every_point

pytestmark = pytest.mark.anyio


async def test_one_at_a_time_for_each_key_and_keys_side_by_side() -> None:
    locks = KeyedLock()
    held: set[str] = set()
    most = 0

    async def work(key: str) -> None:
        nonlocal most
        async with locks(key):
            assert key not in held
            held.add(key)
            most = max(most, len(held))
            for _ in range(3):
                await checkpoint()
            held.remove(key)

    async with anyio.create_task_group() as group:
        for number in range(60):
            group.start_soon(work, "abc"[number % 3])
    assert most == 3
    assert len(locks) == 0


async def test_a_key_is_there_only_while_somebody_holds_it_or_waits() -> None:
    locks = KeyedLock()
    gate = anyio.Event()

    async def work(key: int) -> None:
        async with locks(key):
            await gate.wait()

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(work, number % 10)
        await anyio.wait_all_tasks_blocked()
        assert len(locks) == 10
        assert repr(locks) == "<KeyedLock, 10 keys in use>"
        assert locks.locked(0)
        gate.set()
    assert len(locks) == 0
    assert not locks.locked(0)
    assert locks


async def test_tasks_get_it_in_the_order_they_asked() -> None:
    locks = KeyedLock()
    log = []

    async def work(number: int) -> None:
        async with locks("key"):
            log.append(number)
            await checkpoint()

    async with anyio.create_task_group() as group:
        await locks.acquire("key")
        for number in range(20):
            group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
        locks.release("key")
    assert log == list(range(20))


async def test_equal_keys_are_one_key() -> None:
    locks = KeyedLock()
    await locks.acquire((1, "a"))
    assert locks.locked((1.0, "a"))
    locks.release((True, "a"))
    assert len(locks) == 0


async def test_a_lock_of_a_key_can_be_entered_again() -> None:
    locks = KeyedLock()
    lock = locks("key")
    for _ in range(2):
        async with lock:
            assert repr(lock) == "<KeyLock of 'key', locked>"
        assert repr(lock) == "<KeyLock of 'key', unlocked>"
        assert len(locks) == 0


async def test_it_is_released_whatever_the_block_raises() -> None:
    locks = KeyedLock()
    with pytest.raises(LookupError):
        async with locks("key"):
            raise LookupError
    assert len(locks) == 0


async def test_acquire_nowait() -> None:
    locks = KeyedLock()
    locks.acquire_nowait("key")
    with pytest.raises(RuntimeError, match="holds the lock of 'key' already"):
        locks.acquire_nowait("key")

    async def other() -> None:
        locks.acquire_nowait("other")
        with pytest.raises(anyio.WouldBlock):
            locks.acquire_nowait("key")
        locks.release("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
    assert len(locks) == 1
    locks.release("key")
    assert len(locks) == 0


async def test_entering_it_twice_is_told_and_changes_nothing() -> None:
    locks = KeyedLock()
    async with locks("key"):
        with pytest.raises(RuntimeError, match="holds the lock of 'key' already, and would wait for itself"):
            await locks.acquire("key")
        assert len(locks) == 1
    assert len(locks) == 0


async def test_another_task_cannot_release_it() -> None:
    locks = KeyedLock()

    async def other() -> None:
        with pytest.raises(RuntimeError, match=r"the lock of 'key' cannot be released here: task .* holds it"):
            locks.release("key")

    async with locks("key"), anyio.create_task_group() as group:
        group.start_soon(other)
    with pytest.raises(RuntimeError, match="the lock of 'key' cannot be released: no task holds it"):
        locks.release("key")


async def test_a_key_must_be_hashable() -> None:
    locks = KeyedLock()
    key: Any = []
    with pytest.raises(TypeError, match="unhashable"):
        locks(key)
    with pytest.raises(TypeError, match="unhashable"):
        await locks.acquire(key)
    assert len(locks) == 0


async def test_who_gives_up_makes_room_for_those_behind() -> None:
    locks = KeyedLock()
    scopes = [anyio.CancelScope() for _ in range(4)]
    log = []

    async def work(number: int) -> None:
        with scopes[number]:
            async with locks("key"):
                log.append(number)

    async with anyio.create_task_group() as group:
        await locks.acquire("key")
        for number in range(4):
            group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        locks.release("key")  # just as its turn comes
        scopes[2].cancel()
    assert set(log) >= {1, 3}
    assert len(locks) == 0


async def test_who_is_cancelled_at_once_leaves_nothing() -> None:
    locks = KeyedLock()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await locks.acquire("key")
    assert scope.cancelled_caught
    assert len(locks) == 0


async def test_a_native_cancellation_leaves_nothing(only_asyncio: None) -> None:
    for steps in range(6):
        locks = KeyedLock()

        async def work(locks: KeyedLock) -> None:
            async with locks("key"):
                await checkpoint()

        tasks = [asyncio.create_task(work(locks)) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks[:2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(locks) == 0


@pytest.mark.parametrize("cancel", [True, False])
async def test_cancelling_or_failing_at_every_point_leaves_no_key(cancel: bool) -> None:
    async def run(points: Points) -> None:
        locks = KeyedLock()

        async def work(key: int) -> None:
            await points()
            async with locks(key):
                await points()
                await locks.acquire(key + 10)
                try:
                    await points()
                finally:
                    locks.release(key + 10)
            await points()

        try:
            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(work, number % 2)
        finally:
            assert len(locks) == 0

    assert await every_point(run, cancel=cancel) == 16


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 8))), max_size=12)
)
async def test_whatever_is_cancelled_nobody_shares_and_nothing_stays(plan: list[tuple[int, int, int | None]]) -> None:
    locks = KeyedLock()
    held: set[int] = set()
    done = []

    async def work(number: int, scope: anyio.CancelScope) -> None:
        key, steps, _ = plan[number]
        with scope:
            async with locks(key):
                assert key not in held
                held.add(key)
                try:
                    for _ in range(steps):
                        await checkpoint()
                finally:
                    held.remove(key)
            done.append(number)

    scopes = [anyio.CancelScope() for _ in plan]
    async with anyio.create_task_group() as group:
        for number, scope in enumerate(scopes):
            group.start_soon(work, number, scope)
        for step in range(9):
            await checkpoint()
            for scope, (_, _, at) in zip(scopes, plan, strict=True):
                if at == step:
                    scope.cancel()
    assert len(locks) == 0
    assert set(done) >= {number for number, (_, _, at) in enumerate(plan) if at is None}
