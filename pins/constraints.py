"""The ``version`` of a module call, which only registries take: which versions it allows.

Source: https://developer.hashicorp.com/terraform/language/expressions/version-constraints, and hashicorp/go-version, by which
Terraform reads it: conditions that are separated by commas, all of which hold; a version alone is ``=``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pins.versions import Version, parse_version


class Allowed(StrEnum):
    """How many versions a constraint allows."""

    ONE = "one"
    MANY = "many"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Constraint:
    """How many versions are allowed; ``version`` is the one where it is one."""

    allowed: Allowed
    version: Version | None = None


_CONDITION = re.compile(r"\s*(?P<operator>~>|>=|<=|!=|>|<|=|)\s*(?P<version>\S+)\s*")
_Test = Callable[[Version, Version], bool]
_TESTS: Final[dict[str, _Test]] = {
    "": lambda candidate, given: candidate == given,
    "=": lambda candidate, given: candidate == given,
    "!=": lambda candidate, given: candidate != given,
    ">": lambda candidate, given: candidate > given,
    ">=": lambda candidate, given: candidate >= given,
    "<": lambda candidate, given: candidate < given,
    "<=": lambda candidate, given: candidate <= given,
    "~>": lambda candidate, given: candidate >= given and _is_of_the_same_line(candidate, given),
}


def read_constraint(text: str) -> Constraint | None:
    """None where Terraform could not read it.

    ``>= 1.2.3, <= 1.2.3`` allows one version too. Whether a wider range happens to hold one version alone only the registry
    knows, and only today.
    """
    conditions = [_condition(part) for part in text.split(",")]
    known = [condition for condition in conditions if condition is not None]
    if len(known) < len(conditions):
        return None
    candidates = {version for operator, version in known if operator in {"", "=", ">=", "<="}}
    only = {version for operator, version in known if operator in {"", "="}}
    only |= {one for one in candidates if (">=", one) in known and ("<=", one) in known}
    if not only:
        return Constraint(Allowed.MANY)
    fitting = [one for one in only if all(_TESTS[operator](one, version) for operator, version in known)]
    return Constraint(Allowed.ONE, fitting[0]) if fitting else Constraint(Allowed.NONE)


def _condition(text: str) -> tuple[str, Version] | None:
    match = _CONDITION.fullmatch(text)
    version = parse_version(match["version"]) if match else None
    return (match["operator"], version) if match and version else None


def _is_of_the_same_line(candidate: Version, given: Version) -> bool:
    """``~> 1.2`` is of 1, ``~> 1.2.3`` of 1.2: all that was written but the last."""
    fixed = max(given.segments - 1, 1)
    return candidate.numbers[:fixed] == given.numbers[:fixed]
