"""Stacks of which there is the same to say, so that it is said once: what keeps one stack from being planned keeps many."""

from collections.abc import Iterable
from typing import Final

from drift.render.order import by_name
from records.plan_checks import Decision, HoldReason, StackCheck
from records.spelling import counted
from records.verdicts import Verdict

MOST_NAMED: Final = 200
"""Stacks of a group that are named; the JSON has them all."""

Group = tuple[StackCheck, ...]
"""Sorted, and one at least."""


def groups(checks: Iterable[StackCheck]) -> list[Group]:
    """Each check in one group, in the order of their first stacks. What has findings stands alone: they are its own."""
    found: dict[object, list[StackCheck]] = {}
    for check in by_name(checks):
        found.setdefault(_what_is_said(check), []).append(check)
    return [tuple(group) for group in found.values()]


def title_of(group: Group) -> str:
    return group[0].name if len(group) == 1 else counted(len(group), "stack")


def names_of(group: Group) -> str:
    """``br/app (state_missing), br/data and 3 more``: with the verdict on its records where that comes first."""
    left_out = len(group) - MOST_NAMED
    more = f" and {left_out:,} more, which --format json lists" if left_out > 0 else ""
    return ", ".join(map(_name_of, group[:MOST_NAMED])) + more


def verdict_first(check: StackCheck) -> Verdict | None:
    """The verdict on the records of what could not be planned, where there is one and it is not healthy."""
    if check.reason is not HoldReason.INCONCLUSIVE or check.findings or check.verdict is Verdict.HEALTHY:
        return None
    return check.verdict


def market_of(group: Group) -> str:
    """The market of all of them, or what stands for it in a command that is run for each."""
    markets = {check.market for check in group}
    return markets.pop() if len(markets) == 1 else "MARKET"


def _what_is_said(check: StackCheck) -> object:
    if check.decision is not Decision.HOLD or check.findings or check.job_id:
        return check.name
    return (check.reason, check.why, check.diagnostics)


def _name_of(check: StackCheck) -> str:
    verdict = verdict_first(check)
    return f"{check.name} ({verdict})" if verdict else check.name
