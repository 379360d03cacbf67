"""The policy's rules over findings: which finding counts, and what may be done about it.

A rule speaks for a finding, or for those of its attributes that it names. So the first rule that matches is looked for once
for each attribute, and the finding gets the strictest answer: what one rule ignores does not hide what another forbids.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from records.findings import Finding, FindingKind

_NAMES = re.compile(r"[a-z0-9*/-]+")
_TYPES = re.compile(r"[a-z0-9*_-]+")
_QUOTED_KEY = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_TEXT = re.compile(r"\S(.*\S)?")


class RuleAction(StrEnum):
    """What a rule says of what it matches, from the least to the most that it withholds."""

    IGNORE = "ignore"
    HEAL = "heal"
    ASK = "ask"
    NEVER = "never"


_STRICTNESS: Final = tuple(RuleAction)


def matches_glob(glob: str, text: str) -> bool:
    """Whether the whole text fits. ``*`` stands for any characters, also none; every other character for itself.

    Addresses hold brackets and quotes, which other globs take for classes. Without backtracking: no glob is slow.
    """
    if "*" not in glob:
        return glob == text
    head, *middle, tail = glob.split("*")
    if len(text) < len(head) + len(tail) or not (text.startswith(head) and text.endswith(tail)):
        return False
    at, end = len(head), len(text) - len(tail)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def matches_any(globs: Sequence[str], text: str) -> bool:
    return any(matches_glob(glob, text) for glob in globs)


def matches_attribute(globs: Sequence[str], path: str) -> bool:
    """Whether a glob fits an attribute's path. ``tags["cost-center"]`` fits as ``tags.cost-center`` too."""
    return matches_any(globs, path) or matches_any(globs, _QUOTED_KEY.sub(r".\1", path))


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _spelt_as_a_name(glob: str) -> str:
    if not _NAMES.fullmatch(glob):
        raise ValueError(
            "no market or stack is so spelt: lower-case letters, digits, - and /, with * for any characters"
        )
    return glob


def _spelt_as_a_type(glob: str) -> str:
    if not _TYPES.fullmatch(glob):
        raise ValueError("no resource type is so spelt: lower-case letters, digits and _, with * for any characters")
    return glob


def _spelt_as_text(glob: str) -> str:
    if not _TEXT.fullmatch(glob):
        raise ValueError("must be a text in one line, without spaces around it")
    return glob


NameGlob = Annotated[str, AfterValidator(_spelt_as_a_name)]
NameGlobs = Annotated[tuple[NameGlob, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
TypeGlobs = Annotated[
    tuple[Annotated[str, AfterValidator(_spelt_as_a_type)], ...], BeforeValidator(_one_or_many), Field(min_length=1)
]
TextGlobs = Annotated[
    tuple[Annotated[str, AfterValidator(_spelt_as_text)], ...], BeforeValidator(_one_or_many), Field(min_length=1)
]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

_EVERYTHING: Final = ("*",)


class Rule(BaseModel):
    """Matches where each of its fields does; a field that is left out matches everything. ``why`` is for a reader."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    do: RuleAction
    market: NameGlobs = _EVERYTHING
    stack: NameGlobs = _EVERYTHING
    type: TypeGlobs = _EVERYTHING
    address: TextGlobs = _EVERYTHING
    attribute: TextGlobs | None = None
    why: Why | None = None

    @model_validator(mode="after")
    def _ignores_something_that_it_names(self) -> Self:
        named = (self.market, self.stack, self.type, self.address, self.attribute or _EVERYTHING)
        if self.do is RuleAction.IGNORE and all(any(not glob.strip("*") for glob in globs) for globs in named):
            raise ValueError("ignores everything: name a market, stack, type, address or attribute")
        return self

    def matches(self, market: str, stack: str, finding: Finding, attribute: str | None) -> bool:
        """Whether it speaks for this attribute of a finding; None stands for a finding that names no attributes."""
        if self.attribute is not None and (attribute is None or not matches_attribute(self.attribute, attribute)):
            return False
        return (
            matches_any(self.market, market)
            and matches_any(self.stack, stack)
            and matches_any(self.type, finding.type)
            and matches_any(self.address, finding.address)
        )


@dataclass(frozen=True, slots=True)
class RuleName:
    """Which rule it was: its place in the policy, from 1, and what it says of itself."""

    number: int
    why: str | None

    def __str__(self) -> str:
        return f"rule {self.number} of the policy" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledFinding:
    """A finding and the strictest that the policy says of it.

    ``rule`` is the one that says so, None where none does. ``ignored_attributes`` are those that ignore rules match, all where
    the finding is ignored; ``ignored_by`` is the first such rule, also of a finding without attributes.
    """

    finding: Finding
    action: RuleAction
    rule: RuleName | None
    ignored_attributes: tuple[str, ...] = ()
    ignored_by: RuleName | None = None


def rule_on(rules: Sequence[Rule], market: str, stack: str, finding: Finding) -> RuledFinding:
    """What the rules say of a finding. What no rule matches may be healed; what is unsafe cannot be ignored."""
    answers = list(_answers(rules, market, stack, finding))
    ignored = [(attribute, rule) for attribute, action, rule in answers if action is RuleAction.IGNORE]
    _, action, rule = max(answers, key=lambda answer: _STRICTNESS.index(answer[1]))
    return RuledFinding(
        finding=finding,
        action=action,
        rule=rule,
        ignored_attributes=tuple(sorted({attribute for attribute, _ in ignored if attribute is not None})),
        ignored_by=ignored[0][1] if ignored else None,
    )


def _answers(
    rules: Sequence[Rule], market: str, stack: str, finding: Finding
) -> Iterator[tuple[str | None, RuleAction, RuleName | None]]:
    """The first rule that matches, for each attribute in the order of their paths."""
    paths: Sequence[str | None] = sorted(change.path for change in finding.attributes) or [None]
    for path in paths:
        yield path, *_first_match(rules, market, stack, finding, path)


def _first_match(
    rules: Sequence[Rule], market: str, stack: str, finding: Finding, attribute: str | None
) -> tuple[RuleAction, RuleName | None]:
    for number, rule in enumerate(rules, start=1):
        if rule.do is RuleAction.IGNORE and finding.kind is FindingKind.UNSAFE:
            continue
        if rule.matches(market, stack, finding, attribute):
            return rule.do, RuleName(number, rule.why)
    return RuleAction.HEAL, None
