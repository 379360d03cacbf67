"""The laws of healing, held by examples that nobody chose: only what was judged is ever applied, and what is told is true."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, assume, find, given, settings
from hypothesis import strategies as st

from drift.brakes import Brakes
from drift.checks import check_of, finding_fingerprints, job_of
from drift.healing.judging import GONE_OVER, End, is_gone_over, why_ended, why_held, why_not_resumed
from drift.healing.resuming import OF_OUR_OWN_MAKING, is_as_left, is_drift_that_was_judged, left_by
from drift.policy import KillSwitch
from records.errors import TrueupError
from records.findings import FindingKind
from records.heal_ledger import ENDED, HealRow, HealStep, OwnLock
from records.locks import UNREADABLE_LOCK, Lock
from records.plan_checks import Decision, HoldReason, StackObservation
from records.readings import Present, StateHead
from records.terraform import Applied, Cause, FailedApply, Reach
from records.verdicts import Verdict
from tests.estates import SERIAL
from tests.unit.drift_samples import ON, finding
from tests.unit.healing_bench import HealBench
from tests.unit.healing_cloud import AS_DEPLOYED, OTHER, RDP, SSH, CutOff
from tests.unit.observation_samples import NOW, CrashError, brakes, plan_of, seen
from tests.unit.planner_fake import inconclusive
from tests.unit.test_check_laws import FLEETS, POLICIES, is_a_click_that_may_be_undone, observations

CLICK: Final = finding("azurerm_subnet.clicked")
OTHER_BUNDLES: Final = st.sampled_from(["9" * 64, "8" * 64])


def row_for(one: StackObservation) -> HealRow:
    """A job that a check has made of what was seen, and that nobody has begun."""
    check = check_of(one, brakes(), now=NOW)
    return HealRow(
        job=job_of(check, queued_at=NOW, expires_at=NOW),
        step=HealStep.BEGUN,
        run_id="plans-1",
        finding_fingerprints=finding_fingerprints(check.findings),
    )


JOB: Final = row_for(seen("de", "network", CLICK))
BRAKES: Final = st.builds(
    Brakes,
    policy=POLICIES,
    pauses=st.just(()),
    heals=st.lists(st.just(NOW), max_size=4).map(tuple),
    fleet=FLEETS,
)


@st.composite
def looks(draw: st.DrawFn) -> StackObservation:
    """What a worker sees: mostly what the job was made for, and now and then of another bundle."""
    one = draw(observations())
    return one.model_copy(update={"bundle_sha256": one.bundle_sha256 and draw(OTHER_BUNDLES)})


@settings(max_examples=300)
@given(looks(), BRAKES)
def test_nothing_is_applied_but_the_jobs_own_drift_on_its_own_ground_with_nothing_to_hold_it(
    one: StackObservation, latest: Brakes
) -> None:
    if why_ended(JOB, one, latest, now=NOW) is not None:
        return
    job = JOB.job
    assert one.plan
    assert one.plan.fingerprint == job.fingerprint
    assert (one.lineage, one.serial, one.bundle_sha256) == (job.lineage, job.serial, job.bundle_sha256)
    assert check_of(one, latest, now=NOW).decision is Decision.HEAL
    assert is_a_click_that_may_be_undone(one)
    assert why_held(one, latest, now=NOW) is None


@settings(max_examples=200)
@given(looks(), BRAKES)
def test_what_is_not_applied_ends_superseded_or_held_with_a_reason_and_a_sentence(
    one: StackObservation, latest: Brakes
) -> None:
    end = why_ended(JOB, one, latest, now=NOW)
    if end is None:
        return
    assert end.step in {HealStep.SUPERSEDED, HealStep.HELD}
    assert (end.reason is not None) is (end.step is HealStep.HELD)
    assert end.note


def test_the_laws_are_not_held_for_want_of_looks_that_are_applied() -> None:
    found = settings(database=None)
    find(looks(), lambda one: why_ended(JOB, one, brakes(), now=NOW) is None, settings=found)
    find(looks(), lambda one: _step(why_ended(JOB, one, brakes(), now=NOW)) is HealStep.SUPERSEDED, settings=found)
    find(looks(), lambda one: _step(why_ended(JOB, one, brakes(), now=NOW)) is HealStep.HELD, settings=found)


def _step(end: End | None) -> HealStep | None:
    return end.step if end else None


FOUR: Final = [finding(f"azurerm_subnet.{name}") for name in "abcd"]
KINDS: Final = st.sampled_from(FindingKind)


@given(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3), min_size=1), st.lists(KINDS, min_size=4, max_size=4))
def test_what_is_left_is_gone_on_with_exactly_where_all_of_it_is_drift_that_was_judged_to_the_last_attribute(
    left: set[int], judged: set[int], kinds: list[FindingKind]
) -> None:
    row = JOB.model_copy(update={"finding_fingerprints": finding_fingerprints(FOUR[number] for number in judged)})
    found = [FOUR[number].model_copy(update={"kind": kinds[number]}) for number in sorted(left)]
    changing = {number for number in left if kinds[number] is not FindingKind.STALE_STATE}
    assert is_drift_that_was_judged(row, plan_of(*found)) is (
        changing <= judged and all(kinds[number] is FindingKind.PORTAL_DRIFT for number in changing)
    )
    for beside in ("carried_along", "late_reads", "changed_outputs"):
        more = plan_of(*found).model_copy(update={beside: ("azurerm_subnet.moved",)})
        assert not is_drift_that_was_judged(row, more)


WHOLE: Final = Applied(most_writes=1)
HALF: Final = FailedApply(failure=inconclusive(), reach=Reach.BEGUN, changed=1, most_writes=1)


@given(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3), min_size=1), st.lists(KINDS, min_size=4, max_size=4))
def test_a_change_that_waits_is_ours_only_where_an_apply_has_failed_before_it_came_to_it(
    left: set[int], judged: set[int], kinds: list[FindingKind]
) -> None:
    plan = plan_of(*(FOUR[number] for number in judged))
    found = [FOUR[number].model_copy(update={"kind": kinds[number]}) for number in sorted(left)]
    shown = plan_of(*found)
    changing = {number for number in left if kinds[number] is not FindingKind.STALE_STATE}
    is_drift = all(kinds[number] is FindingKind.PORTAL_DRIFT for number in changing)
    is_rest = all(kinds[number] in {FindingKind.PORTAL_DRIFT, FindingKind.PENDING_CHANGE} for number in changing)
    assert is_as_left(WHOLE, judged=plan, shown=shown) is is_drift
    assert is_as_left(HALF, judged=plan, shown=shown) is (
        changing <= judged and (is_rest if len(judged) > 1 else is_drift)
    )
    for apply in (WHOLE, HALF):
        assert not is_as_left(apply, judged=plan, shown=plan_of(*found, carried_along=("azurerm_subnet.moved",)))
        assert not is_as_left(apply, judged=plan, shown=shown.model_copy(update={"changed_outputs": ("a",)}))


@given(
    serial=st.integers(SERIAL - 2, SERIAL + 5),
    lineage=st.sampled_from([None, "the", "another"]),
    changed=st.integers(0, 2),
    most_writes=st.integers(1, 3),
    cause=st.sampled_from(Cause),
    reach=st.sampled_from(Reach),
)
def test_no_state_is_an_applys_that_it_cannot_have_left(
    serial: int, lineage: str | None, changed: int, most_writes: int, cause: Cause, reach: Reach
) -> None:
    failed = FailedApply(failure=inconclusive(cause), reach=reach, changed=changed, most_writes=most_writes)
    judged, state = StateHead(serial=SERIAL, lineage="the"), StateHead(serial=serial, lineage=lineage)
    can_be = lineage == "the" and SERIAL <= serial <= SERIAL + most_writes
    assert left_by(Applied(most_writes=most_writes), judged=judged, state=state) == (serial if can_be else None)
    can_have_written = reach is Reach.BEGUN and cause is not Cause.STATE_LOST
    assert left_by(failed, judged=judged, state=state) == (serial if can_be and can_have_written else None)


@settings(max_examples=200)
@given(
    looks(),
    st.sampled_from([UNREADABLE_LOCK, Lock(ID="1", Who="bob@laptop")]),
    st.booleans(),
    st.none() | st.integers(SERIAL, SERIAL + 2),
)
def test_no_job_is_gone_on_with_on_ground_that_its_own_apply_cannot_have_left(
    one: StackObservation, lock: Lock, is_ours: bool, left_serial: int | None
) -> None:
    own_lock = OwnLock(id="1", who="us@here") if is_ours else None
    row = JOB.model_copy(update={"own_lock": own_lock, "left_serial": left_serial})
    end = why_not_resumed(row, one)
    if end is None:
        assert one.plan
        assert one.lock is None
        assert one.verdict in OF_OUR_OWN_MAKING
        assert (one.lineage, one.bundle_sha256) == (row.job.lineage, row.job.bundle_sha256)
        assert one.serial is not None
        assert one.serial >= row.job.serial
        assert one.verdict is Verdict.HEALTHY or one.serial == left_serial
    else:
        assert end.step is (HealStep.SUPERSEDED if end.note == GONE_OVER else HealStep.HELD)
        assert end.note != GONE_OVER or is_gone_over(one)
    locked = why_not_resumed(row, one.model_copy(update={"lock": lock}))
    assert locked
    assert ("force-unlock" in locked.note) is (is_ours and lock.id == "1")


MEANWHILE: Final[dict[str, Callable[[HealBench], object]]] = {
    "nothing": lambda bench: None,
    "a click on another rule": lambda bench: bench.cloud.click(OTHER),
    "the click is undone": lambda bench: bench.cloud.real.update(AS_DEPLOYED),
    "a strangers apply": lambda bench: bench.cloud.deploy_by_hand(ssh="Allow", other="Ask"),
    "another serial": lambda bench: bench.cloud.write_state(SERIAL + 7),
    "a state of before": lambda bench: bench.cloud.write_state(SERIAL - 1),
    "a kill switch": lambda bench: setattr(bench, "policy", ON.model_copy(update={"kill_switch": KillSwitch(why="x")})),
    "a lock": lambda bench: bench.cloud.lock("1", "bob@laptop"),
}
SETTLED: Final = {"nothing", "the click is undone"}
DEEDS: Final = [
    "that it is begun",
    "that it is judged",
    "that it is applying",
    "its lock",
    "the apply",
    "that it is applied",
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    clicks=st.sets(st.sampled_from([SSH, RDP]), min_size=1),
    moves_serial=st.booleans(),
    death=st.none() | st.tuples(st.sampled_from(["before", "after"]), st.sampled_from(DEEDS)),
    cut_off=st.none() | st.builds(CutOff, after=st.integers(0, 2), writes_state=st.booleans()),
    before=st.sampled_from(sorted(MEANWHILE)),
    between=st.sampled_from(sorted(MEANWHILE)),
)
def test_whatever_happens_only_what_was_judged_is_applied_and_what_is_told_is_true(
    clicks: set[str], moves_serial: bool, death: Any, cut_off: CutOff | None, before: str, between: str
) -> None:
    assume(not (before == between == "a lock"))
    asyncio.run(_live(clicks, moves_serial, death, cut_off, before, between))


async def _live(
    clicks: set[str], moves_serial: bool, death: Any, cut_off: CutOff | None, before: str, between: str
) -> None:
    bench = HealBench()
    message = await bench.clicked(*clicks)
    bench.cloud.moves_serial, bench.cloud.cut_off, bench.mortal.dies_at = moves_serial, cut_off, death
    MEANWHILE[before](bench)
    await _deliver(bench, message)
    applies = len(bench.cloud.applies)
    has_ended = bench.row.step in ENDED
    MEANWHILE[between](bench)
    for _ in range(3):
        await _deliver(bench, message)

    row = bench.row
    assert row.step in ENDED
    assert all(set(one) <= clicks and set(one.values()) <= {"Deny"} for one in bench.cloud.applies)
    assert before in SETTLED or not bench.cloud.applies
    assert between in SETTLED or len(bench.cloud.applies) == applies
    assert not has_ended or len(bench.cloud.applies) == applies
    if row.step is HealStep.VERIFIED and before == between == "nothing":
        assert bench.cloud.real == bench.cloud.code
        assert await bench.verdict() is Verdict.HEALTHY
    if row.step in {HealStep.VERIFIED, HealStep.NOT_CONVERGED, HealStep.SUPERSEDED}:
        assert row.applying_since is None
    if before == between == "nothing":
        may_be_a_strangers = (
            (death or cut_off) and bench.cloud.serial != SERIAL and row.reason is HoldReason.RECORDS_DISAGREE
        )
        assert row.step in {HealStep.VERIFIED, HealStep.NOT_CONVERGED} or may_be_a_strangers
        assert row.step is not HealStep.NOT_CONVERGED or cut_off


SOON: Final = {"after the apply", "its lock"}
"""Moments at which a deploy of the same resources and outputs would pass for the end of the apply."""
MOMENTS: Final = ["before the plan", "before the apply", "after the apply", "after a death", *DEEDS]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    clicks=st.sets(st.sampled_from([SSH, RDP]), min_size=1),
    moves_serial=st.booleans(),
    death=st.none() | st.tuples(st.sampled_from(["before", "after"]), st.sampled_from(DEEDS)),
    cut_off=st.none()
    | st.builds(
        CutOff,
        after=st.integers(0, 2),
        writes_state=st.booleans(),
        dies=st.none() | st.just(CrashError),
    ),
    moment=st.sampled_from(MOMENTS),
    rules=st.dictionaries(st.sampled_from(["ssh", "rdp", "other"]), st.sampled_from(["Allow", "Ask"])),
    outputs=st.sampled_from([None, "another"]),
)
def test_a_deploy_that_is_not_on_record_is_neither_undone_nor_put_on_record(
    clicks: set[str],
    moves_serial: bool,
    death: Any,
    cut_off: CutOff | None,
    moment: str,
    rules: dict[str, str],
    outputs: str | None,
) -> None:
    assume(outputs or moment not in SOON)
    asyncio.run(_live_with_a_deploy(clicks, moves_serial, death, cut_off, moment, rules, outputs))


async def _live_with_a_deploy(
    clicks: set[str],
    moves_serial: bool,
    death: Any,
    cut_off: CutOff | None,
    moment: str,
    rules: dict[str, str],
    outputs: str | None,
) -> None:
    bench = HealBench()
    message = await bench.clicked(*clicks)
    bench.cloud.moves_serial, bench.cloud.cut_off, bench.mortal.dies_at = moves_serial, cut_off, death
    left: dict[str, str] = {}

    def deploy() -> None:
        if not left:
            bench.cloud.deploy_by_hand(outputs, **rules)
            left.update(bench.cloud.real)

    def on_put(row: HealRow) -> None:
        if moment == f"that it is {row.step}" or (moment == "its lock" and row.own_lock and not bench.cloud.is_locked):
            deploy()

    bench.ledger.on_put = on_put
    hooks = {"before the plan": "before_plan", "before the apply": "before_apply", "after the apply": "after_apply"}
    if moment in hooks:
        setattr(bench.cloud, hooks[moment], deploy)
    for _ in range(3):
        await _deliver(bench, message)
        if moment == "after a death" and bench.row.step not in ENDED:
            deploy()
    if left:
        tracker = await bench.world.records.tracker(market="de", stack="network", subscription_id=None)
        assert isinstance(tracker, Present)
        assert bench.cloud.real == left
        assert tracker.record.serial != bench.cloud.serial
        assert await bench.verdict() is not Verdict.HEALTHY


async def _deliver(bench: HealBench, message: bytes) -> None:
    try:
        await bench.healer().heal(message)
    except (TrueupError, CrashError):
        bench.leases.taken.clear()
