"""Telemetry of plan checks through OpenTelemetry: what a run of them came to, as metrics and custom events.

Of a resource it tells the type, the address and who changed it, and never a value, nor Terraform's words, which quote them.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from adapters import telemetry_names as names
from adapters.telemetry_events import Attributes, Events, event_logger, present, tell_of_run, time_text
from records.findings import Finding
from records.plan_checks import CheckRunRow, Decision, HoldReason, StackCheck
from records.report import Problem
from records.runs import RunStatus

_MOST_LISTED: Final = 10
_MOST_CHARACTERS: Final = 500
"""Of one text. Azure Monitor cuts a property at 8,192 characters, and ten of these with their separators stay below it."""
_CUT: Final = "…"
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class NoCheckTelemetry:
    """A `CheckTelemetry` for where nobody watches."""

    async def checks_ended(
        self, *, row: CheckRunRow, checks: Iterable[StackCheck], problems: Sequence[Problem]
    ) -> None:
        """Says nothing."""


class OpenTelemetryOfChecks:
    """A `CheckTelemetry` on the metrics and logs of the process, or of the meter provider and the logger that are given."""

    def __init__(self, *, meter_provider: MeterProvider | None = None, events: logging.Logger | None = None) -> None:
        meter = metrics.get_meter(names.SCOPE, meter_provider=meter_provider)
        self._checks = meter.create_counter(
            names.PLAN_CHECKS, unit="{stack}", description="Stacks that were checked, by decision, reason and market."
        )
        self._duration = meter.create_histogram(
            names.PLAN_RUN_DURATION, unit="s", description="How long a run of plan checks took."
        )
        self._expected = meter.create_counter(
            names.PLAN_STACKS_EXPECTED, unit="{stack}", description="Stacks that a run was to check by a plan."
        )
        self._checked = meter.create_counter(
            names.PLAN_STACKS_CHECKED, unit="{stack}", description="Stacks that a run checked by a plan."
        )
        self._unplanned = meter.create_counter(
            names.PLAN_STACKS_UNPLANNED, unit="{stack}", description="Stacks whose check is inconclusive."
        )
        self._queued = meter.create_counter(
            names.HEALS_QUEUED, unit="{heal}", description="Heals that are in the queue for a run."
        )
        self._logger = event_logger(events)

    async def checks_ended(
        self, *, row: CheckRunRow, checks: Iterable[StackCheck], problems: Sequence[Problem]
    ) -> None:
        await tell_of_run(row.run_id, self._logger, lambda events: self._tell(events, row, checks, problems))

    def _tell(
        self, events: Events, row: CheckRunRow, checks: Iterable[StackCheck], problems: Sequence[Problem]
    ) -> None:
        by_dimension: Counter[tuple[str, Decision, HoldReason | None]] = Counter()
        for check in checks:
            by_dimension[check.market, check.decision, check.reason] += 1
            if check.decision is not Decision.CLEAN:
                events.send(names.PORTAL_DRIFT_EVENT, _of_check(row, check))
        for problem in problems:
            events.send(names.PLAN_PROBLEM_EVENT, _of_problem(row, problem))
        for (market, decision, reason), count in by_dimension.items():
            dimensions = {
                names.MARKET: market,
                names.PLAN_CHECK_DECISION: str(decision),
                names.PLAN_CHECK_REASON: names.NONE if reason is None else str(reason),
            }
            self._checks.add(count, dimensions)
        of_run = {names.PLAN_RUN_TRIGGER: str(row.trigger), names.PLAN_RUN_STATUS: str(row.status)}
        self._expected.add(row.expected_stacks or 0, of_run)
        self._checked.add(row.checked_stacks, of_run)
        self._unplanned.add(row.unplanned_stacks, of_run)
        self._queued.add(row.queued_jobs, of_run)
        if row.duration_seconds is not None:
            self._duration.record(row.duration_seconds, of_run)
        events.send(names.PLAN_RUN_EVENT, _of_run(row))


def _of_run(row: CheckRunRow) -> Attributes:
    attributes: dict[str, str | int | float | None] = {
        names.PLAN_RUN_ID: row.run_id,
        names.PLAN_RUN_STATUS: str(row.status),
        names.PLAN_RUN_TRIGGER: str(row.trigger),
        names.PLAN_RUN_SCOPE: "whole_estate" if row.scope.is_whole_estate else "part",
        names.PLAN_RUN_STARTED_AT: time_text(row.started_at),
        names.PLAN_RUN_FINISHED_AT: time_text(row.finished_at),
        names.PLAN_RUN_DURATION_SECONDS: row.duration_seconds,
        names.PLAN_RUN_EXIT_STATUS: row.exit_status,
        names.PLAN_RUN_STACKS_EXPECTED: row.expected_stacks,
        names.PLAN_RUN_STACKS_CHECKED: row.checked_stacks,
        names.PLAN_RUN_HEALS_QUEUED: row.queued_jobs,
        names.PLAN_RUN_PROBLEMS: row.problem_count,
    }
    if row.status is not RunStatus.FAILED:
        # A run that failed knows nothing of the estate; "0 held" would read as if it did.
        attributes |= {
            names.PLAN_RUN_STACKS_UNPLANNED: row.unplanned_stacks,
            names.PLAN_RUN_STACKS_CLEAN: row.counts.get(Decision.CLEAN, 0),
            names.PLAN_RUN_STACKS_TO_HEAL: row.counts.get(Decision.HEAL, 0),
            names.PLAN_RUN_STACKS_HELD: row.counts.get(Decision.HOLD, 0),
        }
    return present(attributes)


def _of_check(row: CheckRunRow, check: StackCheck) -> Attributes:
    attributes: dict[str, str | int | float | None] = {
        names.PLAN_RUN_ID: row.run_id,
        names.MARKET: check.market,
        names.STACK: check.stack,
        names.SUBSCRIPTION_ID: check.subscription_id,
        names.PLAN_CHECK_DECISION: str(check.decision),
        names.PLAN_CHECK_REASON: None if check.reason is None else str(check.reason),
        names.PLAN_CHECK_JOB_ID: check.job_id,
        names.PLAN_CHECK_FINGERPRINT: check.fingerprint,
        names.PLAN_CHECK_VERDICT: None if check.verdict is None else str(check.verdict),
        names.PLAN_CHECK_SERIAL: check.serial,
    }
    return present(attributes | _of_findings(check))


def _of_findings(check: StackCheck) -> dict[str, str | int | float | None]:
    """How many, and of what. Nothing where an inconclusive check has none: there may have been no plan to count them in."""
    if not check.findings and check.reason is HoldReason.INCONCLUSIVE:
        return {}
    by_kind = Counter(finding.kind for finding in check.findings)
    # What no apply would touch would only push what matters out of a list of bounded length.
    touched = [finding for finding in check.findings if finding.is_touched_by_apply]
    newest = _newest_change(touched)
    return {
        names.PLAN_CHECK_FINDINGS: len(check.findings),
        **{name: by_kind[kind] for kind, name in names.PLAN_CHECK_FINDINGS_OF_KIND.items()},
        names.PLAN_CHECK_FINDINGS_DESTRUCTIVE: sum(finding.destructive for finding in check.findings),
        names.PLAN_CHECK_RESOURCE_TYPES: _first_few((finding.type for finding in touched), separator=","),
        # An index in an address may hold a comma, and no line break. Terraform refuses a sensitive value for one.
        names.PLAN_CHECK_ADDRESSES: _first_few((finding.address for finding in touched), separator="\n"),
        names.PLAN_CHECK_CHANGED_BY: _cut(newest.changed_by) if newest and newest.changed_by else None,
        names.PLAN_CHECK_CHANGED_AT: time_text(newest.changed_at) if newest else None,
        names.PLAN_CHECK_CLIENT: _cut(newest.client) if newest and newest.client else None,
    }


def _newest_change(findings: Iterable[Finding]) -> Finding | None:
    """What was changed last, of what somebody is known to have changed; of a time that is not known for want of another."""
    known = [finding for finding in findings if finding.changed_by or finding.client]
    return max(known, key=lambda finding: finding.changed_at or _LONG_AGO, default=None)


def _first_few(texts: Iterable[str], *, separator: str) -> str | None:
    """Each once, sorted; None where there are none. An ellipsis stands for those that are left out."""
    distinct = sorted(set(texts))
    listed = [_cut(text) for text in distinct[:_MOST_LISTED]]
    if len(distinct) > _MOST_LISTED:
        listed.append(_CUT)
    return separator.join(listed) or None


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + _CUT


def _of_problem(row: CheckRunRow, problem: Problem) -> Attributes:
    return present(
        {
            names.PLAN_RUN_ID: row.run_id,
            names.MARKET: problem.market,
            names.PLAN_PROBLEM_RECORD: str(problem.record),
            names.PLAN_PROBLEM_CODE: str(problem.code),
            names.PLAN_PROBLEM_BLOB: problem.blob,
            names.PLAN_PROBLEM_FIELD: problem.field,
        }
    )
