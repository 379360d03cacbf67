"""Does the same to many things at once in one process, and not to too many."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from operator import itemgetter
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def side_by_side(
    items: Iterable[ItemT], work: Callable[[ItemT], Awaitable[ResultT]], *, width: int
) -> AsyncGenerator[ResultT, None]:
    """What came of each item, as it comes; at most ``width`` of them at a time, and none is kept once it is passed on.

    Where one raises, or whoever takes the results goes away, those in work are cancelled, and have ended before this does.
    """
    waiting = iter(items)
    running: set[asyncio.Future[ResultT]] = set()
    try:
        while True:
            while len(running) < width:
                try:
                    item = next(waiting)
                except StopIteration:
                    break
                running.add(asyncio.ensure_future(work(item)))
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.remove(task)
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def all_side_by_side(
    items: Iterable[ItemT], work: Callable[[ItemT], Awaitable[ResultT]], *, width: int
) -> list[ResultT]:
    """What came of all items, in the order of the items; otherwise as `side_by_side`."""

    async def numbered(item: tuple[int, ItemT]) -> tuple[int, ResultT]:
        return item[0], await work(item[1])

    found = [result async for result in side_by_side(enumerate(items), numbered, width=width)]
    return [result for _, result in sorted(found, key=itemgetter(0))]
