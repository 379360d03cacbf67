"""The brake on events of the fleet: which markets count, in a run over the whole estate and in one over a part."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from drift.fleet import Fleet
from drift.policy import Limits
from drift.situation import FleetSpread, Unread
from records.errors import StoreUnavailableError
from records.findings import FindingKind
from records.plan_checks import Decision, HoldReason, StackObservation
from records.results import Run
from records.verdicts import Verdict
from tests.unit.drift_samples import INVALID, ON, finding
from tests.unit.observation_samples import CLICK, NOW, Bench, clicked, seen, unplanned

DAY: Final = timedelta(hours=24)
YESTERDAY: Final = Run(run_id="plans-0", started_at=NOW - DAY)
DOWN: Final = StoreUnavailableError("plancheckslatest", "503 ServerBusy")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def markets(count: int, *, of: int) -> list[StackObservation]:
    """So many markets with the same click, of so many."""
    return [clicked(f"m{number}") if number < count else seen(f"m{number}") for number in range(of)]


@pytest.mark.parametrize(
    ("count", "of", "outcome"),
    [
        pytest.param(2, 2, Decision.HEAL, id="both of two markets are too few to tell"),
        pytest.param(3, 3, HoldReason.FLEET_WIDE, id="all of three"),
        pytest.param(3, 10, Decision.HEAL, id="30 % is not over 30 %"),
        pytest.param(3, 9, HoldReason.FLEET_WIDE, id="a third"),
        pytest.param(4, 10, HoldReason.FLEET_WIDE, id="40 %"),
    ],
)
async def test_the_same_drift_in_many_markets_is_held_in_each(
    bench: Bench, count: int, of: int, outcome: Decision | HoldReason
) -> None:
    concluded = await bench.conclude(*markets(count, of=of))
    outcomes = [one.check.reason or one.check.decision for one in concluded]
    assert outcomes == [outcome] * count + [Decision.CLEAN] * (of - count)
    assert len(bench.queue.sent) == (count if outcome is Decision.HEAL else 0)


async def test_many_stacks_of_one_market_are_one_market(bench: Bench) -> None:
    concluded = await bench.conclude(*(clicked("de", f"s{number}") for number in range(9)))
    assert {one.check.decision for one in concluded} == {Decision.HEAL}


async def test_an_event_is_known_beside_whatever_else_is_up_in_a_stack(bench: Bench) -> None:
    others = [seen(f"m{number}", "network", CLICK, finding(f"azurerm_subnet.s{number}")) for number in range(3)]
    concluded = await bench.conclude(*others)
    assert {one.check.reason for one in concluded} == {HoldReason.FLEET_WIDE}


async def test_stacks_of_which_nothing_is_known_do_not_thin_the_share_out(bench: Bench) -> None:
    stale = finding(kind=FindingKind.STALE_STATE)
    nothing = [unplanned(f"u{number}") for number in range(20)]
    undeployed = [seen(f"n{number}", verdict=Verdict.NOT_DEPLOYED, lineage=None, serial=None) for number in range(20)]
    check = await bench.check_of(*markets(3, of=9), *nothing, *undeployed)
    assert check.reason is HoldReason.FLEET_WIDE
    thinned = await Bench().check_of(*markets(3, of=9), seen("z", "network", stale))
    assert thinned.decision is Decision.HEAL


async def keep(bench: Bench, *observations: StackObservation, **changes: Any) -> None:
    """As an earlier run kept them, which queued nothing."""
    await bench.conclude(*observations, **{"run": YESTERDAY, "queueing": None} | changes)


async def test_who_checks_one_market_after_another_does_not_pass_the_brake_by(bench: Bench) -> None:
    outcomes = []
    for number in range(4):
        run = Run(run_id=f"plans-{number}", started_at=NOW + timedelta(minutes=number))
        outcomes.append(await bench.check_of(clicked(f"m{number}"), run=run))
    assert [one.reason or one.decision for one in outcomes] == [Decision.HEAL] * 2 + [HoldReason.FLEET_WIDE] * 2


@pytest.mark.parametrize(
    ("age", "outcome"),
    [
        pytest.param(DAY, HoldReason.FLEET_WIDE, id="24 hours ago count"),
        pytest.param(DAY + timedelta(microseconds=1), Decision.HEAL, id="longer ago do not"),
        pytest.param(-timedelta(minutes=1), HoldReason.FLEET_WIDE, id="by a clock that is ahead count"),
    ],
)
async def test_the_checks_of_other_markets(bench: Bench, age: timedelta, outcome: Decision | HoldReason) -> None:
    await keep(bench, *(clicked(f"m{number}", checked_at=NOW - age) for number in range(3)))
    check = await bench.check_of(clicked())
    assert (check.reason or check.decision) is outcome


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([unplanned(f"m{number}") for number in range(9)], id="were not planned"),
        pytest.param([seen(f"m{number}", verdict=Verdict.NOT_DEPLOYED) for number in range(9)], id="are not deployed"),
    ],
)
async def test_other_markets_do_not_thin_the_share_out_that(bench: Bench, others: list[StackObservation]) -> None:
    await keep(bench, clicked("a"), clicked("b"), *others)
    assert (await bench.check_of(clicked())).reason is HoldReason.FLEET_WIDE


async def test_other_markets_that_are_clean_count(bench: Bench) -> None:
    await keep(bench, clicked("a"), clicked("b"), *(seen(f"m{number}") for number in range(9)))
    assert (await bench.check_of(clicked())).decision is Decision.HEAL


@pytest.mark.parametrize("policy", [INVALID, Unread("403")], ids=["was invalid", "could not be read"])
async def test_a_drift_counts_that_was_held_since_the_policy(bench: Bench, policy: Any) -> None:
    await keep(bench, *(clicked(f"m{number}") for number in range(3)), policy=policy)
    assert (await bench.check_of(clicked())).reason is HoldReason.FLEET_WIDE


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        pytest.param(seen, Decision.HEAL, id="is planned in this run does not count"),
        pytest.param(unplanned, HoldReason.FLEET_WIDE, id="has no plan in this run counts"),
    ],
)
async def test_what_was_found_before_in_a_stack_that(
    bench: Bench, now: Callable[[str], StackObservation], outcome: Decision | HoldReason
) -> None:
    await keep(bench, clicked("a"), clicked("b"))
    check = await bench.check_of(clicked(), now("a"), now("b"))
    assert (check.reason or check.decision) is outcome


async def test_a_run_that_ends_twice_counts_its_own_checks_once(bench: Bench) -> None:
    first = await bench.conclude(*markets(3, of=10))
    await bench.checks.prune(started_before=NOW + DAY)
    assert [one.check for one in await bench.conclude(*markets(3, of=10))] == [one.check for one in first]
    bench.steps.done.clear()
    assert [one.check for one in await bench.conclude(*markets(3, of=10))] == [one.check for one in first]
    assert bench.steps.done == []


async def test_other_stacks_of_a_market_in_the_run_count(bench: Bench) -> None:
    await keep(bench, *(clicked(market, "app") for market in ("a", "b")))
    check = await bench.check_of(clicked("de"), seen("a"), seen("b"))
    assert check.reason is HoldReason.FLEET_WIDE


async def test_where_the_others_checks_cannot_be_read_a_drift_is_held_and_the_clean_are_clean(bench: Bench) -> None:
    bench.checks.refuse("sketches", DOWN)
    held, clean = await bench.conclude(clicked(), seen("fr"))
    assert held.check.reason is HoldReason.INCONCLUSIVE
    assert "The checks of the other markets cannot be read: plancheckslatest: 503 ServerBusy." in held.check.why
    assert clean.check.decision is Decision.CLEAN
    assert bench.queue.sent == []


async def test_a_check_that_cannot_be_read_is_no_market_fewer(bench: Bench) -> None:
    await keep(bench, clicked("a"), clicked("b"), *(seen(f"m{number}") for number in range(3)))
    bench.checks.spoil(YESTERDAY.run_id)
    check = await bench.check_of(clicked())
    assert check.reason is HoldReason.INCONCLUSIVE
    assert "cannot read the latest check of a/network" in check.why
    assert bench.queue.sent == []


async def test_the_share_is_the_policys(bench: Bench) -> None:
    freer = ON.model_copy(update={"limits": Limits(fleet_percent=100)})
    assert (await bench.check_of(*markets(9, of=9), policy=freer)).decision is Decision.HEAL


class TestTheSpread:
    def test_is_that_of_the_most_widespread_finding(self) -> None:
        fleet = Fleet()
        fleet.add("a", ["one", "two"])
        fleet.add("b", ["two"])
        fleet.add("b", ["two"])
        fleet.add("c", [])
        assert fleet.spread(["one", "two"]) == FleetSpread(markets_with_it=2, markets_checked=3)
        assert fleet.spread(["three"]) == FleetSpread(markets_with_it=0, markets_checked=3)

    def test_is_not_known_where_a_part_is_not_whatever_was_found(self) -> None:
        fleet = Fleet(unknown=Unread("503"))
        fleet.add("a", ["one"])
        assert fleet.spread(["one"]) == fleet.spread([]) == Unread("503")
