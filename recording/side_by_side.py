"""Does the same to many things at once, and not to too many."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


async def side_by_side(do: Callable[[_Item], Awaitable[_Found]], items: Iterable[_Item], *, width: int) -> list[_Found]:
    """What came of each, in the order of the items; ``width`` of them at a time."""
    limit = asyncio.Semaphore(width)

    async def limited(item: _Item) -> _Found:
        async with limit:
            return await do(item)

    return list(await asyncio.gather(*map(limited, items)))
