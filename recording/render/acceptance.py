"""What `trueup accept` tells: what is taken for the truth, and the verdict afterwards."""

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from recording.accept import Acceptance
from recording.render.difference import difference
from recording.render.layout import INDENT, SCHEMA_VERSION
from records.json_writing import to_document
from records.readings import Present
from records.results import StackResult
from records.verdicts import Verdict


def render_accepted(acceptance: Acceptance | None, after: StackResult | None, *, name: str) -> RenderableType:
    if acceptance is None:
        return Text(f"{name}: healthy; there is nothing to accept.", style="green")
    reading = acceptance.judged.readings.tracker
    before = reading.record if isinstance(reading, Present) else None
    parts: list[RenderableType] = [
        Text(f"{name}: {acceptance.result.verdict}", style="bold"),
        Padding(Text(acceptance.result.summary), INDENT),
        Padding(Text("The tracker, and the registry after it:"), INDENT),
        Padding(difference(before, acceptance.after), INDENT),
    ]
    if after is None:
        return Group(*parts, Text("Nothing was written. Run it again without --dry-run to write this.", style="bold"))
    style = "green" if after.verdict is Verdict.HEALTHY else "bold red"
    return Group(*parts, Text(f"Accepted. {name} is {after.verdict}.", style=style))


def accepted_document(acceptance: Acceptance | None, after: StackResult | None) -> JsonValue:
    if acceptance is None:
        return {"schema_version": SCHEMA_VERSION, "written": False, "verdict": str(Verdict.HEALTHY), "tracker": None}
    return {
        "schema_version": SCHEMA_VERSION,
        "written": after is not None,
        "market": acceptance.result.market,
        "stack": acceptance.result.stack,
        "verdict": str(acceptance.result.verdict),
        "tracker": to_document(acceptance.after),
        "verdict_after": str(after.verdict) if after else None,
    }
