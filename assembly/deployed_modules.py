"""Reads the module calls of every deployed stack out of the trackers."""

import asyncio
from dataclasses import dataclass

from lanes.listing import choose_markets, tracked_stacks
from pins.calls import ModuleCall, call_as_deployed
from pins.configuration import Origin, Trouble, UnreadPath
from records.modules import deployed_modules
from records.names import is_market_key, is_stack_name, tracker_blob
from records.ports import RecordReader
from records.readings import Present, Unreadable


@dataclass(frozen=True, slots=True)
class TrackedCalls:
    """The calls, and the trackers that could not be read."""

    calls: tuple[ModuleCall, ...] = ()
    unread: tuple[UnreadPath, ...] = ()


async def read_deployed(records: RecordReader, *, wanted: list[str], width: int) -> TrackedCalls:
    """Those of the markets that are wanted, or of all.

    Raises:
        UnknownMarketError: a wanted market has no tracker.
        StoreError: the trackers cannot be listed.
    """
    tracked = await tracked_stacks(records)
    stacks = [
        (market, stack)
        for market in choose_markets(tracked, wanted)
        for stack in sorted(tracked[market])
        if is_market_key(market) and is_stack_name(stack)
    ]
    limit = asyncio.Semaphore(width)

    async def read(market: str, stack: str) -> TrackedCalls:
        async with limit:
            reading = await records.tracker(market=market, stack=stack, subscription_id=None)
        match reading:
            case Present(record=tracker):
                return TrackedCalls(calls=tuple(map(call_as_deployed, deployed_modules(tracker))))
            case Unreadable(fault=fault):
                unread = UnreadPath(
                    path=tracker_blob(market, stack),
                    trouble=Trouble.UNREADABLE_TRACKER,
                    why=f"{fault.message}. {fault.remedy}",
                    origin=Origin.TRACKER,
                )
                return TrackedCalls(unread=(unread,))
            case _:
                return TrackedCalls()

    found = await asyncio.gather(*(read(market, stack) for market, stack in stacks))
    return TrackedCalls(
        calls=tuple(call for one in found for call in one.calls),
        unread=tuple(unread for one in found for unread in one.unread),
    )
