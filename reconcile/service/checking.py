"""The activity of one market: reconcile it within its time, and keep what came of it."""

import asyncio
from collections.abc import Iterator
from typing import Final

from reconcile.estate import guarded
from reconcile.service.messages import MarketReply, MarketRequest, Verdicts
from reconcile.service.service import Service
from records.faults import Fault, FaultCode, RecordKind
from records.names import registry_blob
from records.report import MarketOutcome, Problem

_MAY_PASS: Final = frozenset({FaultCode.UNAVAILABLE, FaultCode.CHANGED_WHILE_READ})
"""Faults of a moment. Any other is the same in a minute: a record that is wrong, a role that is missing."""


async def reconcile_market(service: Service, request: MarketRequest) -> MarketReply:
    """Reconciles one market. What is wrong with it is in its outcome; delivered twice, it leaves the rows of once.

    Raises:
        StoreError: its outcome could not be kept, so that nothing is known of it.
    """
    reconciler = service.reconciler(request.run)

    async def reconcile(market: str) -> MarketOutcome:
        try:
            async with asyncio.timeout(service.market_limit_seconds):
                return await reconciler.reconcile(market, wanted=request.stacks)
        except TimeoutError:
            return _too_late(market, service.market_limit_seconds)

    outcome = await guarded(request.market, reconcile)
    await service.work.save_outcome(run_id=request.run.run_id, outcome=outcome)
    may_pass = any(fault.code in _MAY_PASS for fault in _faults(outcome))
    return MarketReply(verdicts=Verdicts.WORTH_ANOTHER_TRY if may_pass else Verdicts.KEPT)


def _faults(outcome: MarketOutcome) -> Iterator[Fault]:
    yield from outcome.problems
    for result in outcome.results:
        for record in (result.evidence.state, result.evidence.tracker, result.evidence.registry):
            if record.fault:
                yield record.fault


def _too_late(market: str, limit_seconds: float) -> MarketOutcome:
    fault = Fault(
        code=FaultCode.UNAVAILABLE,
        record=RecordKind.REGISTRY,
        blob=registry_blob(market),
        message=f"reconciling it took longer than {limit_seconds:g} s, and was given up",
        remedy="Look at the latency and throttling of its storage accounts, or raise MARKET_LIMIT_SECONDS.",
    )
    return MarketOutcome(market=market, problems=(Problem.of(market, fault),))
