"""A finding's attributes on a terminal: aligned as Terraform aligns them, and each as long as the terminal has room for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from drift.render.finding_words import CREATE, DELETE, UPDATE, AttributeWords
from drift.render.text import shortened, shortened_pair
from records.spelling import counted

STYLES: Final = {UPDATE: "yellow", CREATE: "green", DELETE: "red", "-/+": "red", "+/-": "red"}
"""Terraform's own colours. What destroys is red however it ends."""

_ARROW: Final = " -> "
_EQUALS: Final = " = "
_INDENT: Final = "    "


def marked(symbol: Text, text: Text) -> RenderableType:
    """The text beside its symbol, and below nothing but itself where it takes more than a line."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(symbol, text)
    return grid


@dataclass(frozen=True, slots=True)
class Attributes:
    """The renderable of the attributes to be shown, of which there are ``left_out`` more."""

    shown: Sequence[AttributeWords]
    left_out: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Laid out for the width that the console says it has. A path beyond half of it does not push the others aside."""
        width = options.max_width
        aligned = max(filter(lambda cells: cells <= width // 2, (cell_len(one.path) for one in self.shown)), default=0)
        for one in self.shown:
            yield from _lines(one, aligned=aligned, width=width)
        if self.left_out:
            yield Text(f"# {counted(self.left_out, 'more attribute')}", style="dim")


def _lines(one: AttributeWords, *, aligned: int, width: int) -> RenderResult:
    """One line where all of it fits, else the values on a line of their own, cut to its length."""
    style = STYLES.get(one.symbol, "")
    label = f" {one.path}{' ' * (aligned - cell_len(one.path))}{_EQUALS}"
    values = _values(one)
    if cell_len(one.symbol) + cell_len(label) + cell_len(values) <= width:
        yield Text.assemble((one.symbol, style), label, values, no_wrap=True)
    else:
        yield marked(Text(one.symbol, style), Text(f"{one.path}{_EQUALS.rstrip()}"))
        yield Text(_INDENT + _values(one, width - len(_INDENT)), overflow="fold")


def _values(one: AttributeWords, cells: int | None = None) -> str:
    """Both sides, whole or in so many cells."""
    if one.instead:
        return one.instead
    if one.before is None:
        return one.after if cells is None else shortened(one.after, cells)
    both = (one.before, one.after)
    return _ARROW.join(both if cells is None else shortened_pair(*both, cells - len(_ARROW)))
