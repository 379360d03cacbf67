"""``trueup drift heal``: the worker without the Functions host. It takes what is in the queue now, once, and ends."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from adapters.settings import Settings, load_settings
from assembly.drift_estates import open_drift_estate
from commands.options import EstateOption, Listing, ListingOption
from commands.writing import tell
from drift.healing.draining import Drained, drain
from drift.healing.worker import Fate
from drift.render.healed import HealRun, ended_line, healed_document, render_healed
from records.errors import RecordError, StoreError, TrueupError
from records.heal_ledger import HealRow
from records.plan_checks import stack_path
from records.runs import EXIT_ALL_HEALTHY, EXIT_NEEDS_A_PERSON
from records.store_faults import told

EXAMPLE: Final = "Example: export HEAL_MODE=on; trueup drift check --queue; trueup drift heal"

TellLine = Callable[[str], None]


@dataclass(slots=True)
class CollectedHeals:
    """A `HealTelemetry` that keeps what came of each job, and tells it in a line the moment that it ends."""

    tell_line: TellLine
    rows: dict[str, HealRow] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    async def heal_moved(self, *, row: HealRow) -> None:
        self.rows[row.job.job_id] = row
        self.tell_line(ended_line(row))

    async def message_refused(self, *, why: str) -> None:
        self.refused.append(why)
        self.tell_line(f"a message was refused: {why}")


def heal(estate: EstateOption = None, format_: ListingOption = Listing.TABLE) -> int:
    """Take the heals that are queued, one after another, each of them judged again before anything is applied.

    Needs Terraform (TF_BINARY). What another worker has in hand, and what broke, is left in the queue for another time.

    Exit status: 0 every job that was taken is verified, 2 anything else, 1 the run failed.
    """
    settings = load_settings()
    with _heal_lines() as tell_line:
        run = asyncio.run(_heal(estate, settings, tell_line))
    tell(format_, text=render_healed(run), document=healed_document(run))
    return EXIT_ALL_HEALTHY if run.is_well else EXIT_NEEDS_A_PERSON


async def _heal(folder: Path | None, settings: Settings, tell_line: TellLine) -> HealRun:
    collected = CollectedHeals(tell_line)
    problems: list[str] = []
    async with open_drift_estate(folder, settings) as opened:
        async for drained in drain(opened.deliveries(collected), opened.stores.inbox):
            problem = _problem(drained)
            if problem:
                problems.append(problem)
                tell_line(problem)
    return HealRun(jobs=tuple(collected.rows.values()), refused=tuple(collected.refused), problems=tuple(problems))


def _problem(drained: Drained) -> str | None:
    """What is to be told of a message whose job has not come to an end."""
    error = drained.error
    name = f"{stack_path(drained.job.market, drained.job.stack)}: " if drained.job else ""
    if drained.fate is Fate.LATER:
        return f"{name}another worker has the stack; its message comes again"
    if error is None:
        return None
    if isinstance(error, RecordError | StoreError):
        return f"{name}{told(error)}"
    if isinstance(error, TrueupError):
        return f"{name}{error}"
    # Its text can quote a plan.
    return f"{name}broke with {type(error).__name__}; please report it with the lines on stderr"


@contextmanager
def _heal_lines() -> Iterator[TellLine]:
    """A line for each job that ends: on a terminal only, and on stderr."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("healing"):
        yield lambda line: console.print(Text(line, style="dim"), overflow="ellipsis", no_wrap=True)
