"""What tests of a store that fails have in common."""

import asyncio
from typing import Any

import pytest


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited for between tries; a second passes in a millisecond."""
    asked: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float, result: Any = None) -> Any:
        if seconds:
            asked.append(seconds)
        return await real_sleep(seconds / 1000, result)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked
