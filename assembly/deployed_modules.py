"""Reads the module calls of every deployed stack out of the trackers."""

from dataclasses import dataclass

from lanes.listing import choose_markets, tracked_stacks
from lanes.side_by_side import all_side_by_side
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
    stacks = [(market, stack) for market in choose_markets(tracked, wanted) for stack in sorted(tracked[market])]

    async def read(named: tuple[str, str]) -> TrackedCalls:
        market, stack = named
        if not is_market_key(market) or not is_stack_name(stack):
            return _not_read(market, stack, "its name is no market's and stack's. Rename it to match the registry.")
        match await records.tracker(market=market, stack=stack, subscription_id=None):
            case Present(record=tracker):
                return TrackedCalls(calls=tuple(map(call_as_deployed, deployed_modules(tracker))))
            case Unreadable(fault=fault):
                return _not_read(market, stack, f"{fault.message}. {fault.remedy}")
            case _:
                return TrackedCalls()

    found = await all_side_by_side(stacks, read, width=width)
    return TrackedCalls(
        calls=tuple(call for one in found for call in one.calls),
        unread=tuple(unread for one in found for unread in one.unread),
    )


def _not_read(market: str, stack: str, why: str) -> TrackedCalls:
    path = tracker_blob(market, stack)
    return TrackedCalls(
        unread=(UnreadPath(path=path, trouble=Trouble.UNREADABLE_TRACKER, why=why, origin=Origin.TRACKER),)
    )
