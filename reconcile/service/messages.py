"""What crosses Durable Functions between orchestrators and activities: a few hundred bytes; results are in the tables."""

from enum import StrEnum

from records.engine import Message, RunRequest
from records.results import Run


class PlanReply(Message):
    """A plan that is kept in the table. ``refusal`` says why there is none where the estate could not be listed."""

    digest: str = ""
    pages_by_lane: tuple[int, ...] = ()
    refusal: str | None = None


class LaneRequest(Message):
    """One lane of a plan, from ``page`` on."""

    run: Run
    stacks: tuple[str, ...] = ()
    digest: str
    lane: int
    page: int = 0
    page_count: int


class PageReply(Message):
    """The markets of one page."""

    markets: tuple[str, ...]


class MarketRequest(Message):
    """One market of a run; ``stacks`` are those to look at, where not all. ``tries_left`` may follow this one."""

    run: Run
    market: str
    stacks: tuple[str, ...] = ()
    tries_left: int = 0


class Verdicts(StrEnum):
    """What became of a market."""

    KEPT = "kept"
    WORTH_ANOTHER_TRY = "worth_another_try"


class MarketReply(Message):
    """That a market's outcome is in the table, and whether a later try may come to a better one."""

    verdicts: Verdicts


class FinishRequest(Message):
    """A run whose lanes have ended."""

    request: RunRequest
    digest: str


class FailRequest(Message):
    """A run that ended without a verdict on the estate. ``reason`` is for a person, and holds no value of a record."""

    request: RunRequest
    reason: str
