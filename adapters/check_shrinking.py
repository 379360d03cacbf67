"""A plan check in less and less room, for a store whose rows have an end: what it decided is never given up."""

from collections.abc import Iterator
from typing import Final

from records.findings import Finding
from records.plan_checks import StoredCheck

WITHOUT_VALUES: Final = (
    "The values of the attributes are not kept: the check is larger than its row may be. "
    "`trueup drift check` prints them anew."
)
WITHOUT_ATTRIBUTES: Final = (
    "The attributes are not kept: the check is larger than its row may be. `trueup drift check` prints them anew."
)


def ever_smaller(stored: StoredCheck) -> Iterator[StoredCheck]:
    """The check as it is, then without the values of its attributes, then without attributes.

    Each that lacks something says so in its last diagnostic. The same check gives the same forms.
    """
    yield stored
    findings = stored.check.findings
    yield _with(stored, tuple(map(_without_values, findings)), WITHOUT_VALUES)
    yield _with(
        stored, tuple(finding.model_copy(update={"attributes": ()}) for finding in findings), WITHOUT_ATTRIBUTES
    )


def _without_values(finding: Finding) -> Finding:
    attributes = tuple(attribute.model_copy(update={"before": None, "after": None}) for attribute in finding.attributes)
    return finding.model_copy(update={"attributes": attributes})


def _with(stored: StoredCheck, findings: tuple[Finding, ...], remark: str) -> StoredCheck:
    check = stored.check
    smaller = check.model_copy(update={"findings": findings, "diagnostics": (*check.diagnostics, remark)})
    return stored.model_copy(update={"check": smaller})
