"""The rows of what was found, on a terminal: in columns where they fit, else over two lines, and never without a verdict."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

_GAP: Final = "  "
_INDENT: Final = (0, 0, 0, 4)
_FIRST: Final = 3
"""So many cells stay on the first line where there is any room for them."""


class Cells(NamedTuple):
    """What a row says. The first three are always there and come first; the others are blank where there is nothing to say."""

    severity: str
    stack: str
    verdict: str
    odd_one_out: str
    by_how_much: str
    since: str


HEADER: Final = Cells("severity", "stack", "verdict", "odd one out", "by how much", "since")


@dataclass(frozen=True, slots=True)
class Row:
    """A result's cells, the style of its severity, and what is told below them."""

    cells: Cells
    style: str
    below: RenderableType


@dataclass(frozen=True, slots=True)
class Rows:
    """The renderable of the rows, below a header."""

    rows: Sequence[Row]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Laid out for the width that the console says it has. A name beyond a third of it does not push the others aside."""
        width = options.max_width
        columns = zip(HEADER, *(row.cells for row in self.rows), strict=True)
        widths = [max((len(cell) for cell in column if len(cell) <= width // 3), default=0) for column in columns]
        if _length(widths) > width:
            widths = widths[:_FIRST]
        yield from _lines(HEADER, ("dim",) * len(HEADER), widths, width)
        for row in self.rows:
            styles = (row.style, "bold", row.style, *[""] * (len(HEADER) - _FIRST))
            yield from _lines(row.cells, styles, widths, width)
            yield row.below


def _lines(cells: Cells, styles: Sequence[str], widths: Sequence[int], width: int) -> Iterator[RenderableType]:
    """One line where each cell has a column and the row fits, else two, the first of which has as many cells as fit."""
    padded = [cell.ljust(size) for cell, size in zip(cells, widths, strict=False)]
    fitting = (line for line in (padded, padded[:_FIRST], cells[:_FIRST]) if _length(map(len, line)) <= width)
    first = next(fitting, cells[: _FIRST - 1])
    yield _line(first, styles)
    if any(rest := cells[len(first) :]):
        yield Padding(_line(list(filter(None, rest)), styles[len(first) :]), _INDENT)


def _line(cells: Sequence[str], styles: Sequence[str]) -> Text:
    text = Text(_GAP, overflow="fold").join(Text(*pair) for pair in zip(cells, styles, strict=False))
    text.rstrip()
    return text


def _length(lengths: Iterable[int]) -> int:
    """Of a line of such cells, with what parts them."""
    each = tuple(lengths)
    return sum(each) + len(_GAP) * (len(each) - 1)
