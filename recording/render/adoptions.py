"""What `trueup adopt` tells: what it would write or wrote, and what has no place or is left alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recording.adopt import Adopted
from recording.adoption import Adopting
from recording.placing import Unplaced
from recording.render.difference import difference
from recording.render.layout import INDENT, NOTHING_WRITTEN, SCHEMA_VERSION, table_of, verdict_text
from records.json_writing import to_document
from records.results import StackResult
from records.verdicts import Verdict

_ADOPTINGS: Final = {
    Adopting.ADOPT: "to adopt",
    Adopting.REGISTER: "to register",
    Adopting.UNCHANGED: "on record already",
    Adopting.LEFT_ALONE: "left alone",
}
_ADOPTED: Final = "adopted"
_NOT_YET: Final = "not healthy yet"
_SHOWN_STACKS: Final = 10


def render_unplaced(unplaced: Sequence[Unplaced], *, placed_count: int) -> RenderableType:
    table = table_of("state without a place", "why")
    for one in unplaced:
        table.add_row(Text(one.blob), Text(one.why))
    total = len(unplaced) + placed_count
    remedy = "Correct the pattern or the mapping, or use --exclude."
    last = f"Nothing was written: {len(unplaced)} of {total} have no place. {remedy}"
    return Group(table, Text(), Text(last, style="bold red"))


def render_adoptions(outcomes: Sequence[Adopted], *, written: bool) -> RenderableType:
    """What would be written, or was; of stacks that have their records no more than how many there are."""
    if not outcomes:
        return Text("There is no state to adopt: the container holds none, or all are left out.")
    writing = [one for one in outcomes if one.adoption.tracker]
    parts: list[RenderableType] = [_adoptions_table(writing, written=written), Text()] if writing else []
    parts += _reasons(
        "left alone", {one.adoption.place.name: one.adoption.why for one in outcomes if one.adoption.why}, "yellow"
    )
    parts += _reasons(
        "not written",
        {one.adoption.place.name: one.why for one in writing if one.why and not one.has_its_records},
        "red",
    )
    parts.append(_counts(outcomes, written=written))
    example = next((one.adoption for one in writing if one.adoption.over), None)
    if not written and example and example.tracker and example.entry:
        parts += [
            Text(f"\nThe tracker of {example.place.name}, for one:"),
            Padding(difference(None, example.tracker), INDENT),
            Text("Its entry in the registry:"),
            Padding(difference(example.entry_before, example.entry), INDENT),
        ]
    if writing and not written:
        parts.append(Text(f"{NOTHING_WRITTEN} --format json shows every record.", style="bold"))
    return Group(*parts)


def adoptions_document(outcomes: Iterable[Adopted], unplaced: Iterable[Unplaced], *, written: bool) -> JsonValue:
    """``written`` says that writing was asked for; what came of each stack is in its ``failure`` and ``verdict_after``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "written": written,
        "unplaced": [{"blob": one.blob, "why": one.why} for one in unplaced],
        "adoptions": [_adopted(one) for one in outcomes],
    }


def _adoptions_table(outcomes: Iterable[Adopted], *, written: bool) -> Table:
    table = table_of("stack", "state", "serial", "before", "now" if written else "what")
    table.columns[2].justify = "right"
    for one in outcomes:
        adoption = one.adoption
        table.add_row(
            Text(adoption.place.name),
            Text(adoption.place.blob),
            Text(str(adoption.tracker.serial) if adoption.tracker else ""),
            Text(_before(adoption.before)),
            verdict_text(one.verdict) if written else Text(str(adoption.adopting), style="green"),
        )
    return table


def _counts(outcomes: Iterable[Adopted], *, written: bool) -> Text:
    counts: Counter[str] = Counter()
    for one in outcomes:
        if written and one.adoption.tracker:
            counts[_ADOPTED if one.has_its_records else _NOT_YET] += 1
        else:
            counts[_ADOPTINGS[one.adoption.adopting]] += 1
    if counts.keys() == {_ADOPTINGS[Adopting.UNCHANGED]}:
        return Text(f"All {counts.total()} are on record already: there is nothing to write.", style="green")
    order = (_ADOPTED, _NOT_YET, *_ADOPTINGS.values())
    return Text(", ".join(f"{counts[said]} {said}" for said in order if counts[said]) + ".")


def _reasons(what: str, whys: Mapping[str, str], style: str) -> list[RenderableType]:
    """Each reason once, with the stacks that it holds for: one container that is not there would fill the screen."""
    names = defaultdict(list)
    for name, why in whys.items():
        names[why].append(name)
    parts: list[RenderableType] = []
    for why, stacks in names.items():
        others = f" and {len(stacks) - _SHOWN_STACKS} more" if len(stacks) > _SHOWN_STACKS else ""
        parts.append(Text(f"{', '.join(stacks[:_SHOWN_STACKS])}{others}: {what}", style=f"bold {style}"))
        parts.append(Padding(Text(why), INDENT))
    return [*parts, Text()] if parts else []


def _before(result: StackResult | None) -> str:
    if result is None:
        return "no records"
    is_registered = result.tier and result.verdict is not Verdict.UNREGISTERED
    return f"tier {int(result.tier)}, {result.verdict}" if result.tier and is_registered else str(result.verdict)


def _adopted(outcome: Adopted) -> JsonValue:
    """``tracker`` is None where the one that is there is right already."""
    one, entry = outcome.adoption, outcome.adoption.entry
    return {
        "market": one.place.market,
        "stack": one.place.stack,
        "blob": one.place.blob,
        "adopting": str(one.adopting),
        "why": one.why,
        "tier_before": one.before.tier if one.before else None,
        "verdict_before": str(one.before.verdict) if one.before else None,
        "tracker": to_document(one.tracker) if one.tracker and one.over else None,
        "entry": to_document(entry) if entry else None,
        "failure": outcome.why,
        "verdict_after": str(outcome.verdict) if outcome.verdict else None,
    }
