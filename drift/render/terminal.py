"""The checks for a terminal: every stack that is not clean as Terraform would tell it, the clean ones only counted."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from drift.decide import APPROVABLE
from drift.render.attributes import STYLES, Attributes, marked
from drift.render.finding_words import (
    address_of,
    attribute_words,
    direction_of,
    happens_to,
    symbol_of,
    who_changed,
)
from drift.render.order import by_name, gravest_first
from drift.render.summary import summary_line
from drift.render.text import counted, visible
from drift.render.wording import because, becomes_of, decided, differs_in, kind_of, next_step
from records.findings import Finding
from records.plan_checks import CheckReport, Decision, HoldReason, StackCheck
from records.report import WHOLE_ESTATE, Problem

MOST_FINDINGS: Final = 40
MOST_ATTRIBUTES: Final = 25
MOST_DIAGNOSTICS: Final = 10
MOST_OF_A_CLEAN_STACK: Final = 5
"""Keep a bad morning readable; the report says what it omits, and the JSON has it all."""

_GRAVE: Final = frozenset({HoldReason.INCONCLUSIVE, HoldReason.UNSAFE, HoldReason.DESTRUCTIVE})
_IN_A_STACK: Final = (0, 0, 0, 2)
_IN_A_FINDING: Final = (0, 0, 0, 6)


def render_terminal(report: CheckReport) -> RenderableType:
    """A Rich renderable: stacks, clean stacks that have something to tell, problems, counts."""
    return Group(*_parts(report))


def _parts(report: CheckReport) -> Iterator[RenderableType]:
    checks = by_name(report.results)
    telling = [check for check in checks if check.decision is not Decision.CLEAN]
    if any(finding.attributes for check in telling for finding in check.findings):
        yield Text("Values: what is there now -> what an apply of the deployed bundle makes of it\n", style="dim")
    for check in telling:
        yield from _stack(check)
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


def _stack(check: StackCheck) -> Iterator[RenderableType]:
    why_held = because(check)
    yield Text.assemble(
        (check.name, "bold"), "  ", (decided(check), _style_of(check)), f" because {why_held}" if why_held else ""
    )
    if check.why:
        yield _in_a_stack(visible(check.why))
    if step := next_step(check):
        yield _in_a_stack(f"→ {step}")
    if check.job_id and (check.decision is Decision.HEAL or check.reason in APPROVABLE):
        yield _in_a_stack(f"job {visible(check.job_id)}")
    findings = gravest_first(check.findings)
    for finding in findings[:MOST_FINDINGS]:
        yield from _finding(finding, check)
    if (left_out := len(findings) - MOST_FINDINGS) > 0:
        yield _in_a_stack(f"\n# {counted(left_out, 'more finding')}, which --format json lists", style="dim")
    yield from _diagnostics(check)


def _finding(finding: Finding, check: StackCheck) -> Iterator[RenderableType]:
    symbol, happens = symbol_of(finding), happens_to(finding, check.decision)
    head = Text.assemble((address_of(finding), "bold"), f" {happens}" if happens else "")
    direction = direction_of(finding)
    kind = f"{kind_of(finding)}{f' ({direction})' if direction else ''}; {becomes_of(finding, check)}"
    yield Text()
    yield marked(Text(f"{symbol:>3}", STYLES.get(symbol, "")), head)
    told = [kind, who_changed(finding)]
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
        yield Padding(Text(f"· {visible(line)}", overflow="fold"), _IN_A_STACK)
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
    return Group(
        Text.assemble((market, "bold"), f"  {problem.record}  ", (problem.code, "red"), overflow="fold"),
        Padding(
            Text(f"{visible(problem.blob)}: {visible(problem.message)}\n→ {visible(problem.remedy)}", overflow="fold"),
            (0, 0, 0, 4),
        ),
    )


def _style_of(check: StackCheck) -> str:
    if check.decision is Decision.HEAL or check.reason is HoldReason.DRY_RUN:
        return "green"
    return "red" if check.reason in _GRAVE else "yellow"


def _in_a_stack(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style, overflow="fold"), _IN_A_STACK)
