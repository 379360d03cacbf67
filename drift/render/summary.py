"""How many stacks came to what, in one line."""

from collections import Counter
from typing import Final

from records.plan_checks import CheckReport, Decision, HoldReason
from records.spelling import counted

_WORDS: Final = {Decision.CLEAN: "clean", Decision.HEAL: "heal", Decision.HOLD: "held"}


def summary_line(report: CheckReport) -> str:
    """``12 stacks: 9 clean, 1 heal, 2 held (1 destructive, 1 inconclusive); 1 problem``."""
    counts = report.counts
    told = [f"{counts[decision]:,} {_WORDS[decision]}" for decision in Decision if counts.get(decision)]
    reasons = Counter(check.reason for check in report.results)
    held = ", ".join(f"{reasons[reason]:,} {reason}" for reason in HoldReason if reasons[reason])
    if held and counts.get(Decision.HOLD):
        told[-1] += f" ({held})"
    stacks = f"{counted(sum(counts.values()), 'stack')}: {', '.join(told)}" if told else "No stack was checked"
    problems = f"; {counted(len(report.problems), 'problem')}" if report.problems else ""
    return stacks + problems
