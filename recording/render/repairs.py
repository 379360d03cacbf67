"""What `trueup repair` tells: the record as it should be, why, and what is left for a person."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from recording.corrections import LeftAlone
from recording.render.difference import difference
from recording.render.layout import INDENT, NOTHING_WRITTEN, SCHEMA_VERSION
from recording.repair import MarketRepairs, Repaired
from records.json_writing import to_document
from records.record_log import WrittenKind


def render_repairs(
    planned: Sequence[MarketRepairs], repaired: Mapping[tuple[str, str], Repaired], *, written: bool
) -> RenderableType:
    parts: list[RenderableType] = []
    for market in planned:
        for correction in market.corrections:
            name = "tracker" if correction.kind is WrittenKind.TRACKER else "registry entry"
            said = correction.verdict or "not on record"
            parts.append(Text(f"{correction.market}/{correction.stack}: {said}", style="bold"))
            parts.append(Padding(Text(correction.why), INDENT))
            parts.append(Padding(Text(f"The {name} should be:"), INDENT))
            parts.append(Padding(difference(correction.before, correction.after), INDENT))
            parts += _afterwards(repaired.get((correction.market, correction.stack)))
        for alone in market.left_alone:
            result = alone.result
            parts.append(Text(f"{result.market}/{result.stack}: {result.verdict}, left alone", style="bold yellow"))
            parts.append(Padding(Text(f"{alone.why} {result.remedy}"), INDENT))
        for problem in market.problems:
            parts.append(Text(f"{problem.market}: cannot be judged", style="bold red"))
            parts.append(Padding(Text(f"{problem.blob}: {problem.message}. {problem.remedy}"), INDENT))
    corrections = sum(len(market.corrections) for market in planned)
    if not parts:
        return Text("Nothing to repair: every stack is healthy or not deployed.", style="green")
    if corrections and not written:
        parts.append(Text(NOTHING_WRITTEN, style="bold"))
    return Group(*parts)


def repairs_document(
    planned: Iterable[MarketRepairs], repaired: Mapping[tuple[str, str], Repaired], *, written: bool
) -> JsonValue:
    """``repaired`` is by market and stack, empty where nothing was to be written."""
    planned = list(planned)
    return {
        "schema_version": SCHEMA_VERSION,
        "written": written,
        "corrections": [
            {
                "market": one.market,
                "stack": one.stack,
                "verdict": str(one.verdict) if one.verdict else None,
                "record": str(one.kind),
                "why": one.why,
                "before": to_document(one.before) if one.before else None,
                "after": to_document(one.after),
                **_outcome(repaired.get((one.market, one.stack))),
            }
            for market in planned
            for one in market.corrections
        ],
        "left_alone": [_left_alone(one) for market in planned for one in market.left_alone],
        "problems": [problem.model_dump(mode="json") for market in planned for problem in market.problems],
    }


def _afterwards(repaired: Repaired | None) -> list[RenderableType]:
    if repaired is None:
        return []
    style = "green" if repaired.is_mended else "bold red"
    if repaired.why_not:
        text = Text(f"Not written. {repaired.why_not}", style=style)
    elif repaired.only_in_part:
        text = Text(f"The tracker is written; the registry's entry is not: {repaired.only_in_part}", style=style)
    else:
        text = Text(f"Written. The stack is {repaired.verdict or 'not judged'}.", style=style)
    return [Padding(text, INDENT)]


def _outcome(repaired: Repaired | None) -> dict[str, JsonValue]:
    if repaired is None:
        return {"written": False, "why_not": None, "only_in_part": None, "verdict_after": None}
    return {
        "written": repaired.why_not is None,
        "why_not": repaired.why_not,
        "only_in_part": repaired.only_in_part,
        "verdict_after": str(repaired.verdict) if repaired.verdict else None,
    }


def _left_alone(one: LeftAlone) -> JsonValue:
    return {
        "market": one.result.market,
        "stack": one.result.stack,
        "verdict": str(one.result.verdict),
        "why": one.why,
        "remedy": one.result.remedy,
    }
