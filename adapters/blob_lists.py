"""Lists that people write by hand: the names of state blobs, and which market and stack each is."""

import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from records.errors import SettingsError

_STDIN: Final = Path("-")
_NEEDED: Final = ("key", "market", "stack")
_HEADER: Final = "key,market,stack[,subscription_id]"


def listed_blobs(file: Path) -> list[str]:
    """The names in a file, one a line; empty lines and those that begin with ``#`` say nothing. ``-`` is stdin.

    Raises:
        SettingsError: it cannot be read, or names nothing.
    """
    names = [line.strip() for line in _text("--states", file).split("\n")]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise SettingsError(f"--states {file}: it names no state")
    return names


def mapping_rows(file: Path) -> list[Mapping[str, str]]:
    """The rows of a CSV file with the columns ``key``, ``market``, ``stack``, and perhaps ``subscription_id``.

    Raises:
        SettingsError: it cannot be read, lacks a column, or has a row with too few or empty cells; names the line.
    """
    reader = csv.reader(io.StringIO(_text("--mapping", file), newline=""), strict=True, skipinitialspace=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
        missing = [column for column in _NEEDED if columns.count(column) != 1]
        if missing:
            raise SettingsError(
                f"--mapping {file}: its first line should have {', '.join(missing)} once, with commas between: {_HEADER}"
            )
        rows = [_row(columns, cells, where=f"--mapping {file}: line {reader.line_num}") for cells in reader if cells]
    except csv.Error as error:
        raise SettingsError(f"--mapping {file}: line {reader.line_num}: {error}") from None
    if not rows:
        raise SettingsError(f"--mapping {file}: it names no state")
    return rows


def _row(columns: list[str], cells: list[str], *, where: str) -> Mapping[str, str]:
    if len(cells) != len(columns):
        raise SettingsError(f"{where} has not as many cells as the first")
    row = {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}
    empty = [column for column in _NEEDED if not row[column]]
    if empty:
        raise SettingsError(f"{where} has no {', '.join(empty)}")
    return row


def _text(option: str, file: Path) -> str:
    try:
        content = sys.stdin.buffer.read() if file == _STDIN else file.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{option} {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{option} {file}: it is not UTF-8; in PowerShell: `Set-Content -Encoding utf8`") from None
