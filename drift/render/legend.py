"""What is the same for many lines of a report, and is said once above them."""

from collections.abc import Iterable
from typing import Final

from drift.render.finding_words import NOT_SHOWN, attribute_words, may_be_somebodys
from records.findings import Finding

_NOT_SHOWN: Final = "is sensitive, or known after the apply alone."
_NOBODY_ASKED: Final = "Nobody was asked who changed what: Azure Resource Graph tells, of an estate in Azure."


def legend(findings: Iterable[Finding], *, sides: str, has_asked: bool, quote: str = "") -> list[str]:
    """``sides`` is what is said of the two sides of a value; ``quote`` stands around what is quoted of the report."""
    findings = list(findings)
    words = [one for finding in findings for one in attribute_words(finding)]
    told = [sides] if words else []
    if any(one.instead == NOT_SHOWN for one in words):
        told.append(f"{quote}{NOT_SHOWN}{quote} {_NOT_SHOWN}")
    if not has_asked and any(map(may_be_somebodys, findings)):
        told.append(_NOBODY_ASKED)
    return told
