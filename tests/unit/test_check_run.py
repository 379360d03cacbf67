"""One run of plan checks in one process: what it reports, what it keeps, and that one bad stack ends nothing."""

import logging
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from adapters.blob_store import BlobPlace
from drift.policy import KillSwitch, Policy
from drift.run import CheckProgress, check_estate
from drift.situation import Unread
from drift.tally import CheckTally
from records.errors import (
    AccessDeniedError,
    SettingsError,
    StoreUnavailableError,
    UnknownMarketError,
    UnknownStackError,
)
from records.faults import FaultCode, RecordKind
from records.plan_checks import CheckReport, CheckRunRow, Decision, HoldReason, StackCheck, StackObservation
from records.report import WHOLE_ESTATE
from records.runs import WHOLE_SCOPE, RunStatus, Scope, Trigger
from tests.estates import CONTAINERS, SERIAL, put_state
from tests.fakes import MemoryRunStore
from tests.unit.drift_samples import INVALID, ON
from tests.unit.observation_samples import RUN, Bench
from tests.unit.planner_fake import Breaks, DriftEstate, Hangs, inconclusive

SECRET: Final = "planted-secret"
DOWN: Final = StoreUnavailableError("plancheckruns", "503 ServerBusy")


@dataclass(slots=True)
class World(DriftEstate):
    """An estate that is checked as the terminal does."""

    bench: Bench = field(default_factory=Bench)
    runs: MemoryRunStore[CheckRunRow] = field(default_factory=lambda: MemoryRunStore(CheckRunRow))
    listed: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    seen: list[StackObservation] = field(default_factory=list)
    plan_limit_seconds: float = 30

    async def check(
        self, *, scope: Scope = WHOLE_SCOPE, width: int = 4, keeps: bool = True, **changes: Any
    ) -> CheckReport:
        conclusion = self.bench.conclusion(**changes)
        progress = CheckProgress(on_stacks=self.listed.extend, on_begin=self.begun.append, on_seen=self.seen.append)
        return await check_estate(
            self.observer(plan_limit_seconds=self.plan_limit_seconds),
            conclusion,
            runs=self.runs if keeps else None,
            scope=scope,
            width=width,
            progress=progress,
        )


@pytest.fixture
def world() -> World:
    """Three markets: a click in de and fr, nothing in uk."""
    made = World()
    made.deploy("uk", ["app"])
    made.deploy("fr", ["app"])
    made.deploy("de", ["network", "app"])
    made.planner.usual = "no_change"
    made.planner.outcomes |= {"de/network.tfstate": "in_place_change", "fr/app.tfstate": "deleted_outside"}
    return made


def of(report: CheckReport, name: str) -> StackCheck:
    [check] = [check for check in report.results if check.name == name]
    return check


async def test_every_stack_is_checked_and_reported_in_order(world: World) -> None:
    report = await world.check()
    assert [check.name for check in report.results] == ["de/app", "de/network", "fr/app", "uk/app"]
    assert (report.run_id, report.started_at, report.finished_at) == (RUN.run_id, RUN.started_at, world.bench.now)
    assert of(report, "de/network").decision is Decision.HEAL
    assert report.counts == {Decision.CLEAN: 2, Decision.HEAL: 2}
    assert report.problems == ()
    assert report.exit_status == 2


async def test_progress_tells_all_stacks_and_then_each(world: World) -> None:
    report = await world.check()
    names = [check.name for check in report.results]
    assert world.listed == names
    assert sorted(world.begun) == names
    assert sorted(one.name for one in world.seen) == names


async def test_an_estate_in_which_nothing_differs_has_exit_status_0(world: World) -> None:
    world.planner.outcomes.clear()
    report = await world.check()
    assert report.counts == {Decision.CLEAN: 4}
    assert report.exit_status == 0


NOT_WELL: Final[dict[str, tuple[Any, HoldReason | None]]] = {
    "a plan gives no answer": (inconclusive(), HoldReason.INCONCLUSIVE),
    "a plan hangs": (Hangs(), HoldReason.INCONCLUSIVE),
    "a change waits for a deploy": ("provider_upgrade", HoldReason.PENDING_CHANGE),
    "somebody clicked": ("in_place_change", None),
}


@pytest.mark.parametrize("case", NOT_WELL)
async def test_the_exit_status_is_2_where(world: World, case: str) -> None:
    outcome, reason = NOT_WELL[case]
    world.planner.outcomes = {"uk/app.tfstate": outcome}
    world.plan_limit_seconds = 0.05 if outcome == Hangs() else 30
    report = await world.check()
    assert of(report, "uk/app").reason is reason
    assert report.counts[Decision.CLEAN] == 3
    assert report.exit_status == 2


async def test_the_row_of_the_run_is_kept(world: World) -> None:
    world.planner.outcomes = {"uk/app.tfstate": inconclusive(), "de/network.tfstate": "in_place_change"}
    report = await world.check()
    row = await world.runs.run(run_id=RUN.run_id)
    assert row == CheckRunRow(
        run_id=RUN.run_id,
        started_at=RUN.started_at,
        finished_at=report.finished_at,
        status=RunStatus.FINISHED,
        trigger=Trigger.TERMINAL,
        scope=WHOLE_SCOPE,
        expected_stacks=4,
        checked_stacks=4,
        unplanned_stacks=1,
        counts={Decision.CLEAN: 2, Decision.HEAL: 1, Decision.HOLD: 1},
        holds={HoldReason.INCONCLUSIVE: 1},
        queued_jobs=1,
        problem_count=0,
    )
    assert row.exit_status == report.exit_status
    assert [job.stack for job in world.bench.queue.sent] == ["network"]


async def test_nothing_is_kept_or_queued_where_nothing_is_to_be(world: World) -> None:
    report = await world.check(keeps=False, checks=None, queueing=None)
    assert report.counts[Decision.HEAL] >= 1
    assert await world.runs.run(run_id=RUN.run_id) is None
    assert world.bench.steps.done == []


async def test_by_default_nothing_is_queued(world: World) -> None:
    report = await world.check(policy=Policy())
    assert of(report, "de/network").reason is HoldReason.DRY_RUN
    assert world.bench.queue.sent == []


async def test_a_stack_that_breaks_is_inconclusive_and_says_nothing_of_what_broke_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    error = RuntimeError(f"cannot parse {SECRET}")
    error.__cause__ = ValueError(SECRET)
    world.planner.outcomes["de/network.tfstate"] = Breaks(error, in_the_plan=True)
    with caplog.at_level(logging.DEBUG):
        report = await world.check()
    broken = of(report, "de/network")
    assert broken.reason is HoldReason.INCONCLUSIVE
    assert broken.diagnostics == ("Looking at it broke with RuntimeError. Report this with the run's log.",)
    assert of(report, "uk/app").decision is Decision.CLEAN
    [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.getMessage().startswith("stack de/network: RuntimeError\n")
    assert "planner_fake.py" in told.getMessage(), "where it broke"
    assert SECRET not in caplog.text
    assert SECRET not in report.model_dump_json()


async def test_a_market_that_cannot_be_read_costs_no_other_market_its_checks(world: World) -> None:
    world.estate.put(CONTAINERS.registry, "fr/subscription.json", b"{")
    report = await world.check()
    assert of(report, "fr/app").reason is HoldReason.INCONCLUSIVE
    assert of(report, "uk/app").decision is Decision.CLEAN
    assert [(one.market, one.record, one.code) for one in report.problems] == [
        ("fr", RecordKind.REGISTRY, FaultCode.NOT_JSON)
    ]


async def test_a_problem_alone_is_exit_status_2(world: World) -> None:
    world.planner.outcomes.clear()
    world.estate.put(CONTAINERS.trackers, "uk/Bad.json", b"")
    report = await world.check()
    assert report.counts == {Decision.CLEAN: 4}
    assert report.exit_status == 2


async def test_records_that_disagree_are_a_hold(world: World) -> None:
    put_state(world.estate, "de", "network", SERIAL + 1)
    assert of(await world.check(), "de/network").reason is HoldReason.RECORDS_DISAGREE
    assert "network" not in [job.stack for job in world.bench.queue.sent]


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        pytest.param(Scope(markets=("es",)), UnknownMarketError, id="market"),
        pytest.param(Scope(stacks=("web",)), UnknownStackError, id="stack"),
    ],
)
async def test_nothing_is_looked_at_for_an_unknown(world: World, scope: Scope, error: type[Exception]) -> None:
    with pytest.raises(error):
        await world.check(scope=scope)
    assert world.begun == []
    assert await world.runs.run(run_id=RUN.run_id) is None


async def test_a_scope_is_all_that_is_looked_at(world: World) -> None:
    scope = Scope(markets=("de",), stacks=("network",))
    report = await world.check(scope=scope)
    assert [check.name for check in report.results] == ["de/network"]
    row = await world.runs.run(run_id=RUN.run_id)
    assert row
    assert (row.scope, row.expected_stacks) == (scope, 1)


async def test_without_terraform_the_run_breaks_and_nothing_is_kept(world: World) -> None:
    world.planner.usual = Breaks(SettingsError("terraform: there is no such program"))
    with pytest.raises(SettingsError):
        await world.check()
    assert world.bench.steps.done == []


async def test_where_the_registry_cannot_be_listed_the_run_breaks(world: World) -> None:
    world.blobs.refuse("registry/", AccessDeniedError("registry", "403"))
    with pytest.raises(AccessDeniedError):
        await world.check()


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        pytest.param(INVALID, [(FaultCode.INVALID_FIELD, "line 3, rulez: there is no such field")], id="invalid"),
        pytest.param(Unread("403. Give a role."), [(FaultCode.UNAVAILABLE, "403. Give a role.")], id="unread"),
        pytest.param(ON, [], id="good"),
    ],
)
async def test_a_policy_is_told_of_once_where_it_is(world: World, policy: Any, told: list[Any]) -> None:
    report = await world.check(policy=policy)
    assert [(one.code, one.message) for one in report.problems] == told
    assert {(one.market, one.record, one.blob) for one in report.problems} <= {
        (WHOLE_ESTATE, RecordKind.POLICY, "policy.yaml")
    }
    assert of(report, "uk/app").decision is Decision.CLEAN
    assert bool(world.bench.queue.sent) is not bool(told)


IDLE: Final = Policy.model_validate(
    {
        "heal_mode": "on",
        "kill_switch": {"why": "INC-1", "market": ["u", "de"]},
        "freeze_windows": [{"cron": "0 0 1 1 *", "duration": "1h", "zone": "UTC", "market": ["emae/fr", "f*"]}],
        "heal_mode_by_market": [{"market": "emae/fr", "mode": "off"}, {"market": "misspelt", "mode": "on"}],
        "rules": [{"do": "never", "market": "d"}, {"do": "heal", "market": "misspelt"}],
    }
)


class TestABrakeThatNamesNoMarket:
    async def test_is_told_and_holds_nothing(self, world: World) -> None:
        report = await world.check(policy=IDLE)
        told = "no market is called {}, so it holds nothing"
        assert [(problem.code, problem.blob, problem.message) for problem in report.problems] == [
            (FaultCode.INVALID_FIELD, "policy.yaml", f"freeze_windows[0].market: {told.format('emae/fr')}"),
            (FaultCode.INVALID_FIELD, "policy.yaml", f"kill_switch.market: {told.format('u')}"),
        ]
        assert (of(report, "de/network").reason, of(report, "fr/app").decision) == (HoldReason.PAUSED, Decision.HEAL)

    async def test_says_what_stands_for_a_region(self) -> None:
        tally = CheckTally()
        policy = Policy(kill_switch=KillSwitch(why="INC-1", market=("emea",)))
        tally.add_idle_brakes(policy, ["emea/fr/app"])
        assert [problem.remedy for problem in tally.problems] == ["emea/* stands for all markets below it."]

    async def test_is_not_told_of_a_run_over_a_part(self, world: World) -> None:
        assert (await world.check(policy=IDLE, scope=Scope(markets=("de",)))).problems == ()

    async def test_is_not_told_of_a_market_that_could_not_be_looked_at(self, world: World) -> None:
        world.estate.put(CONTAINERS.registry, "uk/subscription.json", b"{")
        policy = Policy(kill_switch=KillSwitch(why="INC-1", market=("uk",)))
        assert {problem.record for problem in (await world.check(policy=policy)).problems} == {RecordKind.REGISTRY}

    async def test_is_not_told_where_there_is_no_market(self) -> None:
        tally = CheckTally()
        tally.add_idle_brakes(IDLE, [])
        assert tally.problems == []


async def test_a_row_and_a_job_that_cannot_be_kept_are_problems_and_the_report_is_whole(world: World) -> None:
    world.runs.refuse("save_run", DOWN)
    world.bench.ledger.refuse("put", DOWN)
    report = await world.check(scope=Scope(markets=("de",)))
    assert len(report.results) == 2
    assert [(one.market, one.record, one.blob) for one in report.problems] == [
        (WHOLE_ESTATE, RecordKind.RESULTS, "plancheckruns"),
        ("de", RecordKind.RESULTS, "plancheckruns"),
    ]
    assert world.bench.queue.sent == []


@pytest.mark.parametrize("width", [1, 2, 4])
async def test_no_more_stacks_are_in_work_than_asked_for(world: World, width: int) -> None:
    world.planner.outcomes.clear()
    world.planner.usual, world.plan_limit_seconds = Hangs(), 0.05
    report = await world.check(width=width)
    assert len(report.results) == world.planner.stopped == 4
    assert world.planner.most_in_work == width


async def test_a_bundle_that_is_gone_is_one_stacks_loss(world: World) -> None:
    [blob] = [one async for one in world.blobs.names(container=CONTAINERS.bundles, prefix="de/network/")]
    world.blobs.delete(BlobPlace(container=CONTAINERS.bundles, name=blob))
    report = await world.check()
    assert [check.name for check in report.results if check.reason is HoldReason.INCONCLUSIVE] == ["de/network"]
