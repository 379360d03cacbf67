"""Builds results and reports for the renderers' tests, straight from the models: nothing is compared here."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from reconcile.compare import severity_of
from records.faults import Fault, FaultCode, RecordKind
from records.locks import Lock
from records.report import Problem, Report, RunSummary
from records.results import Evidence, Lineages, RecordEvidence, RecordStatus, Serials, StackResult
from records.verdicts import OddOneOut, Tier, Verdict

STARTED_AT: Final = datetime(2026, 11, 23, 6, 0, 4, tzinfo=UTC)
LINEAGE: Final = "b7c4e1f2-0d7e-4a7e-9f0c-3f6f6a1b2c3d"
OTHER_LINEAGE: Final = "51f0a9d4-77aa-4b1f-8e4e-6c1f9b8a7d60"
MD5: Final = "9e107d9d372bb6826bd81d3542a419d6"


def stack_result(market: str, stack: str, verdict: Verdict = Verdict.HEALTHY, **changes: Any) -> StackResult:
    """A result of this verdict with plausible values everywhere; ``changes`` replaces fields."""
    values: dict[str, Any] = {
        "market": market,
        "stack": stack,
        "subscription_id": "5f0a9c1e-6c1b-4df5-93ab-0f2b7a4c9d11",
        "tier": Tier.THREE_RECORDS,
        "verdict": verdict,
        "severity": severity_of(verdict, Tier.THREE_RECORDS),
        "odd_one_out": OddOneOut.NONE,
        "serials": Serials(state=42, tracker=42, registry=42),
        "serial_delta": None,
        "time_delta_seconds": None,
        "lineages": Lineages(state=LINEAGE, tracker=LINEAGE, registry=LINEAGE),
        "masked_verdict": None,
        "notes": (),
        "first_seen_at": None if verdict is Verdict.HEALTHY else STARTED_AT - timedelta(days=2, hours=1),
        "state_changed_at": STARTED_AT - timedelta(days=2, hours=4, minutes=48),
        "release": "2026.11.3",
        "commit": "4f1c0d9a7be24c61",
        "owner": "network-platform@example.org",
        "summary": f"A summary of {verdict.value}.",
        "remedy": f"docs/runbook.md#{verdict}: Run `trueup reconcile --market {market}`.",
        "evidence": evidence(market, stack),
    }
    return StackResult(**values | changes)


def evidence(market: str, stack: str, **changes: RecordEvidence) -> Evidence:
    modified_at = STARTED_AT - timedelta(days=2, hours=4, minutes=48)
    records = {
        "state": RecordEvidence(
            status=RecordStatus.PRESENT,
            blob=f"{market}/{stack}.tfstate",
            etag="0x8DC1A2B3C4D5E6F",
            md5=MD5,
            last_modified=modified_at,
        ),
        "tracker": RecordEvidence(
            status=RecordStatus.PRESENT,
            blob=f"{market}/{stack}.json",
            etag="0x8DC1A2B3C4D5E70",
            md5="e4d909c290d0fb1ca068ffaddf22cbd0",
            last_modified=modified_at,
            deployed_at=modified_at,
        ),
        "registry": RecordEvidence(
            status=RecordStatus.PRESENT,
            blob=f"{market}/subscription.json",
            etag="0x8DC1A2B3C4D5E71",
            md5="d41d8cd98f00b204e9800998ecf8427e",
            last_modified=modified_at,
            deployed_at=modified_at,
        ),
    }
    return Evidence(**records | changes)


def drifted(market: str, stack: str, **changes: Any) -> StackResult:
    """A state two serials ahead of the other two records."""
    values: dict[str, Any] = {
        "odd_one_out": OddOneOut.STATE,
        "serials": Serials(state=44, tracker=42, registry=42),
        "serial_delta": 2,
        "summary": (
            "The state is 2 serials ahead of tracker and registry (44 against 42), "
            "there since 2026-11-21 01:12 UTC: it was written outside the pipeline."
        ),
        "remedy": (
            "docs/runbook.md#pipeline_drift: Run `terraform plan` from the release on record, "
            f"then deploy {market}/{stack} by its pipeline."
        ),
    }
    return stack_result(market, stack, Verdict.PIPELINE_DRIFT, **values | changes)


def lock(**changes: Any) -> Lock:
    values = {
        "id": "0d9f3d1c-8c8e-1f0e-6a51-2f9d6f7a4f10",
        "operation": "OperationTypeApply",
        "who": "runner@build-17",
        "created_at": STARTED_AT - timedelta(minutes=12),
    }
    return Lock(**values | changes)


def problem(market: str, **changes: Any) -> Problem:
    values: dict[str, Any] = {
        "code": FaultCode.FORBIDDEN,
        "record": RecordKind.REGISTRY,
        "blob": f"{market}/subscription.json",
        "message": "access was denied",
        "remedy": "Give trueup's identity the role that docs/configuration.md names.",
    }
    return Problem(market=market, **values | changes)


def fault(**changes: Any) -> Fault:
    values: dict[str, Any] = {
        "code": FaultCode.INVALID_FIELD,
        "record": RecordKind.TRACKER,
        "blob": "de/network.json",
        "field": "serial",
        "message": "is not a whole number",
        "remedy": "Deploy the stack by its pipeline, which writes its tracker anew.",
    }
    return Fault(**values | changes)


def report(
    results: Iterable[StackResult] = (),
    *,
    markets: int | None = None,
    problems: Iterable[Problem] = (),
    unregistered_states: Iterable[str] = (),
) -> Report:
    """A report of results in any order; ``markets`` is counted unless given."""
    results = sorted(results, key=lambda result: (result.market, result.stack))
    problems = sorted(problems, key=lambda problem: problem.market)
    names = {result.market for result in results} | {problem.market for problem in problems}
    counts = Counter(result.verdict for result in results)
    return Report(
        summary=summary(
            counts=dict(sorted(counts.items())),
            markets=len(names) if markets is None else markets,
            problems=tuple(problems),
            unregistered_states=tuple(sorted(unregistered_states)),
        ),
        results=results,
    )


def summary(**changes: Any) -> RunSummary:
    values: dict[str, Any] = {
        "run_id": "20261123T060004000Z",
        "started_at": STARTED_AT,
        "finished_at": STARTED_AT + timedelta(minutes=2, seconds=5),
        "markets": 0,
        "counts": {},
    }
    return RunSummary(**values | changes)
