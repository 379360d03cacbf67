"""What crosses Durable Functions between orchestrators and activities: a few hundred bytes; results are in the tables.

An item is its name: a market's key where markets are reconciled, ``market/stack`` where stacks are planned.
"""

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
    """The items of one page."""

    names: tuple[str, ...]


class ItemRequest(Message):
    """One item of a run; ``tries_left`` may follow this try.

    ``stacks`` are those of the run's scope, for an item that has several: the only ones to look at, or all where none is named.
    """

    run: Run
    name: str
    stacks: tuple[str, ...] = ()
    tries_left: int = 0


class ItemOutcome(StrEnum):
    """What became of an item."""

    KEPT = "kept"
    WORTH_ANOTHER_TRY = "worth_another_try"


class ItemReply(Message):
    """That an item's outcome is in the table, and whether a later try may come to a better one."""

    outcome: ItemOutcome


class FinishRequest(Message):
    """A run whose lanes have ended."""

    request: RunRequest
    digest: str


class FailRequest(Message):
    """A run that ended without a verdict on the estate. ``reason`` is for a person, and holds no value of a record."""

    request: RunRequest
    reason: str
