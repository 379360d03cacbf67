"""Runs coroutines side by side in an order that hypothesis draws: at each of their storage operations one of them goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from adapters.blob_store import BlobPart, BlobPlace, BlobStore
from tests.recording_world import World


class _Turns:
    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []

    async def take(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        await turn


async def interleaved(world: World, steps: Sequence[Callable[[], Awaitable[Any]]], data: st.DataObject) -> None:
    """Each operation is atomic, as it is in Azure; what happens between two of one process is whatever the others do."""
    turns = _Turns()
    read, write = world.blobs.read, world.blobs.write

    async def read_in_turn(
        place: BlobPlace, *, start_byte: int = 0, length_bytes: int, if_match: str | None = None
    ) -> BlobPart:
        await turns.take()
        return await read(place, start_byte=start_byte, length_bytes=length_bytes, if_match=if_match)

    async def write_in_turn(place: BlobPlace, content: bytes, *, replaces: str | None, media_type: str) -> str:
        await turns.take()
        return await write(place, content, replaces=replaces, media_type=media_type)

    store: BlobStore = world.blobs
    store.read, store.write = read_in_turn, write_in_turn  # type: ignore[method-assign]
    try:
        await _run(turns, steps, data)
    finally:
        store.read, store.write = read, write  # type: ignore[method-assign]


async def _run(turns: _Turns, steps: Sequence[Callable[[], Awaitable[Any]]], data: st.DataObject) -> None:
    waiting_to_start = list(steps)
    running: list[asyncio.Task[Any]] = []
    while waiting_to_start or any(not task.done() for task in running):
        for _ in range(20):
            await asyncio.sleep(0)
        choices = len(turns.waiting) + bool(waiting_to_start)
        if not choices:
            continue
        choice = data.draw(st.integers(0, choices - 1))
        if choice < len(turns.waiting):
            turns.waiting.pop(choice).set_result(None)
        else:
            # They start in their order: Terraform's lock lets one apply after another.
            running.append(asyncio.ensure_future(_awaited(waiting_to_start.pop(0))))
    for task in running:
        task.result()


async def _awaited(step: Callable[[], Awaitable[Any]]) -> Any:
    return await step()
