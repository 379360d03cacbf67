"""The checks for a terminal: every stack that is not clean as Terraform would tell it, the clean ones only counted."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group as Renderables
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from drift.render.attributes import STYLES, Attributes, marked
from drift.render.finding_words import (
    address_of,
    attribute_words,
    direction_of,
    happens_to,
    symbol_of,
    who_changed,
)
from drift.render.groups import Group, groups, names_of, title_of
from drift.render.legend import legend
from drift.render.order import by_name, gravest_first
from drift.render.reasons import GRAVE
from drift.render.summary import summary_line
from drift.render.wording import (
    Ran,
    approval_of,
    because,
    bundle_of,
    decided,
    differs_in,
    is_queued,
    job_name,
    next_step,
    told_of,
)
from records.findings import Finding
from records.plan_checks import CheckReport, Decision, StackCheck
from records.report import WHOLE_ESTATE, Problem
from records.spelling import counted, visible

MOST_FINDINGS: Final = 40
MOST_ATTRIBUTES: Final = 25
MOST_DIAGNOSTICS: Final = 10
MOST_OF_A_CLEAN_STACK: Final = 5
"""Keep a bad morning readable; the report says what it omits, and the JSON has it all."""

_SIDES: Final = "Values: what is there now -> what an apply of the deployed bundle makes of it."
_IN_A_STACK: Final = (0, 0, 0, 2)
_IN_A_FINDING: Final = (0, 0, 0, 6)


def render_terminal(report: CheckReport, *, has_asked: bool = True) -> RenderableType:
    """A Rich renderable: stacks, clean stacks that have something to tell, problems, counts.

    ``has_asked`` is whether anybody was asked who had changed what.
    """
    return Renderables(*_parts(report, Ran(queued=report.queued, has_asked=has_asked)))


def _parts(report: CheckReport, ran: Ran) -> Iterator[RenderableType]:
    checks = by_name(report.results)
    telling = [check for check in checks if check.decision is not Decision.CLEAN]
    findings = [finding for check in telling for finding in check.findings]
    if lines := legend(findings, sides=_SIDES, has_asked=ran.has_asked):
        yield Text("\n".join(lines) + "\n", style="dim")
    for group in groups(telling):
        yield from _stacks(group, ran)
        yield Text()
    clean = [check for check in checks if check.decision is Decision.CLEAN and check.findings]
    if clean:
        yield Text("Clean, though something differs", style="underline")
        for check in clean:
            yield from _clean_stack(check)
        yield Text()
    if report.problems:
        yield Text("Could not be looked at, kept or queued", style="underline")
        yield from map(_problem, report.problems)
        yield Text()
    yield Text(summary_line(report), style="bold")


def _stacks(group: Group, ran: Ran) -> Iterator[RenderableType]:
    check, queued = group[0], ran.queued
    yield Text.assemble((title_of(group), "bold"), "  ", (decided(check, queued), _style_of(check, ran)))
    if why := check.why or because(check):
        yield _in_a_stack(visible(why))
    if step := next_step(group, queued):
        yield _in_a_stack(f"→ {step}")
    if approval := approval_of(check):
        yield _in_a_stack(f"  {approval}")
    if check.job_id and is_queued(check, queued):
        yield _in_a_stack(f"queued as job {job_name(check.job_id)}")
    if bundle := bundle_of(group):
        yield _in_a_stack(bundle)
    if len(group) > 1:
        yield _in_a_stack(f"\n{names_of(group)}")
    findings = gravest_first(check.findings)
    for finding in findings[:MOST_FINDINGS]:
        yield from _finding(finding, check, ran)
    if (left_out := len(findings) - MOST_FINDINGS) > 0:
        yield _in_a_stack(f"\n# {counted(left_out, 'more finding')}, which --format json lists", style="dim")
    yield from _diagnostics(check)


def _finding(finding: Finding, check: StackCheck, ran: Ran) -> Iterator[RenderableType]:
    symbol, happens = symbol_of(finding), happens_to(finding, is_queued=is_queued(check, ran.queued))
    head = Text.assemble((address_of(finding), "bold"), f" {happens}" if happens else "")
    yield Text()
    yield marked(Text(f"{symbol:>3}", STYLES.get(symbol, "")), head)
    told = [told_of(finding, check, direction_of(finding)), who_changed(finding, has_asked=ran.has_asked)]
    yield Padding(Text("\n".join(filter(None, told)), overflow="fold"), _IN_A_FINDING)
    attributes = attribute_words(finding)
    shown = attributes[:MOST_ATTRIBUTES]
    yield Padding(Attributes(shown, left_out=len(attributes) - len(shown)), _IN_A_FINDING)


def _diagnostics(check: StackCheck) -> Iterator[RenderableType]:
    """Without what ``why`` has said already."""
    diagnostics = [line for line in check.diagnostics if line not in check.why]
    if not diagnostics:
        return
    yield Text()
    for line in diagnostics[:MOST_DIAGNOSTICS]:
        yield Padding(marked(Text("·"), Text(visible(line))), _IN_A_STACK)
    if len(diagnostics) > MOST_DIAGNOSTICS:
        yield _in_a_stack(f"# {counted(len(diagnostics) - MOST_DIAGNOSTICS, 'more line')}", style="dim")


def _clean_stack(check: StackCheck) -> Iterator[RenderableType]:
    """A line a finding: its stack, its address, what differs."""
    for finding in gravest_first(check.findings)[:MOST_OF_A_CLEAN_STACK]:
        told = differs_in(finding, [one.path for one in attribute_words(finding)])
        yield Text.assemble(
            (check.name, "bold"),
            f"  {symbol_of(finding)} {address_of(finding)}: {told}",
            overflow="ellipsis",
            no_wrap=True,
        )
    if (left_out := len(check.findings) - MOST_OF_A_CLEAN_STACK) > 0:
        yield Text.assemble((check.name, "bold"), f"  # {counted(left_out, 'more finding')}")


def _problem(problem: Problem) -> RenderableType:
    market = "the whole estate" if problem.market == WHOLE_ESTATE else visible(problem.market)
    return Renderables(
        Text.assemble((market, "bold"), f"  {problem.record}  ", (problem.code, "red"), overflow="fold"),
        Padding(
            Text(f"{visible(problem.blob)}: {visible(problem.message)}\n→ {visible(problem.remedy)}", overflow="fold"),
            (0, 0, 0, 4),
        ),
    )


def _style_of(check: StackCheck, ran: Ran) -> str:
    """Green is what somebody sees to already."""
    if is_queued(check, ran.queued):
        return "green"
    return "red" if check.reason in GRAVE else "yellow"


def _in_a_stack(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style, overflow="fold"), _IN_A_STACK)
