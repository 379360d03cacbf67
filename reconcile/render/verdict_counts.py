"""How many stacks have which verdict in which severity, the gravest first."""

from collections.abc import Iterable
from dataclasses import dataclass

from records.report import RunSummary
from records.results import StackResult
from records.verdicts import Severity, Verdict


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """One verdict in one severity: its stacks' number, and the first of them that is told."""

    verdict: Verdict
    severity: Severity
    count: int
    first: StackResult | None


def verdict_counts(summary: RunSummary, told: Iterable[StackResult]) -> list[VerdictCount]:
    """What the summary counted; ``told``, sorted most urgent first, has the severities of what is in it.

    A verdict has more than one severity where how grave it is depends on what it was compared with.
    """
    groups: dict[tuple[Verdict, Severity], list[StackResult]] = {}
    for result in told:
        groups.setdefault((result.verdict, result.severity), []).append(result)
    counts = [VerdictCount(verdict, severity, len(group), group[0]) for (verdict, severity), group in groups.items()]
    named = {verdict for verdict, _ in groups}
    counts += [
        VerdictCount(verdict, Severity.NONE if verdict is Verdict.HEALTHY else Severity.INFO, count, None)
        for verdict, count in summary.counts.items()
        if count and verdict not in named
    ]
    return sorted(counts, key=lambda counted: (counted.severity.urgency, counted.verdict))
