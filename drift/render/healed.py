"""What came of the jobs that one `trueup drift heal` took."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from drift.render.attributes import marked
from drift.render.steps import STYLES, note_of, step_word
from drift.render.wording import job_name
from records.heal_ledger import HealRow, HealStep
from records.plan_checks import stack_path
from records.spelling import counted, duration, visible

SCHEMA_VERSION: Final = 1

_NEXT_STEPS: Final = {
    HealStep.HELD: "What is held, why, and what to do: trueup drift holds",
    HealStep.NOT_CONVERGED: "Not converged: read the steps with trueup drift history; the next check tells what is left",
    HealStep.FAILED: "Failed: nothing is tried again by itself. Mend what is named, then trueup drift retry JOB",
    HealStep.EXPIRED: "Expired: trueup drift check --queue queues it anew, if it is still there",
    HealStep.SUPERSEDED: "Superseded: trueup drift check --queue looks at what is there now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealRun:
    """The jobs that came to an end, why messages were refused, and what went wrong with others, which come again."""

    jobs: tuple[HealRow, ...] = ()
    refused: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        verified = all(row.step is HealStep.VERIFIED for row in self.jobs)
        return verified and not self.refused and not self.problems


def ended_line(row: HealRow) -> str:
    """A job in one line, the moment that it ends: ``de/network  verified  The drift is undone; …  (12 s)``."""
    begun = [event.at for event in row.events if event.step is HealStep.BEGUN]
    took = f"  ({duration(int((row.events[-1].at - begun[-1]).total_seconds()))})" if begun else ""
    return f"{_where(row)}  {step_word(row.step, row.reason)}{took}  {visible(note_of(row))}"


def render_healed(run: HealRun) -> RenderableType:
    """A Rich renderable: the jobs, what was refused, what went wrong, what to do, counts."""
    return Group(*_parts(run))


def healed_document(run: HealRun) -> JsonValue:
    """The contract of ``--format json``: ``jobs`` as the ledger has them, sorted by market and stack."""
    return {
        "schema_version": SCHEMA_VERSION,
        "jobs": [row.model_dump(mode="json") for row in _sorted(run)],
        "refused": list(run.refused),
        "problems": list(run.problems),
    }


def _parts(run: HealRun) -> Iterator[RenderableType]:
    jobs = _sorted(run)
    if jobs:
        yield from _told(jobs)
        yield Text()
    yield from _listed("Refused: messages that name no job, and are out of the queue", run.refused)
    yield from _listed("Went wrong, and comes again at a later `trueup drift heal`", run.problems)
    ends = {row.step for row in jobs}
    steps = [f"→ {told}" for step, told in _NEXT_STEPS.items() if step in ends]
    if steps:
        yield Text("\n".join(steps) + "\n", overflow="fold")
    yield Text(_summary(run), style="bold")


def _told(jobs: Sequence[HealRow]) -> Iterator[RenderableType]:
    """A line a job, what was said below it: beside it there would be no room left on a narrow terminal."""
    width = max(cell_len(_where(row)) for row in jobs)
    for row in jobs:
        where = _where(row)
        yield Text.assemble(
            f"{job_name(row.job.job_id)}  ",
            (where + " " * (width - cell_len(where)), "bold"),
            "  ",
            (step_word(row.step, row.reason), STYLES.get(row.step, "")),
            overflow="fold",
        )
        if note := note_of(row):
            yield Padding(Text(visible(note), style="dim", overflow="fold"), (0, 0, 0, 2))


def _where(row: HealRow) -> str:
    return stack_path(row.job.market, row.job.stack)


def _listed(title: str, lines: tuple[str, ...]) -> Iterator[RenderableType]:
    if lines:
        yield Text(title, style="underline")
        yield from (Padding(marked(Text("·"), Text(visible(line))), (0, 0, 0, 2)) for line in lines)
        yield Text()


def _summary(run: HealRun) -> str:
    """``3 jobs: 2 verified, 1 held; 1 message refused; 1 problem``."""
    counts = Counter(row.step for row in run.jobs)
    told = ", ".join(f"{counts[step]:,} {step}" for step in HealStep if counts[step])
    parts = [f"{counted(len(run.jobs), 'job')}: {told}" if told else "No job was taken"]
    if run.refused:
        parts.append(f"{counted(len(run.refused), 'message')} refused")
    if run.problems:
        parts.append(counted(len(run.problems), "problem"))
    if len(parts) == 1 and not told:
        return "No job was taken: the queue is empty, or another worker has what is in it."
    return "; ".join(parts)


def _sorted(run: HealRun) -> list[HealRow]:
    return sorted(run.jobs, key=lambda row: (row.job.market, row.job.stack, row.job.job_id))
