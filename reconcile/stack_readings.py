"""Gathers the three readings of one stack, given its market's registry record."""

import asyncio
from dataclasses import replace

from reconcile.judgement import tier_of
from records.errors import RecordError
from records.ports import RecordReader
from records.readings import Absent, NotLookedFor, Present, Reading, StackReadings, Unreadable
from records.registry import RegistryEntry, RegistryRecord
from records.verdicts import Tier


async def read_stack(
    records: RecordReader,
    registry: Reading[RegistryRecord],
    *,
    market: str,
    stack: str,
    thorough: bool,
) -> StackReadings:
    """The readings of one stack. ``thorough`` also gathers what only a disagreement needs: MD5s that storage does not keep,
    and earlier sightings of the state's content. Where times are compared these are needed at once: by its Last-Modified
    alone a state that was locked since would look as if it had been deployed then.
    """
    entry = entry_reading(registry, stack)
    subscription_id = registry.record.subscription_id if isinstance(registry, Present) else None
    tracker = records.tracker(market=market, stack=stack, subscription_id=subscription_id)
    if not isinstance(entry, Present):
        return StackReadings(state=NotLookedFor(), tracker=await tracker, registry=entry)
    location = entry.record.state
    state_reading, tracker_reading = await asyncio.gather(records.state(location=location, thorough=thorough), tracker)
    readings = StackReadings(state=state_reading, tracker=tracker_reading, registry=entry)
    if thorough or (isinstance(state_reading, Present) and tier_of(readings) is Tier.TIMES):
        return replace(readings, earlier=await records.state_history(location=location))
    return readings


def entry_reading(registry: Reading[RegistryRecord], stack: str) -> Reading[RegistryEntry]:
    """What the registry says of one stack: a bad entry is unreadable by itself."""
    if not isinstance(registry, Present):
        return registry
    if stack not in registry.record.stacks:
        return Absent(registry.name, registry.blob)
    try:
        return Present(registry.record.entry(stack), registry.blob)
    except RecordError as error:
        return Unreadable(error.fault, registry.blob)
