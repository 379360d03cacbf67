"""The orchestrators of a run by themselves: which functions they call with what, whichever mechanism's they are.

What a host makes of them, with replays, crashes and dead lanes, is in ``tests/orchestration``.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from lanes.messages import ItemOutcome, ItemReply, LaneRequest, PageReply, PlanReply
from lanes.orchestration import WAITS_BEFORE_ANOTHER_TRY, Functions, LaneRun, RunFailedError
from records.runs import Scope
from tests.fakes_service import DAILY, SIX, request_of

PLANNING: Final = Functions(
    run="check_estate",
    lane="check_lane",
    plan_run="plan_checks",
    read_page="read_check_page",
    check_item="check_stack",
    finish_run="finish_checks",
    fail_run="fail_checks",
)
RUN: Final = LaneRun(functions=PLANNING, run_limit=timedelta(hours=2))
NAMES: Final = ("de/app", "de/network", "emea/fr/app")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A task: what is called with what; ``name`` is empty for a timer."""

    name: str
    payload: Any


@dataclass(slots=True)
class FakeContext:
    """A history of one generation, of which ``answer`` gives each result or raises."""

    payload: object
    answer: Callable[[Scheduled], object]
    now: datetime = SIX
    called: list[Scheduled] = field(default_factory=list)
    waits: list[timedelta] = field(default_factory=list)
    continued_as: object = None

    @property
    def current_utc_datetime(self) -> datetime:
        return self.now

    def get_input(self) -> object:
        return self.payload

    def call_activity(self, name: str, input_: object) -> Scheduled:
        return Scheduled(name, input_)

    call_sub_orchestrator = call_activity

    def task_all(self, activities: list[Any]) -> Scheduled:
        return Scheduled("all", activities)

    def create_timer(self, fire_at: datetime) -> Scheduled:
        return Scheduled("", fire_at)

    def continue_as_new(self, input_: object) -> None:
        self.continued_as = input_

    def carry(self, orchestrator: Generator[Any, object, None]) -> "FakeContext":
        """Runs an orchestrator to its end."""
        try:
            task: Scheduled = next(orchestrator)
            while True:
                task = self._step(orchestrator, task)
        except StopIteration:
            return self

    def names(self) -> list[str]:
        return [task.name for task in self.called]

    def _step(self, orchestrator: Generator[Any, object, None], task: Scheduled) -> Scheduled:
        if not task.name:
            self.waits.append(task.payload - self.now)
            self.now = task.payload
            return orchestrator.send(None)  # type: ignore[no-any-return]
        self.called += task.payload if task.name == "all" else [task]
        try:
            result = self.answer(task)
        except ArithmeticError as error:
            return orchestrator.throw(error)  # type: ignore[no-any-return]
        return orchestrator.send(result)  # type: ignore[no-any-return]


def run_of(answer: Callable[[Scheduled], object], scope: Scope | None = None) -> FakeContext:
    return FakeContext(request_of(scope=scope or Scope()).to_json(), answer)


def lane_of(answer: Callable[[Scheduled], object], **changes: Any) -> FakeContext:
    values: dict[str, Any] = {"run": DAILY, "digest": "d1", "lane": 0, "page_count": 1}
    return FakeContext(LaneRequest(**values | changes).to_json(), answer)


def planned(task: Scheduled) -> object:
    return PlanReply(digest="d1", pages_by_lane=(2, 1)).to_json() if task.name == "plan_checks" else None


def paged(outcome: Callable[[str, int], ItemOutcome]) -> Callable[[Scheduled], object]:
    """A page of `NAMES`, and what comes of each name with so many tries left."""

    def answer(task: Scheduled) -> object:
        if task.name == "read_check_page":
            return PageReply(names=NAMES).to_json()
        return ItemReply(outcome=outcome(task.payload["name"], task.payload["tries_left"])).to_json()

    return answer


def kept(name: str, tries_left: int) -> ItemOutcome:
    return ItemOutcome.KEPT


class TestARun:
    def test_is_planned_dealt_and_finished_by_the_functions_of_its_mechanism(self) -> None:
        context = run_of(planned, Scope(stacks=("app",)))
        context.carry(RUN.run(context))
        assert context.names() == ["plan_checks", "check_lane", "check_lane", "finish_checks"]
        lanes = [LaneRequest.from_json(task.payload) for task in context.called[1:3]]
        assert lanes == [
            LaneRequest(run=DAILY, stacks=("app",), digest="d1", lane=lane, page_count=pages)
            for lane, pages in enumerate((2, 1))
        ]

    def test_of_no_item_is_finished_without_a_lane(self) -> None:
        context = run_of(lambda task: PlanReply(digest="d1").to_json())
        context.carry(RUN.run(context))
        assert context.names() == ["plan_checks", "finish_checks"]

    def test_that_is_refused_has_failed_for_that_reason(self) -> None:
        context = run_of(lambda task: PlanReply(refusal="no registry").to_json())
        with pytest.raises(RunFailedError, match="no registry"):
            context.carry(RUN.run(context))
        assert context.names() == ["plan_checks", "fail_checks"]
        assert context.called[-1].payload["reason"] == "no registry"

    def test_whose_step_fails_at_each_try_has_failed_and_names_it(self) -> None:
        def answer(task: Scheduled) -> object:
            if task.name == "finish_checks":
                raise ArithmeticError
            return planned(task)

        context = run_of(answer)
        with pytest.raises(RunFailedError, match="finish_checks failed at each of 3 tries"):
            context.carry(RUN.run(context))
        assert context.names()[-4:] == ["finish_checks"] * 3 + ["fail_checks"]
        assert tuple(context.waits) == WAITS_BEFORE_ANOTHER_TRY


class TestALane:
    def test_takes_the_items_of_its_page_one_after_another(self) -> None:
        context = lane_of(paged(kept), stacks=("app",))
        context.carry(RUN.lane(context))
        assert context.names() == ["read_check_page", *["check_stack"] * 3]
        assert [task.payload["name"] for task in context.called[1:]] == list(NAMES)
        assert {(*task.payload["stacks"], task.payload["tries_left"]) for task in context.called[1:]} == {("app", 2)}
        assert (context.waits, context.continued_as) == ([], None)

    def test_tries_again_what_is_worth_it_at_the_end_of_the_page_and_twice_at_most(self) -> None:
        def outcome(name: str, tries_left: int) -> ItemOutcome:
            if name == "de/network":
                raise ArithmeticError
            return ItemOutcome.WORTH_ANOTHER_TRY if (name, tries_left) == ("de/app", 2) else ItemOutcome.KEPT

        context = lane_of(paged(outcome))
        context.carry(RUN.lane(context))
        tries = [(task.payload["name"], task.payload["tries_left"]) for task in context.called[1:]]
        assert tries == [*((name, 2) for name in NAMES), ("de/app", 1), ("de/network", 1), ("de/network", 0)]
        assert tuple(context.waits) == WAITS_BEFORE_ANOTHER_TRY

    def test_goes_on_with_the_next_page_in_a_history_of_its_own(self) -> None:
        context = lane_of(paged(kept), page=1, page_count=3)
        context.carry(RUN.lane(context))
        assert LaneRequest.from_json(context.continued_as).page == 2

    def test_whose_page_cannot_be_read_goes_on_with_the_next(self) -> None:
        def answer(task: Scheduled) -> object:
            raise ArithmeticError

        context = lane_of(answer, page_count=2)
        context.carry(RUN.lane(context))
        assert context.names() == ["read_check_page"] * 3
        assert LaneRequest.from_json(context.continued_as).page == 1

    @pytest.mark.parametrize(
        ("hours", "begun"),
        [pytest.param(2.0, 3, id="at its limit"), pytest.param(2.01, 0, id="past its limit")],
    )
    def test_begins_nothing_once_the_run_has_had_its_time(self, hours: float, begun: int) -> None:
        context = lane_of(paged(kept), page_count=2)
        context.now = SIX + timedelta(hours=hours)
        context.carry(RUN.lane(context))
        assert context.names().count("check_stack") == begun
        assert (context.continued_as is None) == (begun == 0)
