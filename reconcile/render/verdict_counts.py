"""How many stacks have which verdict, the gravest first."""

from collections.abc import Iterable
from dataclasses import dataclass

from records.report import RunSummary
from records.results import StackResult
from records.verdicts import Severity, Verdict


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """One verdict: its stacks' number, its gravest severity, and the first of them that needs a person."""

    verdict: Verdict
    count: int
    severity: Severity
    first: StackResult | None


def verdict_counts(summary: RunSummary, urgent: Iterable[StackResult]) -> list[VerdictCount]:
    """What the summary counted; ``urgent``, sorted most urgent first, gives each verdict its severity."""
    firsts: dict[Verdict, StackResult] = {}
    for result in urgent:
        firsts.setdefault(result.verdict, result)
    counts = [
        VerdictCount(verdict, count, _severity(verdict, firsts.get(verdict)), firsts.get(verdict))
        for verdict, count in summary.counts.items()
        if count
    ]
    return sorted(counts, key=lambda counted: (counted.severity.urgency, counted.verdict))


def _severity(verdict: Verdict, first: StackResult | None) -> Severity:
    if first:
        return first.severity
    return Severity.NONE if verdict is Verdict.HEALTHY else Severity.INFO
