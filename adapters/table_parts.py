"""JSON in a table's row: compressed, and parted among columns where it is larger than a property may be (64 KiB).

The columns of ``check`` are ``check``, ``check_1``, ``check_2``, … and ``parts``, which says how many they are. A row takes
1 MiB (https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model), and is
sent in base64.
"""

import gzip
import zlib
from collections.abc import Mapping
from typing import Any, Final

PART_BYTES: Final = 60_000
MOST_PARTS: Final = 12
"""In base64, as a request sends them, these are less than 1 MiB: beyond, aiohttp warns that a body holds up everything else."""
_COUNT: Final = "parts"


def parted(content: str, *, column: str, most_parts: int = MOST_PARTS) -> dict[str, Any] | None:
    """The columns that hold a text, or None where it needs more than ``most_parts``."""
    # Without a time of its own, so that the same text gives the same bytes.
    compressed = gzip.compress(content.encode(), mtime=0)
    if len(compressed) > most_parts * PART_BYTES:
        return None
    parts = [compressed[start : start + PART_BYTES] for start in range(0, len(compressed), PART_BYTES)]
    return {_COUNT: len(parts), **{_name(column, number): part for number, part in enumerate(parts)}}


def joined(row: Mapping[str, Any], *, column: str) -> bytes:
    """The text that `parted` made columns of, in UTF-8.

    Raises:
        ValueError: the row has no such columns, or others than these.
    """
    try:
        return gzip.decompress(b"".join(row[_name(column, number)] for number in range(row[_COUNT])))
    except (KeyError, TypeError, OSError, EOFError, zlib.error):
        raise ValueError(f"column {column} is not of a form that this version writes") from None


def _name(column: str, number: int) -> str:
    return f"{column}_{number}" if number else column
