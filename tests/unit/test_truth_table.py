"""Every row of the design's truth table, and its edges."""

from datetime import timedelta

import pytest

from reconcile.compare import StackIdentity, compare
from records.faults import RecordKind
from records.readings import Absent, ContentSighting, NotLookedFor, StackReadings
from records.results import StackResult
from records.verdicts import Note, OddOneOut, Severity, Tier, Verdict
from tests.unit.readings_samples import (
    LAST_CHANGE,
    MD5,
    NO_STATE,
    NO_TRACKER,
    NOT_IN_REGISTRY,
    NOW,
    OTHER_MD5,
    facts,
    lock,
    readings,
    registry,
    state,
    tracker,
    unreadable,
)

IDENTITY = StackIdentity(market="de", stack="network", subscription_id="s", owner="platform@example.com")
A, B, C = "lineage-a", "lineage-b", "lineage-c"


def judged(given: StackReadings, previous: StackResult | None = None) -> StackResult:
    return compare(IDENTITY, given, now=NOW, in_flight_minutes=60, previous=previous)


def after(**duration: float) -> StackReadings:
    """Tier 3: the state changed so long after the record's time."""
    return readings(state(), NO_TRACKER, registry(None, deployed_at=LAST_CHANGE - timedelta(**duration)))


ROWS = [
    pytest.param(readings(state(), tracker(), registry()), 1, "healthy", "none", "none", 0, id="all three agree"),
    pytest.param(readings(state(), NO_TRACKER, registry()), 2, "healthy", "none", "none", 0, id="state and registry agree"),
    pytest.param(
        readings(state(), tracker(None), registry()), 2, "healthy", "none", "none", 0, id="a tracker without a serial is tier 2"
    ),
    pytest.param(
        readings(state(), tracker(), registry(None)), 1, "healthy", "none", "none", 0, id="a registry without a serial has no vote"
    ),
    pytest.param(
        readings(state(), tracker(state_md5=MD5), registry()), 1, "healthy", "none", "none", 0, id="the content is the tracker's"
    ),
    pytest.param(
        readings(state(), tracker(state_md5=MD5.upper()), registry()), 1, "healthy", "none", "none", 0, id="an MD5's case means nothing"
    ),
    pytest.param(
        readings(state(0), tracker(0), registry(0)), 1, "healthy", "none", "none", 0, id="serial 0 is a serial"
    ),
    pytest.param(
        readings(unreadable(RecordKind.STATE), tracker(), registry()), 1, "unreadable", "high", "state", None, id="unreadable state"
    ),
    pytest.param(
        readings(state(), unreadable(RecordKind.TRACKER), registry()),
        None, "unreadable", "high", "tracker", None, id="an unreadable tracker chooses no lower tier",
    ),
    pytest.param(
        readings(NotLookedFor(), tracker(), unreadable(RecordKind.REGISTRY)),
        1, "unreadable", "high", "registry", None, id="unreadable registry entry",
    ),
    pytest.param(
        readings(state(), NO_TRACKER, unreadable(RecordKind.REGISTRY)),
        None, "unreadable", "high", "registry", None, id="an unreadable registry chooses no lower tier",
    ),
    pytest.param(
        readings(unreadable(RecordKind.STATE), unreadable(RecordKind.TRACKER), registry()),
        None, "unreadable", "high", "undetermined", None, id="two unreadable records",
    ),
    pytest.param(
        readings(NotLookedFor(), tracker(), NOT_IN_REGISTRY), 1, "unregistered", "medium", "registry", None, id="only a tracker"
    ),
    pytest.param(
        readings(state(), NO_TRACKER, NOT_IN_REGISTRY), 3, "unregistered", "medium", "registry", None, id="only a state"
    ),
    pytest.param(
        readings(NO_STATE, NO_TRACKER, registry(None)), 3, "not_deployed", "info", "none", None, id="registered and never deployed"
    ),
    pytest.param(
        readings(NO_STATE, tracker(None), registry(None)), 3, "not_deployed", "info", "none", None, id="a tracker that claims nothing"
    ),
    pytest.param(
        readings(Absent("x", facts(size_bytes=0)), NO_TRACKER, registry(None)),
        3, "not_deployed", "info", "none", None, id="a 0-byte state is no state",
    ),
    pytest.param(
        readings(NO_STATE, tracker(), registry(None)), 1, "state_missing", "critical", "state", None, id="the tracker claims a serial"
    ),
    pytest.param(
        readings(NO_STATE, NO_TRACKER, registry()), 2, "state_missing", "critical", "state", None, id="the registry claims a serial"
    ),
    pytest.param(
        readings(NO_STATE, tracker(None, deployed_at=NOW), registry(None)),
        3, "state_missing", "critical", "state", None, id="the tracker claims a deploy",
    ),
    pytest.param(
        readings(NO_STATE, NO_TRACKER, registry(None, deployed_at=NOW)),
        3, "state_missing", "critical", "state", None, id="the registry claims a deploy",
    ),
    pytest.param(
        readings(state(42, B), tracker(42, A), registry(42, A)), 1, "lineage_mismatch", "critical", "state", None, id="state of another lineage"
    ),
    pytest.param(
        readings(state(42, A), tracker(40, B), registry(42, A)), 1, "lineage_mismatch", "critical", "tracker", None, id="tracker of another lineage"
    ),
    pytest.param(
        readings(state(42, A), tracker(42, A), registry(40, B)), 1, "lineage_mismatch", "critical", "registry", None, id="registry of another lineage"
    ),
    pytest.param(
        readings(state(42, A), tracker(42, B), registry(42, C)),
        1, "lineage_mismatch", "critical", "undetermined", None, id="three lineages",
    ),
    pytest.param(
        readings(state(42, A), tracker(42, B), registry(42, None)),
        1, "lineage_mismatch", "critical", "undetermined", None, id="two lineages, and an absent one has no vote",
    ),
    pytest.param(
        readings(state(42, A), NO_TRACKER, registry(42, B)), 2, "lineage_mismatch", "critical", "undetermined", None, id="tier 2 lineages"
    ),
    pytest.param(
        readings(state(42, A), NO_TRACKER, registry(None, B)), 3, "lineage_mismatch", "critical", "undetermined", None, id="tier 3 lineages"
    ),
    pytest.param(
        readings(state(42, None), tracker(42, A), registry(42, A)), 1, "healthy", "none", "none", 0, id="a state without a lineage has no vote"
    ),
    pytest.param(
        readings(state(), tracker(state_md5=OTHER_MD5), registry()), 1, "state_forked", "critical", "state", 0, id="same serial, other content"
    ),
    pytest.param(
        readings(state(), tracker(state_md5=OTHER_MD5), registry(None)), 1, "state_forked", "critical", "state", 0, id="forked, without the registry's vote"
    ),
    pytest.param(
        readings(state(), tracker(state_md5=OTHER_MD5), registry(40)),
        1, "state_forked", "critical", "state", 0, id="a fork is never taken for a registry that is behind",
    ),
    pytest.param(
        readings(state(content_md5=None), tracker(state_md5=MD5), registry()),
        1, "state_forked", "critical", "state", 0, id="content that cannot be shown to be the tracker's",
    ),
    pytest.param(
        readings(state(44), tracker(state_md5=OTHER_MD5), registry()), 1, "pipeline_drift", "high", "state", 2, id="written outside the pipeline"
    ),
    pytest.param(readings(state(40), tracker(), registry()), 1, "state_rolled_back", "critical", "state", -2, id="an older state put back"),
    pytest.param(readings(state(), tracker(41), registry()), 1, "tracker_behind", "medium", "tracker", -1, id="tracker behind"),
    pytest.param(readings(state(), tracker(43), registry()), 1, "tracker_ahead", "medium", "tracker", 1, id="tracker ahead"),
    pytest.param(readings(state(), tracker(), registry(39)), 1, "registry_behind", "medium", "registry", -3, id="registry behind"),
    pytest.param(readings(state(), tracker(), registry(45)), 1, "registry_ahead", "medium", "registry", 3, id="registry ahead"),
    pytest.param(readings(state(44), tracker(42), registry(40)), 1, "records_split", "high", "undetermined", None, id="all three differ"),
    pytest.param(
        readings(state(44), tracker(42), registry(None)), 1, "pipeline_drift", "high", "undetermined", 2, id="ahead of the tracker, nothing to decide"
    ),
    pytest.param(
        readings(state(40), tracker(42), registry(None)), 1, "state_rolled_back", "critical", "undetermined", -2, id="behind the tracker, nothing to decide"
    ),
    pytest.param(readings(state(44), NO_TRACKER, registry()), 2, "pipeline_drift", "high", "undetermined", 2, id="tier 2 ahead"),
    pytest.param(readings(state(40), NO_TRACKER, registry()), 2, "state_rolled_back", "critical", "undetermined", -2, id="tier 2 behind"),
    pytest.param(readings(state(), NO_TRACKER, registry(None)), 3, "unverifiable", "medium", "undetermined", None, id="nothing to compare"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "tier", "verdict", "severity", "odd", "delta"), ROWS)
def test_a_row_of_the_truth_table(
    given: StackReadings, tier: int | None, verdict: str, severity: str, odd: str, delta: int | None
) -> None:
    result = judged(given)
    assert (result.tier, result.verdict, result.severity, result.odd_one_out, result.serial_delta) == (
        tier, verdict, severity, odd, delta
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "verdict", "severity", "seconds"),
    [
        pytest.param(after(seconds=0), "healthy", "none", 0, id="at the same moment"),
        pytest.param(after(seconds=300), "healthy", "none", 300, id="300 s later is still healthy"),
        pytest.param(after(seconds=-300), "healthy", "none", -300, id="300 s earlier is still healthy"),
        pytest.param(after(seconds=301), "pipeline_drift", "high", 301, id="301 s later"),
        pytest.param(after(seconds=300, microseconds=1), "pipeline_drift", "high", 301, id="a microsecond beyond"),
        pytest.param(after(seconds=-301), "registry_ahead", "info", -301, id="301 s earlier"),
        pytest.param(after(days=2), "pipeline_drift", "high", 172_800, id="two days later"),
    ],
)
def test_tier_3_compares_times_within_five_minutes(
    given: StackReadings, verdict: str, severity: str, seconds: int
) -> None:
    result = judged(given)
    assert (result.tier, result.verdict, result.severity) == (3, verdict, severity)
    assert (result.time_delta_seconds, result.serial_delta) == (seconds, None)
    assert result.odd_one_out is (OddOneOut.NONE if verdict == "healthy" else OddOneOut.UNDETERMINED)


def test_in_tier_3_the_trackers_time_stands_in_for_the_registrys() -> None:
    result = judged(readings(state(), tracker(None, deployed_at=LAST_CHANGE), registry(None)))
    assert (result.tier, result.verdict, result.time_delta_seconds) == (3, Verdict.HEALTHY, 0)


def test_in_tier_3_the_registrys_time_goes_before_the_trackers() -> None:
    hours = timedelta(hours=1)
    given = readings(state(), tracker(None, deployed_at=LAST_CHANGE), registry(None, deployed_at=LAST_CHANGE - hours))
    assert judged(given).verdict is Verdict.PIPELINE_DRIFT


def test_a_locked_plan_moves_last_modified_and_is_no_drift_in_tier_3() -> None:
    deployed_at = LAST_CHANGE - timedelta(days=10)
    seen_then = ContentSighting(at=deployed_at, content_md5=MD5)
    result = judged(readings(state(), NO_TRACKER, registry(None, deployed_at=deployed_at), seen_then))
    assert (result.verdict, result.state_changed_at) == (Verdict.HEALTHY, deployed_at)


def test_an_earlier_runs_row_is_evidence_of_the_states_age() -> None:
    earlier = judged(readings(state(), tracker(), registry()))
    later = judged(readings(state(last_modified=NOW), tracker(), registry()), previous=earlier)
    assert later.state_changed_at == LAST_CHANGE


def test_other_content_in_an_earlier_row_is_no_evidence() -> None:
    earlier = judged(readings(state(content_md5=OTHER_MD5), tracker(), registry()))
    later = judged(readings(state(last_modified=NOW), tracker(), registry()), previous=earlier)
    assert later.state_changed_at == NOW


@pytest.mark.parametrize(
    ("minutes", "verdict", "masked", "notes"),
    [
        pytest.param(0, Verdict.IN_FLIGHT, Verdict.PIPELINE_DRIFT, (), id="just locked"),
        pytest.param(59.9, Verdict.IN_FLIGHT, Verdict.PIPELINE_DRIFT, (), id="younger than the limit"),
        pytest.param(60, Verdict.PIPELINE_DRIFT, None, (Note.STALE_LOCK,), id="as old as the limit"),
        pytest.param(10_000, Verdict.PIPELINE_DRIFT, None, (Note.STALE_LOCK,), id="a week old"),
        pytest.param(-5, Verdict.IN_FLIGHT, Verdict.PIPELINE_DRIFT, (), id="its clock five minutes ahead"),
        pytest.param(-90, Verdict.PIPELINE_DRIFT, None, (Note.STALE_LOCK,), id="its clock beyond belief"),
    ],
)
def test_a_young_lock_masks_and_an_old_one_is_noted(
    minutes: float, verdict: Verdict, masked: Verdict | None, notes: tuple[Note, ...]
) -> None:
    held = lock(timedelta(minutes=minutes))
    result = judged(readings(state(44, lock=held), tracker(), registry()))
    assert (result.verdict, result.masked_verdict, result.notes) == (verdict, masked, notes)
    assert result.serial_delta == 2
    assert "alice@laptop" in result.summary
    assert "OperationTypeApply" in result.summary
    assert result.evidence.state.lock == held
    if masked:
        assert (result.severity, result.odd_one_out) == (Severity.INFO, OddOneOut.NONE)


def test_a_lock_does_not_mask_healthy() -> None:
    result = judged(readings(state(lock=lock(timedelta(0))), tracker(), registry()))
    assert (result.verdict, result.masked_verdict, result.notes) == (Verdict.HEALTHY, None, ())


def test_a_stale_lock_on_a_healthy_stack_is_noted() -> None:
    result = judged(readings(state(lock=lock(timedelta(days=2))), tracker(), registry()))
    assert (result.verdict, result.notes) == (Verdict.HEALTHY, (Note.STALE_LOCK,))
    assert "since 2026-11-22 06:00 UTC" in result.summary


def test_a_lock_on_a_0_byte_state_is_a_first_deploy_in_flight() -> None:
    empty = Absent("x", facts(size_bytes=0, lock=lock(timedelta(minutes=1))))
    result = judged(readings(empty, NO_TRACKER, registry(None)))
    assert (result.verdict, result.masked_verdict) == (Verdict.IN_FLIGHT, Verdict.NOT_DEPLOYED)


def test_a_lease_that_says_nothing_of_its_age_masks_nothing() -> None:
    held = lock(timedelta(0)).model_copy(update={"created_at": None})
    result = judged(readings(state(44, lock=held), tracker(), registry()))
    assert (result.verdict, result.notes) == (Verdict.PIPELINE_DRIFT, (Note.LOCK_OF_UNKNOWN_AGE,))


def test_a_registry_without_a_serial_is_noted_in_tier_1_only() -> None:
    assert judged(readings(state(), tracker(), registry(None))).notes == (Note.REGISTRY_WITHOUT_SERIAL,)
    assert judged(readings(state(), NO_TRACKER, registry(None))).notes == ()


def test_first_seen_is_kept_while_the_verdict_stands_and_cleared_by_healthy() -> None:
    drifted = readings(state(44), tracker(), registry())
    first = judged(drifted)
    assert first.first_seen_at == NOW
    seen_earlier = first.model_copy(update={"first_seen_at": NOW - timedelta(days=2)})
    assert judged(drifted, seen_earlier).first_seen_at == NOW - timedelta(days=2)
    assert judged(readings(state(40), tracker(), registry()), seen_earlier).first_seen_at == NOW
    healthy = judged(readings(state(), tracker(), registry()), seen_earlier)
    assert healthy.first_seen_at is None
    assert judged(drifted, healthy).first_seen_at == NOW


def test_release_and_commit_are_the_trackers_before_the_registrys() -> None:
    given = readings(state(), tracker(release="2"), registry(release="1", commit="4f1c0de"))
    result = judged(given)
    assert (result.release, result.commit, result.owner) == ("2", "4f1c0de", "platform@example.com")


def test_every_verdict_has_a_row_here() -> None:
    rows = {Verdict(row.values[2]) for row in ROWS}  # type: ignore[arg-type]
    assert rows | {Verdict.IN_FLIGHT} == set(Verdict)


def test_every_tier_has_a_row_here() -> None:
    assert {row.values[1] for row in ROWS} == {None, *Tier}


@pytest.mark.parametrize(("given", "tier", "verdict", "severity", "odd", "delta"), ROWS)
def test_a_summary_is_whole_sentences_and_a_remedy_names_its_runbook_section(
    given: StackReadings, tier: int | None, verdict: str, severity: str, odd: str, delta: int | None
) -> None:
    result = judged(given)
    assert result.summary[0].isupper()
    assert result.summary.endswith(".")
    assert "None" not in result.summary
    assert result.remedy.startswith(f"docs/runbook.md#{verdict}: ")
