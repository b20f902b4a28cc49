"""Event loops that tests run on beside those that anyio names."""

from __future__ import annotations

import asyncio


class EagerLoop(asyncio.SelectorEventLoop):
    """asyncio's own, whose tasks take their first step where they are made: Python 3.12 and later.

    anyio's task groups start theirs lazily all the same. What differs are tasks that programs make themselves, which
    may call a helper while another task is in the middle of a step, and may be done before anybody has seen them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(asyncio.eager_task_factory)
