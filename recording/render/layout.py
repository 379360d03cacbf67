"""How the commands that write records lay out what they tell."""

from typing import Final

from rich.table import Table
from rich.text import Text

from records.verdicts import Verdict

SCHEMA_VERSION: Final = 1
"""Of every JSON answer."""
INDENT: Final = (0, 0, 0, 2)
NOTHING_WRITTEN: Final = "Nothing was written. Run it again with --yes to write this."


def table_of(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def verdict_text(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    return Text(str(verdict), style="green" if verdict is Verdict.HEALTHY else "red")
