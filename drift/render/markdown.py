"""The checks as Markdown: for a comment on a pull request, or a wiki page.

What comes from a plan, from Terraform or from a person stands in fenced blocks and nowhere else, each fence longer than any
in it: there no renderer reads markup, links or mentions. Around them are our own words and names of markets and stacks,
which `records.names` keeps to lower-case letters, digits, ``-`` and ``/``.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from drift.render.finding_words import (
    CREATE,
    DELETE,
    UNKNOWN,
    UPDATE,
    AttributeWords,
    address_of,
    attribute_words,
    direction_of,
    happens_to,
    stack_findings,
    symbol_of,
    who_changed,
)
from drift.render.groups import Group, groups, names_of, title_of
from drift.render.legend import legend
from drift.render.order import by_name, gravest_first
from drift.render.summary import summary_line
from drift.render.text import shortened, shortened_pair
from drift.render.wording import (
    Queued,
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
from records.spelling import counted, to_the_minute, visible

MOST_CHARACTERS: Final = 60_000
"""Under the 65,536 that GitHub allows a comment; the report says what it omits."""
MOST_LISTED: Final = 50
MOST_ASIDE: Final = 20
"""Of clean stacks' findings, and of problems."""
MOST_ATTRIBUTES: Final = 20
MOST_REMARKS: Final = 10

_STACK_CHARACTERS: Final = 12_000
_VALUE_CELLS: Final = 100
_PATH_CELLS: Final = 50
_LINE_CELLS: Final = 400
_LINE_WIDTH: Final = 100
_RUNS: Final = re.compile("`+")
_DIFF_SYMBOLS: Final = {UPDATE: "!", UNKNOWN: "!"}
_SIDES: Final = "Below, `-` is what is there now, and `+` what an apply of the deployed bundle makes of it."
_FOOTER: Final = (
    "---\n\nThis report is about portal drift only; pipeline drift is looked for by `trueup reconcile`, "
    "and is not in this report.\n"
)


def render_markdown(report: CheckReport, *, has_asked: bool = True) -> Iterator[str]:
    """The report in chunks: counts, a table, a section a stack as long as there is room, and what could not be looked at.

    Stacks of which there is the same to say share a section. ``has_asked`` is whether anybody was asked who had changed what.
    """
    ran = Ran(queued=report.queued, has_asked=has_asked)
    telling = [check for check in by_name(report.results) if check.decision is not Decision.CLEAN]
    grouped = groups(telling)
    head, end = "".join(_head(report, grouped, ran)), "".join(_end(report))
    yield head
    room, left_out = MOST_CHARACTERS - len(head) - len(end), 0
    for group, section in ((group, _section(group, ran)) for group in grouped):
        if len(section) > room:
            left_out += len(group)
            continue
        room -= len(section)
        yield section
    if left_out:
        yield f"{counted(left_out, 'more stack')} would not fit here; `--format json` has all of them.\n\n"
    yield end


def _head(report: CheckReport, grouped: Sequence[Group], ran: Ran) -> Iterator[str]:
    started, ended = to_the_minute(report.started_at), to_the_minute(report.finished_at)
    yield f"## Portal drift\n\n**{summary_line(report)}**\n\n"
    yield f"Run {_code(report.run_id)}, started {started}, ended {ended}\n\n"
    if grouped:
        yield "| Stack | Decision | Because | Findings |\n| --- | --- | --- | --- |\n"
        yield from (_row(group, ran.queued) for group in grouped[:MOST_LISTED])
        yield "\n" + _more(sum(map(len, grouped[MOST_LISTED:])), "stack")
    findings = [finding for group in grouped for check in group for finding in check.findings]
    if lines := legend(findings, sides=_SIDES, has_asked=ran.has_asked, quote="`"):
        yield " ".join(lines) + "\n\n"


def _end(report: CheckReport) -> Iterator[str]:
    clean = [line for check in by_name(report.results) if check.decision is Decision.CLEAN for line in _clean(check)]
    if clean:
        yield "### Clean, though something differs\n\n" + _fenced(clean[:MOST_ASIDE], "text")
        yield _more(len(clean) - MOST_ASIDE, "finding")
    if report.problems:
        lines = [line for problem in report.problems[:MOST_ASIDE] for line in _problem(problem)]
        yield "### Could not be looked at, kept or queued\n\n" + _fenced(lines, "text")
        yield _more(len(report.problems) - MOST_ASIDE, "problem")
    yield _FOOTER


def _more(count: int, noun: str) -> str:
    return f"And {counted(count, f'more {noun}')}, which `--format json` lists.\n\n" if count > 0 else ""


def _row(group: Group, queued: Queued) -> str:
    check, others = group[0], len(group) - 1
    name = f"`{check.name}`{f' and {others:,} more' if others else ''}"
    cells = (name, _decision(check, queued), because(check) or "", stack_findings(check))
    return f"| {' | '.join(cells)} |\n"


def _clean(check: StackCheck) -> Iterator[str]:
    """A line a finding."""
    for finding in gravest_first(check.findings):
        told = differs_in(finding, [one.path for one in attribute_words(finding)])
        yield shortened(f"{check.name}  {symbol_of(finding)} {address_of(finding)}: {told}", _LINE_CELLS)


def _section(group: Group, ran: Ran) -> str:
    """One stack, or more of which there is the same to say, cut at so many characters that others have room beside it."""
    check, queued = group[0], ran.queued
    name = f"`{check.name}`" if len(group) == 1 else title_of(group)
    title = f"### {name}: {_decision(check, queued)}\n\n"
    steps = [next_step(group, queued)]
    if approval := approval_of(check):
        steps.append(f"To approve it: {_code(approval)}.")
    if check.job_id and is_queued(check, queued):
        steps.append(f"Queued as job {_code(job_name(check.job_id))}.")
    if bundle := bundle_of(group):
        steps.append(f"{bundle}.")
    lines = [*_remarks(check), *_findings(check, ran)]
    paragraphs = [" ".join(filter(None, steps)), f"{names_of(group)}." if len(group) > 1 else ""]
    return title + "".join(f"{text}\n\n" for text in paragraphs if text) + (_fenced(lines, "diff") if lines else "")


def _findings(check: StackCheck, ran: Ran) -> Iterator[str]:
    """As many findings as there is room for, and one at least, each after an empty line."""
    room, findings = _STACK_CHARACTERS, gravest_first(check.findings)
    for told, finding in enumerate(findings):
        block = ["", *_finding(finding, check, ran)]
        room -= sum(map(len, block))
        if told and room < 0:
            yield ""
            yield f"# {counted(len(findings) - told, 'more finding')}, which --format json lists"
            return
        yield from block


def _remarks(check: StackCheck) -> list[str]:
    """The sentence of the decision, then the diagnostics that it has not said already."""
    told = [check.why or because(check) or "", *(line for line in check.diagnostics if line not in check.why)]
    return [line for text in told[:MOST_REMARKS] if text for line in _wrapped(text)]


def _finding(finding: Finding, check: StackCheck, ran: Ran) -> Iterator[str]:
    symbol = symbol_of(finding)
    happens = happens_to(finding, is_queued=is_queued(check, ran.queued))
    head = f"{_DIFF_SYMBOLS.get(symbol, symbol)} {address_of(finding)}{f' {happens}' if happens else ''}"
    yield shortened(head, _LINE_CELLS)
    yield from _wrapped(told_of(finding, check, direction_of(finding)))
    if who := who_changed(finding, has_asked=ran.has_asked):
        yield from _wrapped(who)
    attributes = attribute_words(finding)
    shown = attributes[:MOST_ATTRIBUTES]
    aligned = max((len(one.path) for one in shown if len(one.path) <= _PATH_CELLS), default=0)
    for one in shown:
        yield from _attribute(one, f"{shortened(one.path, _VALUE_CELLS):{aligned}}")
    if (left_out := len(attributes) - MOST_ATTRIBUTES) > 0:
        yield f"#     {counted(left_out, 'more attribute')}"


def _attribute(one: AttributeWords, path: str) -> Iterator[str]:
    """A side a line, without the one that is null because there is none."""
    if one.instead:
        yield f"{_DIFF_SYMBOLS.get(one.symbol, one.symbol)}     {path} = {one.instead}"
        return
    before, after = shortened_pair(one.before or "", one.after, 2 * _VALUE_CELLS)
    if one.symbol != CREATE:
        yield f"-     {path} = {before}"
    if one.symbol != DELETE:
        yield f"+     {path} = {after}"


def _problem(problem: Problem) -> Iterator[str]:
    market = "the whole estate" if problem.market == WHOLE_ESTATE else problem.market
    yield shortened(visible(f"{market}, {problem.record}, {problem.blob}: {problem.code}"), _LINE_CELLS)
    yield from _wrapped(problem.message)
    yield from _wrapped(problem.remedy)


def _wrapped(text: str) -> list[str]:
    """Lines that a diff takes for what has not changed."""
    indent = "      "
    return textwrap.wrap(
        shortened(visible(text), 2 * _LINE_CELLS), _LINE_WIDTH, initial_indent=indent, subsequent_indent=indent
    )


def _decision(check: StackCheck, queued: Queued) -> str:
    """As `decided`, with the machine's word as code."""
    return decided(check, queued).replace("(", "(`").replace(")", "`)")


def _code(text: str) -> str:
    """A code span of any text, on one line and outside of a table."""
    shown = visible(text)
    ticks = "`" * (1 + max(map(len, _RUNS.findall(shown)), default=0))
    return f"{ticks} {shown} {ticks}" if len(ticks) > 1 else f"{ticks}{shown}{ticks}"


def _fenced(lines: Sequence[str], language: str) -> str:
    """A block that ends where its lines do, whatever they hold."""
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in _RUNS.findall(line)), default=0))
    return "\n".join([f"{fence}{language}", *lines, fence]) + "\n\n"
