"""A clock that stands still until its hub moves it, so that days of timers take no time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

START: Final = datetime(2026, 11, 20, 6, tzinfo=UTC)
# Two episodes never begin at the same instant, or code that confuses their times would look sound.
EPISODE: Final = timedelta(milliseconds=1)


class VirtualClock:
    """Tells the time when called, and never goes backwards."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start
        self.sleeping = 0
        self.on_sleep: Callable[[], None] = lambda: None
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let an activity take time: the hub's timers that are due before it wakes fire first."""
        waking = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + timedelta(seconds=seconds), next(self._order), waking))
        self.sleeping += 1
        self.on_sleep()
        try:
            await waking
        finally:
            if waking.cancelled():
                self.sleeping -= 1

    @property
    def next_waking(self) -> datetime | None:
        while self._sleepers and self._sleepers[0][2].cancelled():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def tick(self) -> None:
        self.advance_to(self.now + EPISODE)

    def advance_to(self, at: datetime) -> None:
        self.now = max(self.now, at)
        while (waking_at := self.next_waking) is not None and waking_at <= self.now:
            _, _, waking = heapq.heappop(self._sleepers)
            # Awake from here on, though it runs only when the loop turns to it.
            self.sleeping -= 1
            waking.set_result(None)
