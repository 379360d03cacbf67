"""The activity of one stack: look at it, and keep what was seen. Nothing is decided before all stacks have been looked at."""

from drift.guarding import guarded, unseen
from drift.service.service import CheckService
from lanes.messages import ItemOutcome, ItemReply, ItemRequest
from records.errors import TrueupError
from records.plan_checks import StackObservation


async def check_stack(service: CheckService, request: ItemRequest) -> ItemReply:
    """Looks at one stack. What is wrong with it is in its observation; delivered twice, it leaves the row of once.

    A stack that could not be planned is not tried again: the next run comes in hours, and a plan that failed is seldom better
    in a minute, for the price of a whole one.

    Raises:
        StoreError: what was seen could not be kept, so that nothing is known of the stack.
    """
    async with service.plans_here:
        seen = await _seen(service, request.name)
    await service.work.save_outcome(run_id=request.run.run_id, name=seen.name, outcome=seen)
    return ItemReply(outcome=ItemOutcome.KEPT)


async def _seen(service: CheckService, path: str) -> StackObservation:
    try:
        return await guarded(path, service.observer.observe, service.clock)
    except TrueupError as error:
        return unseen(path, str(error), service.clock)
