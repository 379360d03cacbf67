"""Every reason for which a worker holds a job: nothing is applied, also where the reason comes after the plan."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from drift.decide import APPROVABLE
from drift.policy import KillSwitch, Limits
from drift.policy_rules import Rule, RuleAction
from drift.situation import Unread
from records.errors import StoreError, StoreUnavailableError
from records.heal_ledger import Approval, HealStep, Lever, LeverUse
from records.heals import HealMode
from records.plan_checks import HoldReason
from tests.unit.drift_samples import ALWAYS, INVALID, ON
from tests.unit.healing_bench import HAPPY, HealBench
from tests.unit.healing_cloud import OTHER, RDP, SSH
from tests.unit.observation_samples import NOW
from tests.unit.planner_fake import inconclusive

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


def policy(**changes: Any) -> Callable[[HealBench], None]:
    def change(bench: HealBench) -> None:
        bench.policy = ON.model_copy(update=changes)

    return change


def refusing(method: str, error: StoreError = DOWN) -> Callable[[HealBench], None]:
    def change(bench: HealBench) -> None:
        store = bench.checks if method == "sketches" else bench.ledger
        store.refuse(method, error)

    return change


def paused(market: str | None) -> Callable[[HealBench], Awaitable[None]]:
    async def change(bench: HealBench) -> None:
        await bench.ledger.pull(use=LeverUse(lever=Lever.PAUSE, by="alice", reason="migration", at=NOW, market=market))

    return change


async def heal_it_three_times(bench: HealBench) -> None:
    """On serials of their own, so that each is another job."""
    bench.cloud.moves_serial = True
    for _ in range(3):
        await bench.heal(await bench.clicked())
    bench.cloud.applies.clear()
    bench.telemetry.moved.clear()


async def find_it_everywhere(bench: HealBench) -> None:
    """The checks of three other markets, of an hour ago."""
    await bench.check()
    mine = await bench.checks.latest_of_stack(market="de", stack="network")
    assert mine
    for market in ("fr", "uk", "es"):
        check = mine.check.model_copy(update={"market": market, "checked_at": NOW - timedelta(hours=1)})
        await bench.checks.save_check(stored=mine.model_copy(update={"check": check}))


def shows(plan: Any) -> Callable[[HealBench], None]:
    def change(bench: HealBench) -> None:
        bench.cloud.shows = plan

    return change


Change = Callable[[HealBench], Any]

BEFORE_THE_CHECK: Final[dict[HoldReason, Change]] = {
    HoldReason.UNSAFE: shows("removed_block_forgets"),
    HoldReason.DESTRUCTIVE: shows("click_forces_replacement"),
    HoldReason.MIXED: shows("drift_and_pending_change_apart"),
    HoldReason.PENDING_CHANGE: shows("provider_upgrade"),
    HoldReason.OSCILLATING: heal_it_three_times,
}
"""What makes the plan, or the history, what it is; the job is made for that."""
AFTER_THE_CHECK: Final[dict[HoldReason, Change]] = {
    HoldReason.INCONCLUSIVE: lambda bench: setattr(bench, "policy", INVALID),
    HoldReason.PAUSED: policy(kill_switch=KillSwitch(why="migration")),
    HoldReason.FROZEN: policy(freeze_windows=(ALWAYS,)),
    HoldReason.RECORDS_DISAGREE: lambda bench: bench.world.register(serial=43),
    HoldReason.LOCKED: lambda bench: bench.cloud.lock("1", "bob@laptop"),
    HoldReason.PROTECTED: policy(rules=(Rule(do=RuleAction.NEVER),)),
    HoldReason.BLAST_RADIUS: policy(limits=Limits(heal_max_resources=0)),
    HoldReason.FLEET_WIDE: find_it_everywhere,
    HoldReason.APPROVAL_REQUIRED: policy(rules=(Rule(do=RuleAction.ASK),)),
    HoldReason.DRY_RUN: policy(heal_mode=HealMode.DRY_RUN),
}


async def do(change: Change | None, bench: HealBench) -> None:
    if change and (done := change(bench)) is not None:
        await done


async def queued_to_be_held(bench: HealBench, reason: HoldReason) -> bytes:
    """A job that a check has queued, and for which the reason applies by the time a worker takes it."""
    await do(BEFORE_THE_CHECK.get(reason), bench)
    message = await bench.clicked()
    await do(AFTER_THE_CHECK.get(reason), bench)
    return message


def test_every_reason_is_reached_here() -> None:
    assert {*BEFORE_THE_CHECK, *AFTER_THE_CHECK} == set(HoldReason)


@pytest.mark.parametrize("reason", HoldReason)
async def test_a_job_is_held_as(bench: HealBench, reason: HoldReason) -> None:
    message = await queued_to_be_held(bench, reason)
    row = await bench.assert_held(message, reason)
    assert bench.steps == [HealStep.BEGUN, HealStep.HELD]
    assert row.events[-1].note
    assert bench.world.blobs.writes == [] or reason is HoldReason.OSCILLATING


@pytest.mark.parametrize("reason", sorted(APPROVABLE))
async def test_an_approval_of_its_own_reason_overrules(bench: HealBench, reason: HoldReason) -> None:
    message = await queued_to_be_held(bench, reason)
    await approve(bench, reason)
    row = await bench.heal(message)
    assert row.step is HealStep.VERIFIED
    assert bench.steps == HAPPY
    assert len(bench.cloud.applies) == 1


@pytest.mark.parametrize("reason", HoldReason)
async def test_approvals_of_all_other_reasons_do_not_overrule(bench: HealBench, reason: HoldReason) -> None:
    message = await queued_to_be_held(bench, reason)
    await approve(bench, *(other for other in HoldReason if other is not reason))
    await bench.assert_held(message, reason)


@pytest.mark.parametrize("reason", sorted(set(HoldReason) - APPROVABLE))
async def test_no_approval_overrules(bench: HealBench, reason: HoldReason) -> None:
    message = await queued_to_be_held(bench, reason)
    await approve(bench, *HoldReason)
    await bench.assert_held(message, reason)


async def approve(bench: HealBench, *reasons: HoldReason) -> None:
    kept = await bench.ledger.find(job_id=bench.row.job.job_id)
    assert kept
    approvals = tuple(Approval(reason=reason, by="alice", at=NOW) for reason in reasons)
    for reason in reasons:
        use = LeverUse(
            lever=Lever.APPROVE, by="alice", reason="x", at=NOW, job_id=kept.row.job.job_id, overrules=reason
        )
        await bench.ledger.pull(use=use)
    await bench.ledger.put(row=kept.row.model_copy(update={"approvals": approvals}), replaces=kept.etag)


MORE: Final[dict[str, tuple[Change, HoldReason, str]]] = {
    "the policy cannot be read": (
        lambda bench: setattr(bench, "policy", Unread("403. Give the role.")),
        HoldReason.INCONCLUSIVE,
        "Not known: the policy. 403. Give the role.",
    ),
    "the pauses cannot be read": (refusing("pauses"), HoldReason.INCONCLUSIVE, "The pauses cannot be read: heals: 503"),
    "the earlier heals cannot be read": (refusing("of_stack"), HoldReason.INCONCLUSIVE, "earlier heals cannot be read"),
    "the other markets cannot be read": (refusing("sketches"), HoldReason.INCONCLUSIVE, "other markets cannot be read"),
    "there is no plan": (shows(inconclusive()), HoldReason.INCONCLUSIVE, "There is no plan to judge: Terraform gave"),
    "everything is paused": (paused(None), HoldReason.PAUSED, "alice paused healing on"),
    "its market is paused": (paused("de"), HoldReason.PAUSED, "alice paused healing on"),
    "its market's mode is off": (policy(heal_mode=HealMode.OFF), HoldReason.PAUSED, "The heal mode of de is off."),
    "its lock says nothing": (lambda bench: bench.world.lock(metadata=False), HoldReason.LOCKED, "does not name"),
}


@pytest.mark.parametrize("case", MORE)
async def test_a_job_is_held_where(bench: HealBench, case: str) -> None:
    change, reason, saying = MORE[case]
    message = await bench.clicked()
    await do(change, bench)
    await bench.assert_held(message, reason, saying)


async def test_a_pause_of_another_market_holds_nothing_here(bench: HealBench) -> None:
    message = await bench.clicked()
    await do(paused("fr"), bench)
    assert (await bench.heal(message)).step is HealStep.VERIFIED


async def test_somebody_elses_lock_is_named_with_who_and_never_with_a_way_to_force_it(bench: HealBench) -> None:
    message = await bench.clicked()
    bench.cloud.lock("1", "bob@laptop")
    row = await bench.assert_held(message, HoldReason.LOCKED, "by bob@laptop.")
    assert "force-unlock" not in str(row.events[-1].note)
    assert bench.cloud.is_locked


LATE: Final[dict[str, tuple[Change, HoldReason]]] = {
    "a person's pause": (paused(None), HoldReason.PAUSED),
    "a market's pause": (paused("de"), HoldReason.PAUSED),
    "the policy's kill switch": (AFTER_THE_CHECK[HoldReason.PAUSED], HoldReason.PAUSED),
    "a code freeze": (AFTER_THE_CHECK[HoldReason.FROZEN], HoldReason.FROZEN),
    "a mode that is off": (policy(heal_mode=HealMode.OFF), HoldReason.PAUSED),
    "a rule that says never": (AFTER_THE_CHECK[HoldReason.PROTECTED], HoldReason.PROTECTED),
    "a policy that is broken": (AFTER_THE_CHECK[HoldReason.INCONCLUSIVE], HoldReason.INCONCLUSIVE),
    "pauses that cannot be read any more": (refusing("pauses"), HoldReason.INCONCLUSIVE),
}


@pytest.mark.parametrize("case", LATE)
async def test_what_comes_after_the_plan_and_before_the_apply_stops_it(bench: HealBench, case: str) -> None:
    change, reason = LATE[case]
    message = await bench.clicked()
    reads = 0

    async def read_policy() -> Any:
        nonlocal reads
        reads += 1
        if reads == 2:
            await do(change, bench)
        return bench.policy

    await bench.assert_held(message, reason, read_policy=read_policy)
    assert bench.steps == [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.HELD]
    assert bench.row.applied_at == (), "the breaker counts no apply that was stopped"
    assert reads == 2


class TestTheBreaker:
    async def test_counts_heals_of_the_same_drift_on_other_serials(self, bench: HealBench) -> None:
        message = await queued_to_be_held(bench, HoldReason.OSCILLATING)
        assert len({row.job.serial for row in bench.ledger.all_rows}) == 4
        await bench.assert_held(message, HoldReason.OSCILLATING, "The same drift was healed 3 times within 24 h")

    async def test_counts_heals_of_one_job(self, bench: HealBench) -> None:
        for _ in range(3):
            await bench.heal(await bench.clicked())
        assert len(bench.ledger.all_rows) == 1
        bench.cloud.applies.clear()
        bench.telemetry.moved.clear()
        await bench.assert_held(await bench.clicked(), HoldReason.OSCILLATING)

    async def test_counts_what_did_not_converge(self, bench: HealBench) -> None:
        bench.cloud.undone_again = True
        steps = [(await bench.heal(await bench.clicked())).step for _ in range(4)]
        assert steps == [HealStep.NOT_CONVERGED] * 3 + [HealStep.HELD]

    async def test_counts_no_other_drift(self, bench: HealBench) -> None:
        for address in (SSH, RDP, OTHER, SSH):
            assert (await bench.heal(await bench.clicked(address))).step is HealStep.VERIFIED

    async def test_forgets_after_its_hours(self, bench: HealBench) -> None:
        await heal_it_three_times(bench)
        bench.now += timedelta(hours=24)
        assert (await bench.heal(await bench.clicked())).step is HealStep.VERIFIED
