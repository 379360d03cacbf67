"""The report for a terminal: what needs a person first, the healthy ones only counted."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reconcile.render.formats import age, visible
from reconcile.render.ordering import by_how_much, headline, most_urgent_first
from records.report import WHOLE_ESTATE, Report, RunSummary
from records.results import StackResult
from records.verdicts import Severity, Verdict

_STYLES: Final = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.INFO: "cyan",
    Severity.NONE: "green",
}


def render_terminal(report: Report) -> RenderableType:
    """A Rich renderable: headline, problems, disagreements, unregistered states, counts."""
    return Group(*_parts(report))


def _parts(report: Report) -> Iterator[RenderableType]:
    summary = report.summary
    urgent = most_urgent_first(report.results)
    yield Text(headline(summary), style="bold")
    if summary.problems:
        yield Padding(_problems(summary), (1, 0, 0, 0))
    if urgent:
        yield Padding(_disagreements(urgent, summary.finished_at), (1, 0, 0, 0))
    if summary.unregistered_states:
        yield Text("\nStates that no registry entry names:")
        yield from (Text(f"  {visible(name)}") for name in summary.unregistered_states)
    yield Text("\n" + _counts(summary.counts))


def _problems(summary: RunSummary) -> Table:
    table = Table(title="Could not be read", title_justify="left", box=None, pad_edge=False)
    table.add_column("market", style="bold", overflow="fold")
    table.add_column("record")
    table.add_column("what is wrong", overflow="fold", ratio=1)
    for problem in summary.problems:
        table.add_row(
            Text("the whole estate" if problem.market == WHOLE_ESTATE else visible(problem.market)),
            Text(problem.record),
            Text(f"{visible(problem.blob)}: {visible(problem.message)}\n→ {problem.remedy}"),
        )
    return table


def _disagreements(urgent: list[StackResult], now: datetime) -> Table:
    table = Table(title="Needs a person", title_justify="left", box=None, pad_edge=False)
    table.add_column("severity")
    table.add_column("market/stack", style="bold", overflow="fold")
    table.add_column("verdict")
    table.add_column("odd one out")
    table.add_column("by", justify="right")
    table.add_column("for", justify="right")
    table.add_column("what is wrong", overflow="fold", ratio=1)
    for result in urgent:
        style = _STYLES[result.severity]
        table.add_row(
            Text(result.severity, style=style),
            Text(f"{result.market}/{result.stack}"),
            Text(result.verdict, style=style),
            Text(result.odd_one_out),
            Text(by_how_much(result)),
            Text(age(result.first_seen_at, at=now) if result.first_seen_at else ""),
            Text(f"{visible(result.summary)}\n→ {result.remedy}"),
        )
    return table


def _counts(counts: dict[Verdict, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no stacks"
