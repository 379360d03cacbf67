"""What is said of one finding, as a reader of Terraform's plans expects it."""

from dataclasses import dataclass
from typing import Final

from drift.render.text import spelt
from records.findings import AttributeChange, Finding, FindingKind
from records.plan_checks import StackCheck
from records.spelling import to_the_minute, visible

UPDATE, CREATE, DELETE, NOTHING, UNKNOWN = "~", "+", "-", "#", "?"

_SYMBOLS: Final = {
    ("update",): UPDATE,
    ("create",): CREATE,
    ("delete",): DELETE,
    ("delete", "create"): "-/+",
    ("create", "delete"): "+/-",
    ("read",): "<=",
    ("no-op",): NOTHING,
}
_WHAT_HAPPENS: Final = {
    ("update",): "be updated in-place",
    ("create",): "be created",
    ("delete",): "be destroyed",
    ("delete", "create"): "be replaced: destroyed and then created",
    ("create", "delete"): "be replaced: created and then destroyed",
    ("read",): "be read during apply",
}
_SENSITIVE: Final = "(sensitive value)"
NOT_SHOWN: Final = "(not shown)"
"""Of what is sensitive, or known after the apply alone: which of the two, a finding does not say."""

_ALL_OF_IT: Final = "(all of it)"
_CHANGED_BY_SOMEBODY: Final = frozenset({FindingKind.PORTAL_DRIFT, FindingKind.MIXED})
_ONE_SIDED: Final[dict[tuple[str, ...], str]] = {("create",): CREATE, ("delete",): DELETE, ("forget",): DELETE}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeWords:
    """An attribute as its symbol, path and two sides; ``before`` is None of what is new, ``after`` never.

    ``instead`` stands where neither side may be shown.
    """

    symbol: str
    path: str
    before: str | None = None
    after: str = ""
    instead: str | None = None


def symbol_of(finding: Finding) -> str:
    """Terraform's symbol for the actions; ``#`` where it would do nothing, ``?`` where what it would do is not known."""
    symbol = _SYMBOLS.get(finding.actions, UNKNOWN)
    return UNKNOWN if finding.kind is FindingKind.UNSAFE and symbol == NOTHING else symbol


def address_of(finding: Finding) -> str:
    return visible(finding.address) + (f" (deposed object {visible(finding.deposed)})" if finding.deposed else "")


def happens_to(finding: Finding, *, is_queued: bool) -> str | None:
    """``would be updated in-place``, as Terraform says it, and ``will`` where a heal is queued; None where nothing happens."""
    if finding.kind is FindingKind.STALE_STATE:
        return None
    if (what := _WHAT_HAPPENS.get(finding.actions)) is None:
        actions = ", ".join(visible(action) for action in finding.actions if action != "no-op")
        return f"has an action that trueup does not apply: {actions or 'none is named'}"
    return f"{'will' if is_queued else 'would'} {what}"


def may_be_somebodys(finding: Finding) -> bool:
    """Whether somebody did it, who can be asked for."""
    return finding.kind in _CHANGED_BY_SOMEBODY


def who_changed(finding: Finding, *, has_asked: bool = True) -> str | None:
    """Who changed it last, when and with what; None where nobody need have, or nobody was asked."""
    told = [
        f" at {to_the_minute(finding.changed_at)}" if finding.changed_at else "",
        f" with {visible(finding.client)}" if finding.client else "",
    ]
    if finding.changed_by:
        return f"changed by {visible(finding.changed_by)}{''.join(told)}"
    if any(told):
        return f"changed{''.join(told)}; by whom is not known"
    return "who changed it is not known" if has_asked and may_be_somebodys(finding) else None


def attribute_words(finding: Finding) -> list[AttributeWords]:
    return [_attribute(attribute, finding) for attribute in finding.attributes]


def direction_of(finding: Finding) -> str | None:
    """What stands on the two sides of its values, where that is not what stands there in a plan."""
    if finding.kind is not FindingKind.STALE_STATE or not finding.attributes:
        return None
    return "as recorded, then as it is"


def stack_findings(check: StackCheck) -> str:
    """``3 (1 destructive)``."""
    destructive = sum(finding.destructive for finding in check.findings)
    count = f"{len(check.findings):,}"
    return f"{count} ({destructive:,} destructive)" if destructive else count


def _attribute(attribute: AttributeChange, finding: Finding) -> AttributeWords:
    path = visible(attribute.path) or _ALL_OF_IT
    if attribute.sensitive:
        symbol = _ONE_SIDED.get(finding.actions, UPDATE)
        is_known = finding.kind is FindingKind.STALE_STATE or symbol == DELETE
        return AttributeWords(symbol=symbol, path=path, instead=_SENSITIVE if is_known else NOT_SHOWN)
    before, after = spelt(attribute.before), spelt(attribute.after)
    if attribute.before is None:
        return AttributeWords(symbol=CREATE, path=path, after=after)
    symbol = DELETE if attribute.after is None else UPDATE
    return AttributeWords(symbol=symbol, path=path, before=before, after=after)
