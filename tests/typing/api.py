"""The public names as users see them: checked by mypy and basedpyright, never run."""

from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Executor
from typing import Any, Literal, assert_type

import anyio
from anyio.abc import TaskStatus

from asynckit import (
    Advice,
    ChildCancelledError,
    Deadline,
    Failure,
    Handle,
    Offloaded,
    OffloadedIterator,
    Outcome,
    ProcessMap,
    ProcessPool,
    Queue,
    RateLimiter,
    Scope,
    Stream,
    Success,
    ThreadIterator,
    ThreadPool,
    Waited,
    advise,
    amap,
    as_completed,
    default_thread_pool,
    gather,
    iterate_in_thread,
    offload,
    open_scope,
    process_map,
    race,
    remaining,
    retry,
    run_in_executor,
    run_in_process,
    run_in_thread,
    stream,
    stream_outcomes,
    timeout,
    to_process,
    to_thread,
    wait,
    with_timeout,
)


async def length(text: str) -> int:
    return len(text)


async def name() -> str:
    return "name"


async def flag() -> bool:
    return True


async def pages() -> AsyncIterator[str]:
    yield "page"


async def mapping() -> None:
    assert_type(await amap(length, ["a", "b"]), list[int])
    assert_type(await amap(length, pages(), limit=None), list[int])
    assert_type(await amap(length, {"a"}, on_error="skip", item_timeout=1.5), list[int])
    assert_type(await amap(length, ("a",), on_error="cancel"), list[int])
    assert_type(await amap(length, ("a",), on_error="return"), list[int | Exception])
    assert_type(await amap(length, ["a"], rate=5, progress=print), list[int])
    await amap(length, [1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await amap(length, ["a"], on_error="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def gathering(many: list[Coroutine[Any, Any, int]], perhaps: bool) -> None:
    assert_type(await gather(), tuple[()])
    assert_type(await gather(name()), tuple[str])
    assert_type(await gather(name(), length("a")), tuple[str, int])
    assert_type(await gather(name(), length("a"), flag(), limit=2), tuple[str, int, bool])
    assert_type(await gather(name(), length("a"), flag(), name()), tuple[str, int, bool, str])
    assert_type(await gather(name(), length("a"), flag(), name(), flag()), tuple[str, int, bool, str, bool])
    assert_type(await gather(name(), name(), name(), name(), name(), name()), tuple[str, ...])
    assert_type(await gather(*many), tuple[int, ...])
    assert_type(
        await gather(name(), length("a"), return_exceptions=True),
        tuple[str | Exception, int | Exception],
    )
    assert_type(await gather(*many, return_exceptions=True), tuple[int | Exception, ...])
    assert_type(await gather(*many, return_exceptions=perhaps), tuple[int | Exception, ...])


async def deadlines() -> None:
    with timeout(5) as deadline:
        assert_type(deadline, Deadline)
        assert_type(deadline.deadline, float)
        assert_type(deadline.remaining(), float)
        assert_type(deadline.expired, bool)
        deadline.reschedule(None)
    assert_type(deadline.error(), TimeoutError)


async def serve(port: int, *, task_status: TaskStatus[str]) -> None:
    task_status.started(f"port {port}")


async def scopes(policy: Literal["cancel", "collect"]) -> None:
    async with open_scope(limit=10, timeout=5, on_error=policy, name="scope", collapse=True) as scope:
        assert_type(scope, Scope)
        one = scope.start_soon(length, "a")
        _ = assert_type(one, Handle[int])
        two = scope.create_task(name(), name="two")
        _ = assert_type(two, Handle[str])
        assert_type(await one, int)
        # mypy does not match functions with a protocol that has a `TypeVarTuple`, and goes by the other overload.
        assert_type(await scope.start(serve, 80), str)  # type: ignore[assert-type]
        assert_type(await scope.start(serve, 80, background=True, name="server"), str)  # type: ignore[assert-type]
        three = scope.start_soon(name, background=True)
        _ = assert_type(three, Handle[str])
        assert_type(two.name, str)
        _ = scope.start_soon(length, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        scope.cancel()
    assert_type(two.result(), str)
    assert_type(two.exception(), BaseException | None)
    assert_type(two.done(), bool)
    assert_type(two.cancelled(), bool)
    two.cancel()
    assert_type(ChildCancelledError().args, tuple[Any, ...])


@to_thread
def read(path: str, *, size: int = -1) -> bytes:
    return path.encode()[:size]


@to_thread(limiter=anyio.CapacityLimiter(2), abandon_on_cancel=True)
def write(path: str, content: bytes) -> None: ...


pool = ThreadPool("pool", 2)


@to_thread
def lines(path: str, *, limit: int = 5) -> Generator[str, None, None]:
    yield path


@to_thread
def words(line: str) -> Iterator[str]:
    return iter(line.split())


@to_thread(limiter=pool, look_ahead=5)
def numbers(below: int) -> Generator[int, None, str]:
    yield below
    return "over"


@to_thread(limiter=3, context_out=True)
def parse(text: str) -> list[int]:
    return [int(text)]


@to_process
def count(below: int) -> int:
    return below


@to_process(cancellable=False)
def total(numbers: list[float]) -> float:
    return sum(numbers)


@to_process(timeout=1, pool=ProcessPool(2, max_tasks=10))
def average(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def plain(word: str, times: int) -> list[str]:
    return [word] * times


async def in_processes(pool: ProcessPool) -> None:
    assert_type(await average([1.0]), float)
    assert_type(await run_in_process(plain, "word", 2, timeout=1), list[str])
    assert_type(await pool.run(plain, "word", times=2), list[str])
    await run_in_process(plain, 2, 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await pool.run(plain, 2, times=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with process_map(len, ["word"]) as lengths:
        assert_type(lengths, ProcessMap[int])
        async for length_of_one in lengths:
            assert_type(length_of_one, int)
    async with process_map(average.sync, [[1.0]]) as averages:
        assert_type(await anext(averages), float)
    async with process_map(len, ["word"], on_error="return") as either:
        assert_type(await anext(either), int | Exception)


class Box:
    @to_thread
    def open(self, key: str) -> int:
        return len(key)

    @to_thread
    def keys(self, prefix: str) -> Generator[str, None, None]:
        yield prefix


async def threads(box: Box) -> None:
    assert_type(await run_in_thread(len, "text"), int)
    assert_type(await run_in_thread(str.encode, "text", limiter=pool, abandon_on_cancel=True, context_out=True), bytes)
    assert_type(await parse("5"), list[int])
    assert_type(lines("path", limit=5), ThreadIterator[str])
    assert_type(words("a line"), ThreadIterator[str])
    async with lines("path") as found:
        assert_type([line async for line in found], list[str])
    async with numbers(5) as some:
        assert_type(await anext(some), int)
    async with box.keys("prefix") as keys:
        assert_type(await anext(keys), str)
    async with iterate_in_thread([1.5], look_ahead=0, limiter=anyio.CapacityLimiter(1)) as items:
        assert_type(await anext(items), float)
    async with iterate_in_thread(lambda: ["text"]) as texts:
        assert_type(await anext(texts), str)
    kept: OffloadedIterator[[int], int] = numbers
    assert_type(kept(5), ThreadIterator[int])
    async with pool:
        pool.limit = None
        assert_type(pool.limit, float)
        assert_type(pool.statistics().longest, float)
    busy = await pool.shutdown(grace=5)
    assert_type(busy[0].stack, str)
    assert_type(default_thread_pool(), ThreadPool)
    await run_in_thread(len, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lines(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def offloading(box: Box) -> None:
    assert_type(await read("path", size=1), bytes)
    assert_type(read.sync("path"), bytes)
    assert_type(await write("path", b""), None)
    assert_type(await count(7), int)
    assert_type(await total([1.0]), float)
    assert_type(await box.open("key"), int)
    assert_type(await Box.open(box, "key"), int)
    assert_type(box.open.sync("key"), int)
    assert_type(await amap(count, range(3)), list[int])
    await read(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await box.open(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    kept: Callable[[int], Coroutine[Any, Any, int]] = count
    offloaded: Offloaded[[int], int] = count
    assert_type(await kept(1), int)
    assert_type(await offloaded(1), int)


def size(text: str) -> int:
    return len(text)


async def in_executors(executor: Executor) -> None:
    assert_type(await run_in_executor(executor, size, "a"), int)
    assert_type(await offload(lambda: executor)(size)("a"), int)
    assert_type(stream(size, ["a"], executor=executor), Stream[int])
    assert_type(stream(size, ["a"], on_error="return", executor=lambda: executor), Stream[int | Exception])
    assert_type(stream_outcomes(size, ["a"], executor=executor), Stream[tuple[str, Outcome[int]]])
    assert_type(advise(size, "a", calls=3), Advice)
    await run_in_executor(executor, size, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    stream(size, [1], executor=executor)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def streaming() -> None:
    async with stream(length, ["a"], limit=3, ordered=True) as results:
        assert_type(results, Stream[int])
        async for r in results:
            assert_type(r, int)
    async with stream(length, pages(), on_error="return", rate=5) as both:
        assert_type(await anext(both), int | Exception)
    async with stream_outcomes(length, pages()) as outcomes:
        async for item, outcome in outcomes:
            assert_type(item, str)
            assert_type(outcome, Success[int] | Failure)
            if isinstance(outcome, Failure):
                assert_type(outcome.exception, Exception)
            else:
                assert_type(outcome.value, int)
            assert_type(outcome.unwrap(), int)
            match outcome:
                case Success(value):
                    assert_type(value, int)
                case Failure(error):
                    assert_type(error, Exception)
    stream(length, [1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def racing(many: list[Coroutine[Any, Any, int]]) -> None:
    assert_type(await race(length("a"), name()), int | str)
    assert_type(await race(length("a"), length("b")), int)
    assert_type(await race(length("a"), name(), flag(), delay=1), int | str | bool)
    assert_type(await race(*many), int)
    waited = await wait(length("a"), name(), return_when="first_completed")
    assert_type(waited, Waited[int | str])
    assert_type(waited.done[0], Outcome[int | str])
    assert_type(await wait(*many), Waited[int])
    assert_type(await wait(name()), Waited[str])
    async with as_completed(length("a"), name()) as results:
        assert_type(await anext(results), int | str)
    async with as_completed(*many, limit=2) as ints:
        assert_type([x async for x in ints], list[int])
    await wait(name(), return_when="first")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@with_timeout(1)
async def bounded(text: str, *, times: int = 1) -> int:
    return len(text) * times


class Client:
    @with_timeout(1)
    async def get(self, path: str, *, times: int = 1) -> bytes:
        return path.encode() * times

    @retry(on=OSError)
    async def put(self, path: str) -> int:
        return len(path)


async def methods(client: Client) -> None:
    assert_type(await client.get("path", times=2), bytes)
    assert_type(await client.put("path"), int)
    await client.get(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.put(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@retry(on=OSError, attempts=3)
async def attempted(text: str) -> int:
    return len(text)


async def coordination(queue: Queue[int], limiter: RateLimiter) -> None:
    assert_type(await bounded("a", times=2), int)
    assert_type(await attempted("a"), int)
    assert_type(remaining(), float)
    assert_type(await queue.get(), int)
    async for number in queue:
        assert_type(number, int)
    await limiter.acquire()
    await bounded(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
