"""Which state blob is which stack's: by a pattern over their names, or by a list. Pure.

All or nothing: a mapping that leaves one blob without its place may be wrong for the others too.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from pydantic import ValidationError

from records.errors import RefusedWriteError
from records.names import is_market_key, is_stack_name
from records.registry import DEFAULT_WORKSPACE, StateLocation

_WORKSPACE_MARK: Final = "env:"
_NEEDED: Final = frozenset({"market", "stack"})
_KNOWN: Final = _NEEDED | {"subscription_id"}
_SUBSCRIPTION_ID: Final = re.compile(r"[!-~]{1,256}")

Row = Mapping[str, str]
"""Of a list: ``key``, ``market``, ``stack``, and perhaps ``subscription_id``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a state blob belongs; ``subscription_id`` where the mapping says it."""

    blob: str
    market: str
    stack: str
    subscription_id: str | None = None

    @property
    def name(self) -> str:
        return f"{self.market}/{self.stack}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A blob, or a row of a list, that has no place, and why."""

    blob: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSource:
    """The container and account that the blobs are in; None is the estate's own."""

    container: str | None = None
    account_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """What a mapping makes of the blobs, each sorted by blob."""

    places: tuple[Place, ...]
    unplaced: tuple[Unplaced, ...]


def is_subscription_id(text: str) -> bool:
    return _SUBSCRIPTION_ID.fullmatch(text) is not None


def compiled_pattern(text: str) -> re.Pattern[str]:
    """A pattern that names a market and a stack.

    Raises:
        RefusedWriteError: it is no regular expression, lacks a group, or has one that means nothing here.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise RefusedWriteError(f"--pattern is no regular expression: {error}.") from None
    groups = set(pattern.groupindex)
    if not groups >= _NEEDED or not groups <= _KNOWN:
        raise RefusedWriteError(
            "--pattern needs the groups (?P<market>…) and (?P<stack>…), may have (?P<subscription_id>…), and no other names."
        )
    return pattern


def place_states(
    blobs: Iterable[str], mapping: re.Pattern[str] | Sequence[Row], *, exclude: Sequence[str] = ()
) -> Placing:
    """``exclude`` are shell patterns; what one of them matches is left out, of the blobs and of a list alike."""
    wanted = {blob for blob in blobs if not _is_excluded(blob, exclude)}
    if isinstance(mapping, re.Pattern):
        return _by_pattern(wanted, mapping)
    return _by_list(wanted, [row for row in mapping if not _is_excluded(row["key"], exclude)])


def state_source(*, container: str | None, account_url: str | None) -> StateSource:
    """Raises:
    RefusedWriteError: a registry entry could not say it.
    """
    source = StateSource(container=container, account_url=account_url)
    try:
        _location("any", source)
    except ValidationError:
        raise RefusedWriteError("--container or --account-url is none that a registry entry can hold.") from None
    return source


def location_of(place: Place, source: StateSource) -> StateLocation:
    """As a registry entry says it."""
    return _location(place.blob, source)


def _location(blob: str, source: StateSource) -> StateLocation:
    key, workspace = _key_and_workspace(blob)
    said = {"key": key, "workspace": workspace, "container": source.container, "account_url": source.account_url}
    return StateLocation.model_validate({name: value for name, value in said.items() if value is not None})


def _is_excluded(blob: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(blob, glob) for glob in globs)


def _by_pattern(blobs: Iterable[str], pattern: re.Pattern[str]) -> Placing:
    """By the whole name, or by the key alone where the pattern says nothing of the workspace at its end."""
    places, unplaced = [], []
    for blob in sorted(blobs):
        match = pattern.fullmatch(blob) or pattern.fullmatch(_key_and_workspace(blob)[0])
        if match:
            places.append(_place(blob, match.groupdict()))
        else:
            unplaced.append(Unplaced(blob=blob, why="the pattern does not match the whole of it"))
    return _checked(places, unplaced)


def _by_list(blobs: set[str], rows: Sequence[Row]) -> Placing:
    """By the row whose ``key`` is the blob's whole name; a row of a blob that is not there has no place either."""
    count = Counter(row["key"] for row in rows)
    unplaced = [Unplaced(blob=blob, why="the list has no row for it") for blob in blobs - count.keys()]
    unplaced += [
        Unplaced(blob=key, why="the list has a row for it, and there is no such state") for key in count.keys() - blobs
    ]
    unplaced += [Unplaced(blob=key, why="the list has several rows for it") for key in blobs if count[key] > 1]
    return _checked(
        [_place(row["key"], row) for row in rows if row["key"] in blobs and count[row["key"]] == 1], unplaced
    )


def _key_and_workspace(blob: str) -> tuple[str, str | None]:
    """The azurerm backend keeps a workspace other than ``default`` at ``{key}env:{workspace}``."""
    key, mark, workspace = blob.rpartition(_WORKSPACE_MARK)
    return (key, workspace) if mark and key and workspace not in {"", DEFAULT_WORKSPACE} else (blob, None)


def _place(blob: str, named: Mapping[str, str | None]) -> Place:
    return Place(
        blob=blob,
        market=named["market"] or "",
        stack=named["stack"] or "",
        subscription_id=named.get("subscription_id") or None,
    )


def _checked(places: list[Place], unplaced: list[Unplaced]) -> Placing:
    """Takes out what no records could be written for: names that are none, and two states for one stack."""
    rivals = defaultdict(list)
    for place in places:
        rivals[place.name].append(place.blob)
    good = []
    for place in places:
        why = _why_not(place, [blob for blob in rivals[place.name] if blob != place.blob])
        if why:
            unplaced.append(Unplaced(blob=place.blob, why=why))
        else:
            good.append(place)
    return Placing(
        places=tuple(sorted(good, key=lambda place: place.blob)),
        unplaced=tuple(sorted(unplaced, key=lambda one: (one.blob, one.why))),
    )


def _why_not(place: Place, rivals: Sequence[str]) -> str | None:
    if not is_market_key(place.market):
        return f"{place.market!r} is no market's key (a-z, 0-9, '-', '/')"
    if not is_stack_name(place.stack):
        return f"{place.stack!r} is no stack's name (a-z, 0-9, '-')"
    if place.subscription_id and not is_subscription_id(place.subscription_id):
        return "its subscription_id is none: 256 characters at most, without blanks"
    if rivals:
        return f"it would be {place.name}, and so would {rivals[0]}"
    try:
        _location(place.blob, StateSource())
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        return f"no record can hold its name: {reason}"
    return None
