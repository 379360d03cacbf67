"""Reads the assumptions and the prices from the tables of `docs/costs.md`."""

from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "costs.md"


def section(title: str) -> str:
    """The text below a heading of the second level."""
    return DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table_rows(text: str) -> list[list[str]]:
    """The cells of each row of its tables, the heads and rules among them."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def values_of(title: str) -> dict[str, tuple[float, ...]]:
    """The values of a section's table by name: one, or one for each of `scripts.costs.estate.SIZES`."""
    return {
        row[0].strip("`"): tuple(float(number.replace(",", "")) for number in row[1].split(" / "))
        for row in table_rows(section(title))
        if row[0].startswith("`")
    }
