"""How values are spelt: on one line, with nothing in it that a terminal would obey, and no longer than fits.

Values are spelt as JSON, which for text, numbers and null is how Terraform spells them too.
"""

import json
from typing import Final

from pydantic import JsonValue
from rich.cells import cell_len

from records.spelling import visible

ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"


def spelt(value: JsonValue) -> str:
    """The value on one line, whole."""
    return visible(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def shortened(text: str, cells: int) -> str:
    """The text in at most so many cells of a terminal, cut in the middle: both ends of an id say more than its start."""
    if cell_len(text) <= cells:
        return text
    room = max(cells - 1, 0)
    return f"{_head(text, (room + 1) // 2)}{ELLIPSIS}{_tail(text, room // 2)}"


def shortened_pair(before: str, after: str, cells: int) -> tuple[str, str]:
    """Both in at most so many cells together; a short one leaves its room to the other.

    Where both would be cut to the same text, each shows the place at which they part instead.
    """
    length_before, length_after = cell_len(before), cell_len(after)
    if length_before + length_after <= cells:
        return before, after
    half = cells // 2
    for_before = max(half, cells - length_after)
    for_after = max(half, cells - length_before)
    cut = shortened(before, for_before), shortened(after, for_after)
    if cut[0] != cut[1] or before == after:
        return cut
    place = next(
        (place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]),
        min(len(before), len(after)),
    )
    return _around(before, place, for_before), _around(after, place, for_after)


def _around(text: str, place: int, cells: int) -> str:
    """A part of the text that has the character at ``place`` in it, an ellipsis at each end that was cut."""
    start = max(place - cells // 3, 0)
    room = cells - 2
    part = _head(text[start:], room)
    end = start + len(part)
    return f"{ELLIPSIS if start else ''}{part}{ELLIPSIS if end < len(text) else ''}"


def _head(text: str, cells: int) -> str:
    """Measured as a whole: two characters may take another width together than apart."""
    head = text[: max(cells, 0)]
    while cell_len(head) > cells:
        head = head[:-1]
    return head


def _tail(text: str, cells: int) -> str:
    tail = text[-cells:] if cells > 0 else ""
    while cell_len(tail) > cells:
        tail = tail[1:]
    return tail
