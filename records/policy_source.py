"""Where the policy comes from: the port, and its text as plain values with the line on which each stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

POLICY_BLOB: Final = "policy.yaml"

PlainValue: TypeAlias = "bool | int | str | list[PlainValue] | dict[str, PlainValue] | None"
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class MarkedValues:
    """What the file holds. ``lines`` has the path of every field and item, the whole file's being ``()``; from 1 on.

    ``name`` is what the file is called by whoever keeps it.
    """

    values: PlainValue
    lines: Mapping[Path, int]
    name: str = POLICY_BLOB


def line_of(path: Sequence[str | int], lines: Mapping[Path, int]) -> int | None:
    """Of the field or item, else of what it is in."""
    paths = (tuple(path[:length]) for length in range(len(path), -1, -1))
    return next((lines[one] for one in paths if one in lines), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenYaml:
    """The file is no YAML, or of a kind that a policy may not be. ``line`` is None where no line is to blame."""

    message: str
    line: int | None = None
    name: str = POLICY_BLOB


@dataclass(frozen=True, slots=True)
class NoPolicy:
    """There is no policy file, for certain."""


@dataclass(frozen=True, slots=True)
class UnreadPolicy:
    """Whether there is a policy, or what it says, could not be learnt. ``why`` is a sentence with the remedy."""

    why: str


class PolicySource(Protocol):
    """Reads the policy anew at each call, so that a change of it counts from the next run on."""

    async def read(self) -> MarkedValues | BrokenYaml | NoPolicy | UnreadPolicy: ...
