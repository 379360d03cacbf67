"""Versions as Terraform orders them, and the names of git refs that hold one.

Source: https://semver.org, and hashicorp/go-version, by which Terraform reads the versions of modules: segments that are not
there are 0, and build metadata has no part in the order.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import total_ordering
from typing import Final

_IDENTIFIERS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(
    rf"v?(?P<numbers>[0-9]{{1,18}}(?:\.[0-9]{{1,18}}){{0,5}})(?:-(?P<prerelease>{_IDENTIFIERS}))?(?:\+(?P<build>{_IDENTIFIERS}))?",
    re.IGNORECASE | re.ASCII,
)
_WILDCARD = re.compile(r"v?(?:[0-9]+\.)+[x*]", re.IGNORECASE | re.ASCII)
_RELEASES: Final = frozenset({"release", "releases"})
_WORK: Final = frozenset({"hotfix", "feature", "feat", "bugfix", "fix"})
_BRANCHES: Final = _RELEASES | _WORK | {"support", "users", "renovate", "dependabot", "origin", "heads", "remotes"}
"""Folders of branches: git-flow's (``release/1.2.3`` is a branch on which 1.2.3 is made), those of people and of the bots that
update versions, and git's own."""
_FULL_SEGMENTS: Final = 3
TAGS: Final = "refs/tags/"
_SHORT_TAGS: Final = "tags/"


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version: its numbers, three or more, and its pre-release, which is before the version itself.

    ``segments`` is how many numbers were written.
    """

    numbers: tuple[int, ...]
    prerelease: str | None
    build: str | None
    segments: int

    @property
    def is_full(self) -> bool:
        return self.segments >= _FULL_SEGMENTS

    def __str__(self) -> str:
        text = ".".join(map(str, self.numbers))
        return text + (f"-{self.prerelease}" if self.prerelease else "") + (f"+{self.build}" if self.build else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order() == other._order()

    def __lt__(self, other: "Version") -> bool:
        return self._order() < other._order()

    def __hash__(self) -> int:
        return hash(self._order())

    def _order(self) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
        numbers = self.numbers
        while len(numbers) > _FULL_SEGMENTS and numbers[-1] == 0:
            numbers = numbers[:-1]
        identifiers = self.prerelease.split(".") if self.prerelease else []
        ranked = ((False, int(one), "") if one.isdecimal() else (True, 0, one) for one in identifiers)
        return numbers, self.prerelease is None, tuple(ranked)


def parse_version(text: str) -> Version | None:
    """The version that this text is, whole; None where it is none. A ``v`` before it means nothing."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    numbers = tuple(int(number) for number in match["numbers"].split("."))
    padding = (0,) * (_FULL_SEGMENTS - len(numbers))
    return Version(numbers + padding, match["prerelease"], match["build"], len(numbers))


class RefKind(StrEnum):
    """What the name of a git ref says; only the repository knows whether it is a tag."""

    VERSION = "version"
    PARTIAL_VERSION = "partial_version"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RefName:
    """A ref's name taken apart: ``avm-res-keyvault-vault/v0.10.2`` is of that module, at version 0.10.2."""

    kind: RefKind
    module: str | None = None
    version: Version | None = None


def tag_name(ref: str) -> str:
    """The name of a tag without the folders that git knows tags by: ``refs/tags/v1.2.3`` and ``tags/v1.2.3`` are ``v1.2.3``."""
    return ref.removeprefix(TAGS).removeprefix(_SHORT_TAGS)


def read_ref(ref: str) -> RefName:
    """What the name of a ref says by itself: a full version, after a module's name or not, is taken for a release's tag."""
    name = tag_name(ref)
    if ref.startswith("refs/") and name == ref:
        return RefName(RefKind.OTHER)
    if name.lower().partition("/")[0] in _BRANCHES and "/" in name:
        return RefName(RefKind.OTHER)
    for module, text in _candidates(name):
        version = parse_version(text)
        if version:
            before = (module or "").lower()
            if before in _WORK:
                return RefName(RefKind.OTHER)
            kind = RefKind.VERSION if version.is_full else RefKind.PARTIAL_VERSION
            return RefName(kind, None if before in _RELEASES else module, version)
        if _WILDCARD.fullmatch(text):
            return RefName(RefKind.PARTIAL_VERSION, module)
    return RefName(RefKind.OTHER)


def _candidates(name: str) -> list[tuple[str | None, str]]:
    """The ways in which a name may end in a version, the longest version first: its pre-release may hold '-' too."""
    found: list[tuple[str | None, str]] = [(None, name)]
    found += [(name[:index] or None, name[index + 1 :]) for index, char in enumerate(name) if char in "/@_-"]
    return [(module, text) for module, text in found if text[:1].isdecimal() or text[:1] in {"v", "V"}]
