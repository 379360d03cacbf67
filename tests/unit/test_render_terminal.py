"""The report on a terminal. `UPDATE_GOLDEN=1` writes the golden texts of tests/golden/reconcile_render anew."""

import io
import os
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from reconcile.render.terminal import render_terminal
from records.report import Report
from records.verdicts import OddOneOut, Verdict
from tests.unit.report_samples import drifted, report, stack_result
from tests.unit.test_render_html import REPORTS, eventful

GOLDEN = Path(__file__).parents[1] / "golden" / "reconcile_render"
LONG_MARKET = "emea/" + "-".join(["division"] * 6)
LONG_NAME = f"{LONG_MARKET}/networking"


def terminal(rendered: Report, width: int) -> str:
    """As on a terminal of that width, without its colours and without blanks at line ends."""
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(render_terminal(rendered))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().split("\n")[:-1])


def with_a_long_name() -> Report:
    """One name as long as three others together, and odd ones out of every length."""
    return report(
        [
            drifted(LONG_MARKET, "networking"),
            drifted("de", "app"),
            stack_result("fr", "data", Verdict.STATE_FORKED, odd_one_out=OddOneOut.STATE, first_seen_at=None),
            stack_result("fr", "dns", Verdict.RECORDS_SPLIT, odd_one_out=OddOneOut.UNDETERMINED),
        ]
    )


TEXTS = {
    "terminal_80.txt": (eventful, 80),
    "terminal_120.txt": (eventful, 120),
    "long_name_80.txt": (with_a_long_name, 80),
    "long_name_120.txt": (with_a_long_name, 120),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_morning_reads_as_the_golden_text_does(name: str) -> None:
    rendered, width = TEXTS[name]
    told, golden = terminal(rendered(), width), GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(told, encoding="utf-8", newline="\n")
    assert told == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 80, 100, 120, 1000])
@pytest.mark.parametrize("rendered", REPORTS.values(), ids=REPORTS.keys())
def test_nothing_is_wider_than_the_terminal(rendered: Report, width: int) -> None:
    assert max(cell_len(line) for line in terminal(rendered, width).splitlines()) <= width


@pytest.mark.parametrize("width", [76, 80, 120, 200])
def test_a_row_of_any_length_keeps_its_severity_its_stack_and_its_verdict(width: int) -> None:
    cells = terminal(with_a_long_name(), width).split()
    start = cells.index(LONG_NAME)
    assert (cells[start - 1], cells[start + 1]) == ("high", "pipeline_drift")
    assert {"state_forked", "records_split"} <= set(cells)


def test_a_name_too_long_for_a_column_does_not_push_the_others_aside() -> None:
    lines = terminal(with_a_long_name(), 120).splitlines()
    (other,) = [line for line in lines if "de/app" in line and "→" not in line]
    assert other.split("  ")[0] == "high"
    assert other.endswith("+2 serials                  for 2 d 1 h")
    place = next(place for place, line in enumerate(lines) if LONG_NAME in line)
    assert lines[place] == f"high      {LONG_NAME}  pipeline_drift"
    assert lines[place + 1] == "    state  +2 serials  for 2 d 1 h"
