"""The report for a terminal: what needs a person first, the healthy ones only counted."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from reconcile.render.ordering import by_how_much, headline, told_of
from reconcile.render.pins import SAID, loose_of, moved_of, use_of, version_of
from reconcile.render.terminal_rows import Cells, Row, Rows
from records.module_pins import PinSummary
from records.report import WHOLE_ESTATE, Problem, Report
from records.results import StackResult
from records.spelling import counted, duration, visible
from records.verdicts import OddOneOut, Severity, Verdict

_STYLES: Final = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.INFO: "cyan",
    Severity.NONE: "green",
}
_INDENT: Final = (0, 0, 0, 4)
_MOST_PINS: Final = 50


def render_terminal(report: Report) -> RenderableType:
    """A Rich renderable: headline, problems, disagreements, unregistered states, counts."""
    return Group(*_parts(report))


def _parts(report: Report) -> Iterator[RenderableType]:
    summary = report.summary
    told = told_of(report.results)
    yield Text(headline(summary, told), style="bold")
    if summary.problems:
        yield Text("\nCould not be read or kept", style="underline")
        yield from map(_problem, summary.problems)
    for title, results in (("Needs a person", told.urgent), ("For information", told.for_information)):
        if results:
            yield Text(f"\n{title}", style="underline")
            yield Rows([_row(result, summary.started_at) for result in results])
    if summary.unregistered_states:
        yield Text("\nStates that no registry entry names", style="underline")
        yield from (Text(f"  {visible(name)}") for name in summary.unregistered_states)
    if summary.pins and summary.pins.has_something_to_tell:
        yield Text("\nModule pins", style="underline")
        yield from _pins(summary.pins)
    yield Text("\n" + _counts(summary.counts))


def _pins(pins: PinSummary) -> Iterator[RenderableType]:
    for moved in pins.moved_tags[:_MOST_PINS]:
        yield Text.assemble((visible(moved.tag), "bold"), "  ", ("moved tag", _STYLES[Severity.HIGH]), "  ")
        yield Padding(Text(visible(moved_of(moved))), _INDENT)
    for reference in pins.loose[:_MOST_PINS]:
        yield Text.assemble((visible(reference.source), "bold"), "  ", (reference.firmness, _STYLES[Severity.MEDIUM]))
        yield Padding(Text(visible(loose_of(reference))), _INDENT)
    for module in pins.spread[:_MOST_PINS]:
        yield Text.assemble((visible(module.module), "bold"), f"  {counted(len(module.versions), 'version')}")
        yield from (
            Padding(Text(visible(f"{version_of(version)}: {use_of(version)}")), _INDENT) for version in module.versions
        )
    omitted = sum(max(len(listed) - _MOST_PINS, 0) for listed in (pins.moved_tags, pins.loose, pins.spread))
    if omitted:
        yield Text(f"{omitted:,} more, which --format json lists")
    yield Text(f"→ {SAID}")


def _problem(problem: Problem) -> RenderableType:
    market = "the whole estate" if problem.market == WHOLE_ESTATE else visible(problem.market)
    return Group(
        Text.assemble((market, "bold"), f"  {problem.record}  ", (problem.code, _STYLES[Severity.HIGH])),
        _indented(f"{visible(problem.blob)}: {visible(problem.message)}", problem.remedy),
    )


def _row(result: StackResult, started_at: datetime) -> Row:
    """What is known of a result in a line, with what is wrong and what to do below it."""
    cells = Cells(
        severity=result.severity.value,
        stack=f"{result.market}/{result.stack}",
        verdict=result.verdict.value,
        odd_one_out="" if result.odd_one_out is OddOneOut.NONE else result.odd_one_out.value,
        by_how_much="" if result.verdict is Verdict.RECORDS_SPLIT else by_how_much(result),
        since=_for_how_long(result, started_at),
    )
    return Row(cells, _STYLES[result.severity], _indented(visible(result.summary), result.remedy))


def _for_how_long(result: StackResult, started_at: datetime) -> str:
    seconds = int((started_at - (result.first_seen_at or started_at)).total_seconds())
    return f"for {duration(seconds)}" if seconds > 0 else "new"


def _indented(wrong: str, remedy: str) -> RenderableType:
    return Padding(Text(f"{wrong}\n→ {remedy}"), (0, 0, 0, 4), expand=False)


def _counts(counts: dict[Verdict, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no stacks"
