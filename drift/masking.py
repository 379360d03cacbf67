"""Takes the secrets out of a plan's values before anything else looks at them, so that what is left can still be compared.

`terraform show -json` writes secrets in clear, beside a tree of the same shape that says which paths are sensitive
(https://developer.hashicorp.com/terraform/internals/json-format, ``before_sensitive`` and ``after_sensitive``). The tree is not
the whole truth: a provider that echoes a secret into another attribute leaves the echo unmarked, as ``terraform_data`` does
with its ``output``. So a text or a number that was found under a mark is masked wherever else it stands.

A masked value is the value's digest under a key that is made for one plan and forgotten with it.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final, TypeAlias

from pydantic import JsonValue

ECHO_MIN_CHARACTERS: Final = 4
"""A shorter secret is masked at its own path alone. Of a number, digits are counted."""
LONG_ECHO_MIN_CHARACTERS: Final = 8
"""From here on a secret is also looked for in other objects and inside of longer texts. "prod" or "true" would blot out half of
a report, and so would a port or a priority.
"""


@dataclass(frozen=True, slots=True)
class Masked:
    """A value that nobody may see. Two of one plan are equal where their values are."""

    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """What the provider will only say once it has applied."""


Value: TypeAlias = "bool | int | float | str | Masked | Unknown | list[Value] | dict[str, Value] | None"
"""A value of a plan's JSON after masking. A number beyond a float's precision is its text."""

UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Marks:
    """Which paths are sensitive.

    Of a list, one mark covers all elements: a set has no positions, and an element's mark must follow it to wherever it
    stands on the other side of a change.
    """

    everything: bool = False
    keys: "Mapping[str, Marks]" = field(default_factory=dict)
    elements: "Marks | None" = None

    @property
    def is_empty(self) -> bool:
        return not (self.everything or self.keys or self.elements)

    def of_key(self, key: str) -> "Marks":
        return self.keys.get(key, NO_MARKS)


NO_MARKS: Final = Marks()
ALL_MARKS: Final = Marks(everything=True)


def join_marks(*trees: JsonValue) -> Marks:
    """What any of these trees of ``true``, objects and arrays calls sensitive. A shape that is not known covers everything."""
    keys: dict[str, list[JsonValue]] = {}
    elements: list[JsonValue] = []
    for tree in trees:
        match tree:
            case None | False:
                continue
            case dict():
                for key, below in tree.items():
                    keys.setdefault(key, []).append(below)
            case list():
                elements += tree
            case _:
                return ALL_MARKS
    of_keys = ((key, join_marks(*below)) for key, below in keys.items())
    of_elements = join_marks(*elements) if elements else NO_MARKS
    return Marks(
        keys={key: marks for key, marks in of_keys if not marks.is_empty},
        elements=None if of_elements.is_empty else of_elements,
    )


class Masker:
    """Masks the values of one plan's objects. ``echoes`` are `secret_texts` of all of them."""

    def __init__(self, echoes: Iterable[str]) -> None:
        self._key = secrets.token_bytes(32)
        self._echoes = frozenset(text for text in echoes if len(text) >= LONG_ECHO_MIN_CHARACTERS)

    def __repr__(self) -> str:
        return "Masker()"

    def mask(self, value: JsonValue, unknown: JsonValue, marks: Marks, own: frozenset[str]) -> Value:
        """The value with what is sensitive masked, and with `UNKNOWN` at each ``true`` of its tree ``unknown``.

        ``own`` are the secrets of the same object, which are also looked for inside of longer texts, such as connection
        strings. A null is not masked: that nothing is set is no secret, and Terraform leaves a null out as often as not.
        """
        if _is_unknown(value, unknown):
            return UNKNOWN
        if value is None and not isinstance(unknown, dict):
            return None
        if marks.everything or _is_of_another_shape(value, marks):
            return self._masked(value, unknown)
        match value:
            case str():
                return self._masked(value, unknown) if self._is_echo(value, own) else value
            case list():
                of_each = marks.elements or NO_MARKS
                below = unknown if isinstance(unknown, list) else []
                pairs = zip_longest(value, below)
                return [self.mask(element, its_unknown, of_each, own) for element, its_unknown in pairs]
            case dict() | None:
                fields = value or {}
                below_keys = unknown if isinstance(unknown, dict) else {}
                if any(self._is_echo(key, own) for key in fields):
                    return self._masked(value, unknown)
                masked = {
                    key: self.mask(fields.get(key), below_keys.get(key), marks.of_key(key), own)
                    for key in fields | below_keys
                }
                return None if value is None and not holds([masked], Unknown) else masked
            case int() | float() if not isinstance(value, bool):
                return self._masked(value, unknown) if self._is_echo(json.dumps(value), own) else value
            case _:
                return value

    def _masked(self, value: JsonValue, unknown: JsonValue) -> Masked:
        text = json.dumps([_without_nulls(value), unknown if says_true(unknown) else None], sort_keys=True)
        return Masked(hashlib.blake2b(text.encode(), key=self._key).digest())

    def _is_echo(self, text: str, own: frozenset[str]) -> bool:
        """Of a number ``text`` is what JSON writes for it, so that one is known again where it became text."""
        if text in own or text in self._echoes:
            return True
        return bool(own) and any(len(secret) >= LONG_ECHO_MIN_CHARACTERS and secret in text for secret in own)


def secret_texts(value: JsonValue, marks: Marks) -> frozenset[str]:
    """The texts under a mark, and the numbers as text, that are long enough to be known again elsewhere. Keys are not: an echo
    of them says nothing.
    """
    return frozenset(text for text in _marked_texts(value, marks) if len(text) >= ECHO_MIN_CHARACTERS)


def _is_unknown(value: JsonValue, unknown: JsonValue) -> bool:
    """Whether the tree says so, or says so of something inside of what the value is not."""
    match unknown:
        case dict():
            return not isinstance(value, dict | None) and says_true(unknown)
        case list():
            return not isinstance(value, list) and says_true(unknown)
        case _:
            return unknown is True


def _is_of_another_shape(value: JsonValue, marks: Marks) -> bool:
    """Whether a mark is for what is inside of an object or array, and the value is not one of that kind."""
    match value:
        case dict():
            return marks.elements is not None
        case list():
            return bool(marks.keys)
        case None:
            return False
        case _:
            return not marks.is_empty


def _marked_texts(value: JsonValue, marks: Marks) -> Iterator[str]:
    if marks.everything or _is_of_another_shape(value, marks):
        yield from _texts(value)
    elif isinstance(value, dict):
        for key, marks_below in marks.keys.items():
            yield from _marked_texts(value.get(key), marks_below)
    elif isinstance(value, list) and marks.elements:
        for element in value:
            yield from _marked_texts(element, marks.elements)


def _texts(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case int() | float() if not isinstance(value, bool):
            text = json.dumps(value)
            if sum(map(str.isdigit, text)) >= ECHO_MIN_CHARACTERS:
                yield text
        case dict():
            for below in value.values():
                yield from _texts(below)
        case list():
            for below in value:
                yield from _texts(below)


def _without_nulls(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {key: _without_nulls(below) for key, below in value.items() if below is not None}
        case list():
            return [_without_nulls(below) for below in value]
        case _:
            return value


def says_true(tree: JsonValue) -> bool:
    match tree:
        case dict():
            return any(says_true(below) for below in tree.values())
        case list():
            return any(says_true(below) for below in tree)
        case _:
            return tree is True


def holds(values: Iterable[Value], kind: type[Masked | Unknown]) -> bool:
    """Whether one of these values is of this kind, however deep."""
    for value in values:
        match value:
            case dict():
                below: Iterable[Value] = value.values()
            case list():
                below = value
            case _:
                below = ()
        if isinstance(value, kind) or holds(below, kind):
            return True
    return False
