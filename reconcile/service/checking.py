"""The activity of one market: reconcile it within its time, and keep what came of it."""

import asyncio

from lanes.messages import ItemOutcome, ItemReply, ItemRequest
from reconcile.estate import guarded
from reconcile.service.service import Service
from records.faults import Fault, FaultCode, RecordKind
from records.names import registry_blob
from records.report import MarketOutcome, Problem
from records.transience import may_pass


async def reconcile_market(service: Service, request: ItemRequest) -> ItemReply:
    """Reconciles one market. What is wrong with it is in its outcome; delivered twice, it leaves the rows of once.

    Raises:
        StoreError: its outcome could not be kept, so that nothing is known of it.
    """
    reconciler = service.reconciler(request.run)

    async def reconcile(market: str) -> MarketOutcome:
        try:
            async with asyncio.timeout(service.market_limit_seconds):
                return await reconciler.reconcile(market, wanted=request.stacks, tries_left=request.tries_left)
        except TimeoutError:
            return _too_late(market, service.market_limit_seconds)

    outcome = await guarded(request.name, reconcile)
    await service.work.save_outcome(run_id=request.run.run_id, name=outcome.market, outcome=outcome)
    is_worth_it = may_pass(outcome.results, outcome.problems)
    return ItemReply(outcome=ItemOutcome.WORTH_ANOTHER_TRY if is_worth_it else ItemOutcome.KEPT)


def _too_late(market: str, limit_seconds: float) -> MarketOutcome:
    fault = Fault(
        code=FaultCode.UNAVAILABLE,
        record=RecordKind.REGISTRY,
        blob=registry_blob(market),
        message=f"reconciling it took longer than {limit_seconds:g} s, and was given up",
        remedy="Look at the latency and throttling of its storage accounts, or raise MARKET_LIMIT_SECONDS.",
    )
    return MarketOutcome(market=market, problems=(Problem.of(market, fault),))
