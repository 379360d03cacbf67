"""What `trueup record` tells: a person, and a program."""

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recording.record import Recorded, Recording
from recording.render.layout import INDENT, SCHEMA_VERSION
from records.bundles import PackedBundle
from records.json_writing import to_document
from records.tracker import Outcome

_RECORDINGS: Final = {
    Recording.RECORDED: "recorded",
    Recording.NOTHING_MOVED: "nothing to record: the apply failed and left the state as it was",
    Recording.SUPERSEDED: "not recorded: a later deploy of this stack has been recorded already",
}


def render_recorded(recorded: Recorded, *, name: str, bundle: PackedBundle | None) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{name}: {_RECORDINGS[recorded.recording]}", style="bold")]
    facts = Table.grid(padding=(0, 2))
    for label, fact in _facts(recorded, bundle):
        facts.add_row(label, Text(fact, overflow="fold"))
    parts.append(Padding(facts, INDENT))
    if recorded.tracker and recorded.tracker.outcome is Outcome.FAILED:
        parts.append(Text("Recorded as a failed apply, which moved the state.", style="yellow"))
    if recorded.recording is Recording.RECORDED and bundle is None:
        parts.append(Text("Without --bundle portal drift of this stack cannot be checked.", style="yellow"))
    return Group(*parts)


def recorded_document(recorded: Recorded, *, market: str, stack: str, bundle: PackedBundle | None) -> JsonValue:
    state = recorded.state
    return {
        "schema_version": SCHEMA_VERSION,
        "market": market,
        "stack": stack,
        "recording": str(recorded.recording),
        "state": {
            "blob": recorded.location.blob,
            "lineage": state.record.lineage if state else None,
            "serial": state.record.serial if state else None,
            "md5": state.blob.content_md5 if state else None,
        },
        "tracker": to_document(recorded.tracker) if recorded.tracker else None,
        "warnings": list(bundle.warnings) if bundle else [],
    }


def _facts(recorded: Recorded, bundle: PackedBundle | None) -> Iterator[tuple[str, str]]:
    state, tracker = recorded.state, recorded.tracker
    if state:
        yield "state", f"{recorded.location.blob}, serial {state.record.serial}, lineage {state.record.lineage}"
    if tracker is None:
        return
    if tracker.bundle:
        yield "bundle", tracker.bundle.blob
    if bundle:
        counts = (bundle.file_count, "file"), (len(bundle.modules), "module")
        size = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
        yield "", f"{size}, {decimal(len(bundle.content))}"
    for label, said in (("release", tracker.release), ("commit", tracker.commit), ("run", tracker.run_id)):
        if said:
            yield label, said
