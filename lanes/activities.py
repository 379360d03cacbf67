"""The work behind a run's orchestrators, as a door binds it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lanes.messages import (
    FailRequest,
    FinishRequest,
    ItemReply,
    ItemRequest,
    LaneRequest,
    PageReply,
    PlanReply,
)
from records.engine import RunRequest
from records.runs import AnyRunRow

LaneMessage = RunRequest | LaneRequest | ItemRequest | FinishRequest | FailRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Activities:
    """What a mechanism does at each step of a run; the fields are those of `lanes.orchestration.Functions`.

    ``market_of`` gives the market that an item is of, by its name.
    """

    plan_run: Callable[[RunRequest], Awaitable[PlanReply]]
    read_page: Callable[[LaneRequest], Awaitable[PageReply]]
    check_item: Callable[[ItemRequest], Awaitable[ItemReply]]
    finish_run: Callable[[FinishRequest], Awaitable[AnyRunRow]]
    fail_run: Callable[[FailRequest], Awaitable[AnyRunRow]]
    market_of: Callable[[str], str]

    def about(self, message: LaneMessage) -> dict[str, str]:
        """The run, and the market where it is one's, that a message is about: what a trace is found by."""
        match message:
            case FinishRequest() | FailRequest():
                return {"run_id": message.request.run.run_id}
            case ItemRequest():
                return {"run_id": message.run.run_id, "market": self.market_of(message.name)}
            case RunRequest() | LaneRequest():
                return {"run_id": message.run.run_id}
