"""Two versions of a record as people compare them: the whole of the new one, with what goes and what comes marked."""

import difflib
from collections.abc import Iterator
from typing import Final

from rich.text import Text

from records.json_reading import RecordModel
from records.json_writing import to_document, to_text

_STYLES: Final = {"-": "red", "+": "green", " ": "dim"}


def difference(before: RecordModel | None, after: RecordModel) -> Text:
    """Every line of ``after``, marked ``+`` where it is new, and those of ``before`` that go, marked ``-``."""
    text = Text()
    for line in _lines(before, after):
        text.append(f"{line}\n", style=_STYLES[line[0]])
    return text


def _lines(before: RecordModel | None, after: RecordModel) -> Iterator[str]:
    old = to_text(to_document(before)).splitlines() if before else []
    new = to_text(to_document(after)).splitlines()
    for line in difflib.ndiff(old, new):
        if not line.startswith("?"):
            yield f"{line[0]} {line[2:]}"
