"""What there is in an estate, by the names of its records' blobs: nothing is read."""

from collections.abc import Iterable

from records.errors import UnknownMarketError
from records.names import market_and_stack_of_tracker_blob, market_of_registry_blob
from records.ports import RecordReader


async def registered_markets(records: RecordReader) -> set[str]:
    """Every market that has a registry record, as it is spelt there.

    Raises:
        StoreError: the registry cannot be listed, so nothing can be said of the estate.
    """
    return {market async for blob in records.registry_blobs() if (market := market_of_registry_blob(blob))}


async def tracked_stacks(records: RecordReader) -> dict[str, set[str]]:
    """The stacks that have a tracker, by market, as they are spelt there.

    A market that only trackers know was taken out of the registry while it is still deployed: it must not fall silent.

    Raises:
        StoreError: the trackers cannot be listed.
    """
    stacks: dict[str, set[str]] = {}
    async for blob in records.tracker_blobs():
        claim = market_and_stack_of_tracker_blob(blob)
        if claim:
            stacks.setdefault(claim[0], set()).add(claim[1])
    return stacks


async def known_markets(records: RecordReader) -> set[str]:
    """Every market that a registry record or a tracker names.

    Raises:
        StoreError: they cannot be listed.
    """
    return await registered_markets(records) | (await tracked_stacks(records)).keys()


def choose_markets(known: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """The markets asked for, or all of them where none is.

    Raises:
        UnknownMarketError: one that no record names; it lists those that there are.
    """
    known, wanted = sorted(known), sorted(set(wanted))
    unknown = [market for market in wanted if market not in known]
    if unknown:
        raise UnknownMarketError(
            f"no record names market {', '.join(unknown)}; there are: {', '.join(known) or 'none'}"
        )
    return wanted or known
