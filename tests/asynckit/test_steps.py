"""Awaitables that are run by their steps."""

from __future__ import annotations

from contextvars import copy_context
from types import coroutine
from typing import TYPE_CHECKING, Any

import pytest

from asynckit._steps import run_in_context

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.anyio


@coroutine
def _pause() -> Generator[str, Any, Any]:
    return (yield "waiting")


@pytest.mark.parametrize("steps", [1, 2])
async def test_closing_the_outer_coroutine_closes_the_inner_in_its_context(steps: int) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            for _ in range(3):
                await _pause()
        finally:
            ended.append("work")

    outer = run_in_context(copy_context(), work())
    for _ in range(steps):
        assert outer.send(None) == "waiting"
    outer.close()
    assert ended == ["work"]


async def test_what_is_sent_and_thrown_reaches_the_inner_coroutine() -> None:
    async def work() -> list[object]:
        got: list[object] = [await _pause()]
        try:
            await _pause()
        except LookupError as error:
            got.append(error)
        got.append(await _pause())
        return got

    outer = run_in_context(copy_context(), work())
    error = LookupError("thrown")
    assert outer.send(None) == "waiting"
    assert outer.send(1) == "waiting"
    assert outer.throw(error) == "waiting"
    with pytest.raises(StopIteration) as ended:
        outer.send(3)
    assert ended.value.value == [1, error, 3]


async def test_what_ends_on_a_thrown_error_gives_its_result() -> None:
    async def work() -> str:
        try:
            await _pause()
        except LookupError:
            return "handled"
        return "not thrown"

    outer = run_in_context(copy_context(), work())
    outer.send(None)
    with pytest.raises(StopIteration) as ended:
        outer.throw(LookupError())
    assert ended.value.value == "handled"
