"""What a process opens at its first use and keeps open: a Functions worker is not told when it ends."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Generic, TypeVar

Opened = TypeVar("Opened")


class OpenedOnce(Generic[Opened]):
    """Gives what ``opening`` opens. Where that fails, the next use tries again."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Opened]]) -> None:
        self._opening = opening
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._opened: Opened | None = None

    async def __call__(self) -> Opened:
        async with self._lock:
            if self._opened is None:
                self._opened = await self._stack.enter_async_context(self._opening())
            return self._opened

    async def close(self) -> None:
        """For who lets go of an app within a process, as tests do; the next use opens it anew."""
        self._opened = None
        await self._stack.aclose()
