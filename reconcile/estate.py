"""Reconciles every market of an estate side by side, and passes each outcome on as it comes."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable
from traceback import format_tb
from typing import Final

from lanes.side_by_side import side_by_side
from records.faults import Fault, FaultCode, RecordKind
from records.names import registry_blob
from records.ports import RecordReader
from records.report import MarketOutcome, Problem

_LOG: Final = logging.getLogger(__name__)


async def guarded(market: str, reconcile: Callable[[str], Awaitable[MarketOutcome]]) -> MarketOutcome:
    """A market's outcome; one whose reconciliation breaks is a problem of that market."""
    try:
        return await reconcile(market)
    except Exception as error:  # noqa: BLE001 (the boundary of a market: the others must get their verdicts)
        # Where it broke and not with what: an exception's text can quote a record.
        _LOG.error("market %s: %s\n%s", market, type(error).__name__, "".join(format_tb(error.__traceback__)))
        return MarketOutcome(market=market, problems=(_broken(market, error),))


def reconcile_side_by_side(
    markets: Iterable[str], reconcile: Callable[[str], Awaitable[MarketOutcome]], *, width: int
) -> AsyncIterator[MarketOutcome]:
    """Outcomes as they come, at most ``width`` markets at a time, none kept once it is passed on.

    One bad market never ends a run.
    """
    return side_by_side(markets, lambda market: guarded(market, reconcile), width=width)


async def unregistered_states(
    records: RecordReader, named: Container[str], *, unread: tuple[str, ...] = ()
) -> list[str]:
    """The states of the shared container that no registry entry names.

    Those in the folder of a market whose registry record could not be read (``unread``) may well be named there.

    Raises:
        StoreError: the container cannot be listed.
    """
    return [blob async for blob in records.state_blobs() if blob not in named and not blob.startswith(unread)]


def shared_states(outcome: MarketOutcome, named: Container[str]) -> list[Problem]:
    """States that this market names and that another stack, here or in a market before it (``named``), names too.

    Two stacks on one state destroy each other's resources, and their records can agree all the same.
    """
    states = outcome.states
    shared = sorted({state for state in states if states.count(state) > 1 or state in named})
    return [Problem.of(outcome.market, _shared(outcome.market, state)) for state in shared]


def _shared(market: str, state: str) -> Fault:
    return Fault(
        code=FaultCode.SHARED_STATE,
        record=RecordKind.REGISTRY,
        blob=registry_blob(market),
        message=f"it names the state {state}, which another stack's entry names too",
        remedy="Give each stack a state key of its own before either is applied again.",
    )


def _broken(market: str, error: Exception) -> Problem:
    return Problem.of(
        market,
        Fault(
            code=FaultCode.UNEXPECTED,
            record=RecordKind.REGISTRY,
            blob=registry_blob(market),
            message=f"reconciling it broke with {type(error).__name__}",
            remedy="Report this with the run's log; the other markets are not affected.",
        ),
    )
