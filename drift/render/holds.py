"""What waits for a person: why, since when, and what can be done about it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from drift.healing.waiting import WithheldHeal
from drift.render.attributes import marked
from drift.render.levers import pause_line
from drift.render.reasons import GRAVE, step_for, words_of
from drift.render.text import shortened
from drift.render.wording import approve_command, held, job_name
from records.heal_ledger import LeverUse
from records.plan_checks import HoldReason, stack_path
from records.spelling import counted, to_the_minute, visible

SCHEMA_VERSION: Final = 1
MOST_ADDRESSES: Final = 8
"""Of one hold; the JSON has them all."""

_INDENT: Final = (0, 0, 0, 2)
_ADDRESS_CELLS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What waits, sorted, and the pauses that are in force. ``was_checked`` is whether any of the stacks ever was."""

    holds: tuple[WithheldHeal, ...] = ()
    pauses: tuple[LeverUse, ...] = ()
    was_checked: bool = True


def render_holds(found: Holds) -> RenderableType:
    """A Rich renderable: the pauses, each hold, counts."""
    return Group(*_parts(found))


def holds_document(found: Holds) -> JsonValue:
    """The contract of ``--format json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "pauses": [pause.model_dump(mode="json", include={"market", "by", "reason", "at"}) for pause in _sorted(found)],
        "holds": [hold.model_dump(mode="json") for hold in found.holds],
    }


def _parts(found: Holds) -> Iterator[RenderableType]:
    for pause in _sorted(found):
        yield Text(f"Healing is paused {pause_line(pause)}", style="yellow", overflow="fold")
    if found.pauses:
        yield Text()
    for hold in found.holds:
        yield from _hold(hold)
        yield Text()
    yield Text(_summary(found), style="bold")


def _hold(hold: WithheldHeal) -> Iterator[RenderableType]:
    is_planned = bool(hold.addresses)
    why = words_of(hold.reason, is_planned=is_planned).because
    yield Text.assemble(
        (stack_path(hold.market, hold.stack), "bold"),
        "  ",
        (held(hold.reason), "red" if hold.reason in GRAVE else "yellow"),
        f" because {why}",
        f", since {to_the_minute(hold.since)}",
        overflow="fold",
    )
    lines = [visible(hold.why), f"→ {step_for(hold.reason, market=hold.market, is_planned=is_planned)}"]
    if hold.job_id and hold.can_be_approved:
        lines.append(f"  {approve_command(hold.job_id)}")
    elif hold.job_id:
        lines.append(f"job {job_name(hold.job_id)}, which no approval lets through")
    yield Padding(Text("\n".join(filter(None, lines)), overflow="fold"), _INDENT)
    for address in hold.addresses[:MOST_ADDRESSES]:
        yield Padding(marked(Text("·"), Text(shortened(visible(address), _ADDRESS_CELLS))), _INDENT)
    if (left_out := len(hold.addresses) - MOST_ADDRESSES) > 0:
        yield Padding(Text(f"# {counted(left_out, 'more resource')}, which --format json lists"), _INDENT)


def _summary(found: Holds) -> str:
    """``3 held: 2 oscillating, 1 locked; 2 can be approved``."""
    if not found.holds:
        return "Nothing is held" if found.was_checked else "No stack has been checked yet: run `trueup drift check`."
    counts = Counter(hold.reason for hold in found.holds)
    told = ", ".join(f"{counts[reason]:,} {reason}" for reason in HoldReason if counts[reason])
    approvable = sum(hold.can_be_approved for hold in found.holds)
    return f"{len(found.holds):,} held: {told}; {approvable:,} can be approved"


def _sorted(found: Holds) -> list[LeverUse]:
    """The general one first."""
    return sorted(found.pauses, key=lambda pause: (pause.market or "", pause.at))
