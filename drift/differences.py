"""Compares the values of a plan, attribute path by attribute path.

A plan's JSON does not say which arrays are sets and which are lists. To name what differs, elements that only moved are passed
over; to say that an apply restores what was there, their order counts: ADR 0011.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from pydantic import JsonValue

from drift.masking import Masked, Unknown, Value, holds
from records.findings import AttributeChange

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Effect(Enum):
    """What an apply does to one path: undoes the drift, leaves it to the provider where it had drifted, or something else."""

    RESTORES = auto()
    UNKNOWN_WHERE_DRIFTED = auto()
    SOMETHING_ELSE = auto()


@dataclass(frozen=True, slots=True)
class Difference:
    """A path at which two values differ."""

    path: str
    before: Value
    after: Value

    def as_attribute(self) -> AttributeChange:
        """This difference as it is reported: neither side is shown where either may not be."""
        if holds([self.before, self.after], Masked) or holds([self.before, self.after], Unknown):
            return AttributeChange(path=self.path, sensitive=True)
        return AttributeChange(path=self.path, before=_shown(self.before), after=_shown(self.after))


def is_same(one: Value, other: Value) -> bool:
    """Whether two values are equal, element for element: 1 is 1.0 and not true, a null attribute is an absent one, and "" is
    neither.
    """
    return one is other or _text(one) == _text(other)


def differences(before: Value, after: Value, *, with_order: bool = False) -> tuple[Difference, ...]:
    """The paths that differ, down to single values; an object or array that comes or goes is listed by what is in it.

    An element is named by where it is now; one that comes is counted on from the end. ``with_order`` also gives the arrays that
    hold the same in another order.
    """
    return tuple(_differences("", before, after, with_order=with_order))


def effects(state: Value, now: Value, after: Value) -> Iterator[Effect]:
    """What an update that makes ``after`` of ``now`` does, where ``state`` is what was last recorded; nothing for a path that
    it leaves as it is.

    Nothing is restored, and nothing may be unknown, where nothing drifted: what changes there was never deployed.
    """
    if is_same(after, now):
        return
    if is_same(state, now):
        yield Effect.SOMETHING_ELSE
    elif isinstance(after, Unknown):
        yield Effect.UNKNOWN_WHERE_DRIFTED
    elif _is_same_or_unset(state, after):
        yield Effect.RESTORES
    elif _is_zero(now) and _puts_back(state, after):
        is_known = any(not holds([one.after], Unknown) for one in differences(now, after))
        yield Effect.RESTORES if is_known else Effect.UNKNOWN_WHERE_DRIFTED
    elif isinstance(state, dict) and isinstance(now, dict) and isinstance(after, dict):
        for key in state | now | after:
            yield from effects(state.get(key), now.get(key), after.get(key))
    elif (
        isinstance(state, list)
        and isinstance(now, list)
        and isinstance(after, list)
        and _are_aligned(state, now, after)
    ):
        for old, current, new in zip(state, now, after, strict=True):
            yield from effects(old, current, new)
    else:
        yield Effect.SOMETHING_ELSE


def recreates(state: Value, after: Value) -> bool:
    """Whether what is to be created is what the state recorded, as far as it is known before it is there.

    Any attribute may be unknown until then. A key of a map, further down, may only where the state has it: another one is new.
    """
    if isinstance(state, dict) and isinstance(after, dict):
        keys = state | after
        return all(isinstance(after.get(key), Unknown) or _puts_back(state.get(key), after.get(key)) for key in keys)
    return _puts_back(state, after)


def _differences(path: str, before: Value, after: Value, *, with_order: bool) -> Iterator[Difference]:
    if is_same(before, after):
        return
    values = (before, after)
    if all(isinstance(value, dict | None) for value in values) and any(values):
        in_before, in_after = (value if isinstance(value, dict) else {} for value in values)
        for key in sorted(in_before | in_after):
            yield from _differences(_below(path, key), in_before.get(key), in_after.get(key), with_order=with_order)
    elif all(isinstance(value, list | None) for value in values) and any(values):
        in_list, in_other = (value if isinstance(value, list) else [] for value in values)
        yield from _of_arrays(path, in_list, in_other, with_order=with_order)
    else:
        yield Difference(path, before, after)


def _of_arrays(path: str, before: list[Value], after: list[Value], *, with_order: bool) -> Iterator[Difference]:
    texts_before, texts_after = [_text(value) for value in before], [_text(value) for value in after]
    gone = _without(texts_before, texts_after)
    come = _without(texts_after, texts_before)
    if not gone and not come:
        if with_order:
            yield Difference(path, before, after)
        return
    added = max(len(come) - len(gone), 0)
    places = [*gone, *range(len(before), len(before) + added)]
    for number, place in enumerate(places):
        old = before[place] if number < len(gone) else None
        new = after[come[number]] if number < len(come) else None
        yield from _differences(f"{path}[{place}]", old, new, with_order=with_order)


def _without(texts: list[str], others: list[str]) -> list[int]:
    """The places of the elements that are left once each has been paired with an equal one of the others."""
    paired = Counter(others)
    left = []
    for place, text in enumerate(texts):
        if paired[text]:
            paired[text] -= 1
        else:
            left.append(place)
    return left


def _are_aligned(state: list[Value], now: list[Value], after: list[Value]) -> bool:
    """Whether the element at a place is the same one in all three: as many, and none that is known has moved."""
    if not len(state) == len(now) == len(after):
        return False
    recorded = [_text(value) for value in state]
    return all(
        text == own or text not in recorded
        for values in (now, after)
        for own, text in zip(recorded, map(_text, values), strict=True)
    )


def _puts_back(state: Value, after: Value) -> bool:
    """Whether ``after`` is what the state has, where it is known. What the state has no key for is new, even if it is "".

    An object has all its keys, null or not; only a map lacks one.
    """
    if isinstance(after, Unknown) or _is_same_or_unset(state, after):
        return True
    if isinstance(state, dict) and isinstance(after, dict):
        return all(
            _puts_back(state[key], after.get(key)) if key in state else after[key] is None for key in state | after
        )
    if isinstance(state, list) and isinstance(after, list) and len(state) == len(after):
        return all(_puts_back(old, new) for old, new in zip(state, after, strict=True))
    return False


def _is_same_or_unset(state: Value, after: Value) -> bool:
    """Whether both are equal; or the state's is its type's zero value and the other null; or one is empty and the other null.

    What is not configured is null in a plan, and what SDKv2 wrote into the state for it is "", 0, false or nothing in a list:
    'zero values and empty containers may be interchanged by the apply process' (hashicorp/terraform-plugin-sdk,
    ``helper/schema/grpc_provider.go``, ``normalizeNullValues``). False or 0 where the state has null is configured: what is
    null may well be true where the cloud has the say.
    """
    if after is None:
        return state is None or _is_zero(state)
    if state is None:
        return isinstance(after, dict | list) and not after
    return is_same(state, after)


def _is_zero(value: Value) -> bool:
    return not isinstance(value, Masked | Unknown) and not value


def _below(path: str, key: str) -> str:
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key, ensure_ascii=False)}]"


def _text(value: Value) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Value) -> JsonValue:
    match value:
        case Masked():
            return {"masked": None, "digest": value.digest.hex()}
        case Unknown():
            return {"unknown": None}
        case dict():
            return {key: _plain(below) for key, below in value.items() if below is not None}
        case list():
            return [_plain(below) for below in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _shown(value: Value) -> JsonValue:
    match value:
        case Masked() | Unknown():
            return None
        case dict():
            return {key: _shown(below) for key, below in value.items()}
        case list():
            return [_shown(below) for below in value]
        case _:
            return value
