"""What comes first: stacks by name, findings by how much harm an apply of them could do."""

from collections.abc import Iterable

from records.findings import Finding, FindingKind
from records.plan_checks import StackCheck


def by_name(checks: Iterable[StackCheck]) -> list[StackCheck]:
    return sorted(checks, key=lambda check: (check.market, check.stack))


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """What deletes or is unsafe, then what an apply would change, then what is only behind: where a list is cut, it is cut
    at the harmless end.
    """
    return sorted(findings, key=lambda finding: (_gravity(finding), finding.address, finding.deposed or ""))


def _gravity(finding: Finding) -> int:
    if finding.destructive or finding.kind is FindingKind.UNSAFE:
        return 0
    return 2 if finding.kind is FindingKind.STALE_STATE else 1
