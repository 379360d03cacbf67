"""Two versions of a record as people compare them: field by field, the old value before the new one."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from pydantic import JsonValue
from rich.text import Text

from records.json_reading import RecordModel
from records.json_writing import to_document, to_text

_STYLES: Final = {"-": "red", "+": "green", " ": "dim"}
_DEEPER: Final = "  "

Marked = tuple[str, str]
"""A sign and a line: ``-`` goes, ``+`` comes, blank stays."""


def difference(before: RecordModel | None, after: RecordModel) -> Text:
    """Every field of both, as in their JSON: its lines unmarked where it stays, ``-`` as it was and then ``+`` as it will be.

    Of a list that stays, each item is told so; any other value is told as a whole.
    """
    text = Text()
    for sign, line in _lines(to_document(before) if before else {}, to_document(after)):
        text.append(f"{sign} {line}\n", style=_STYLES[sign])
    return text


def _lines(before: dict[str, JsonValue], after: dict[str, JsonValue]) -> Iterator[Marked]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if name not in before:
            yield from _field(name, new, "+")
        elif name not in after:
            yield from _field(name, old, "-")
        elif old == new:
            yield from _field(name, new, " ")
        elif isinstance(old, list) and isinstance(new, list):
            yield from _list(name, old, new)
        else:
            yield from _field(name, old, "-")
            yield from _field(name, new, "+")


def _field(name: str, value: JsonValue, sign: str) -> Iterator[Marked]:
    first, *others = to_text(value).splitlines()
    yield sign, f'"{name}": {first}'
    yield from ((sign, line) for line in others)


def _list(name: str, old: list[JsonValue], new: list[JsonValue]) -> Iterator[Marked]:
    yield " ", f'"{name}": ['
    was, will_be = [to_text(item) for item in old], [to_text(item) for item in new]
    for kind, start, end, new_start, new_end in SequenceMatcher(None, was, will_be, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from _items(was[start:end], " ")
        else:
            yield from _items(was[start:end], "-")
            yield from _items(will_be[new_start:new_end], "+")
    yield " ", "]"


def _items(texts: list[str], sign: str) -> Iterator[Marked]:
    return ((sign, _DEEPER + line) for text in texts for line in text.splitlines())
