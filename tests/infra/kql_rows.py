"""Rows as the service sends them, and the moment at which a workspace is asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.infra.kql_queries import Workspace

NOW: Final = datetime(2026, 6, 17, 5, 30, tzinfo=UTC)
"""7:30 in Berlin."""
TODAY: Final = datetime(2026, 6, 17, 4, 0, tzinfo=UTC)
YESTERDAY: Final = TODAY - timedelta(days=1)
HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)


def run(
    workspace: Workspace,
    run_id: str,
    at: datetime,
    *,
    status: str = "finished",
    scope: str = "whole_estate",
    expected: int = 3,
    checked: int = 3,
) -> None:
    workspace.event(
        "trueup.run",
        at + 5 * MINUTE,
        run__id=run_id,
        run__status=status,
        run__scope=scope,
        run__started_at=at.isoformat(),
        run__finished_at=(at + 5 * MINUTE).isoformat(),
        run__markets_expected=expected,
        run__markets_checked=checked,
    )


def disagreement(
    workspace: Workspace,
    run_id: str,
    at: datetime,
    *,
    stack: str = "network",
    verdict: str,
    severity: str,
    market: str = "de",
) -> None:
    workspace.event(
        "trueup.disagreement",
        at + 5 * MINUTE,
        run__id=run_id,
        market=market,
        stack=stack,
        verdict=verdict,
        severity=severity,
        first_seen_at=at.isoformat(),
    )


def problem(
    workspace: Workspace, run_id: str, at: datetime, *, market: str = "de", record: str = "registry", code: str
) -> None:
    workspace.event(
        "trueup.problem",
        at + 5 * MINUTE,
        run__id=run_id,
        market=market,
        problem__record=record,
        problem__code=code,
    )


def module_pin(
    workspace: Workspace, run_id: str, at: datetime, *, module: str = "avm-res-keyvault-vault", moved_tags: int = 0
) -> None:
    workspace.event(
        "trueup.module_pin",
        at + 5 * MINUTE,
        run__id=run_id,
        module=module,
        module__package="dev.azure.com/contoso/platform/_git/modules",
        module__versions=3,
        module__newest="v0.10.2",
        module__stacks_using=12,
        module__most_behind=2,
        module__loose=1,
        module__moved_tags=moved_tags,
    )


def plan_run(
    workspace: Workspace, run_id: str, at: datetime, *, status: str = "finished", expected: int = 3, checked: int = 3
) -> None:
    workspace.event(
        "trueup.plan_run",
        at + 5 * MINUTE,
        plan_run__id=run_id,
        plan_run__status=status,
        plan_run__scope="whole_estate",
        plan_run__started_at=at.isoformat(),
        plan_run__finished_at=(at + 5 * MINUTE).isoformat(),
        plan_run__stacks_expected=expected,
        plan_run__stacks_checked=checked,
    )


def check(
    workspace: Workspace,
    run_id: str,
    at: datetime,
    *,
    reason: str | None,
    market: str = "de",
    stack: str = "network",
    job_id: str | None = None,
    findings: Mapping[str, int] | None = None,
) -> None:
    """``findings`` are how many, by kind; without a plan there are none to count."""
    workspace.event(
        "trueup.portal_drift",
        at + 5 * MINUTE,
        plan_run__id=run_id,
        market=market,
        stack=stack,
        plan_check__decision="heal" if reason is None else "hold",
        plan_check__reason=reason,
        plan_check__job_id=job_id,
        **{f"plan_check__findings_{kind}": count for kind, count in (findings or {}).items()},
    )


def heal(workspace: Workspace, at: datetime, *, step: str, reason: str | None = None, market: str = "de") -> None:
    workspace.event(
        "trueup.heal", at, market=market, stack="network", heal__step=step, heal__reason=reason, heal__job_id="job"
    )


def named(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[column] for column in columns) for row in rows)
