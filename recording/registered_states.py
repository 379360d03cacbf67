"""Holds a mapping against the registry: a state that is on record under one name is not adopted under another."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from lanes.side_by_side import all_side_by_side
from recording.placing import Place, Placing, StateSource, Unplaced, location_of
from records.errors import ContainerMissingError
from records.names import is_market_key, market_of_registry_blob
from records.ports import RecordReader
from records.readings import Present
from records.registry import StateLocation


async def checked_by_registry(placing: Placing, *, source: StateSource, records: RecordReader, width: int) -> Placing:
    """Without the places of states that the registry has under other names: a mapping that calls them otherwise is wrong.

    Raises:
        StoreError: the registry cannot be listed.
    """
    known = await _registered_states(records, width=width)
    good, wrong = [], []
    for place in placing.places:
        location = location_of(place, source)
        owners = [name for name, own in known.get(place.blob, ()) if records.is_same_state(own, location)]
        if owners and place.name not in owners:
            wrong.append(_unplaced(place, owners[0]))
        else:
            good.append(place)
    unplaced = sorted((*placing.unplaced, *wrong), key=lambda one: one.blob)
    return Placing(places=tuple(good), unplaced=tuple(unplaced))


def _unplaced(place: Place, owner: str) -> Unplaced:
    return Unplaced(blob=place.blob, why=f"it would be {place.name}, and the registry has it as {owner}")


async def _registered_states(records: RecordReader, *, width: int) -> Mapping[str, Sequence[tuple[str, StateLocation]]]:
    """By blob: the stacks whose state it is, and where their entries say it is. What cannot be read names none."""
    try:
        named = [market_of_registry_blob(blob) async for blob in records.registry_blobs()]
    except ContainerMissingError:
        # Each market says so by itself, with the remedy.
        return {}
    found = defaultdict(list)

    async def read(market: str) -> None:
        reading = await records.registry(market=market)
        if isinstance(reading, Present):
            record = reading.record
            for stack, location in zip(record.stacks, record.locations(), strict=True):
                if location:
                    found[location.blob].append((f"{market}/{stack}", location))

    await all_side_by_side([market for market in named if market and is_market_key(market)], read, width=width)
    return {blob: sorted(owners, key=lambda owner: owner[0]) for blob, owners in found.items()}
