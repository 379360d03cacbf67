"""What the documents say of writing the records, held against the commands, the records and a process that dies."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import typer

import cli
import recording.following
from adapters.table_names import RECORD_LOG_TABLE
from reconcile.wording import remedy_for
from recording.deploy import StateClaims
from recording.record import Recording
from recording.trackers import after_heal
from records.faults import GARBLED
from records.readings import BlobFacts, Present, StateHead
from records.record_log import LoggedWrite, RecordCommand, WriteStatus, WrittenKind
from records.registry import StateLocation
from records.tracker import Bundle, HistoryAction, HistoryEntry, ModulePin, Outcome, TrackerRecord
from records.verdicts import Tier, Verdict
from tests.recording_world import BUNDLE, KilledError, World, key_of, kill_at, revive

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
APP: Final[Any] = typer.main.get_command(cli.app)
"""Of Typer's own click, which has no types that can be named."""
STACK: Final = "data"
UNREGISTERED: Final = "unregistered_states"
BY_HAND: Final = sorted(set(RecordCommand) - {RecordCommand.HEAL})
"""What the terminal and the pipelines call. A heal's records are its worker's."""


HEALED_AT: Final = datetime(2026, 11, 25, 7, tzinfo=UTC)
TRACKED: Final = TrackerRecord(
    schema_version=1,
    market="de",
    stack=STACK,
    lineage="before",
    serial=1,
    state_md5="0" * 32,
    release="1",
    commit="4f",
    run_id="1",
    run_url="https://run",
    deployed_at=HEALED_AT - timedelta(days=1),
    deployed_by="pipeline",
    terraform_version="1.9.0",
    bundle=Bundle(blob="a.zip", sha256="9f" * 32),
    modules=(ModulePin(name="a", source="b"),),
    state=StateLocation(key="a"),
    outcome=Outcome.FAILED,
    history=(HistoryEntry(at=HEALED_AT, action=HistoryAction.ACCEPT, by="bob"),),
)
STATE: Final = Present(
    StateHead(serial=2, lineage="of the state", terraform_version="1.11.4"),
    BlobFacts(name="a", etag="1", last_modified=HEALED_AT, size_bytes=1, content_md5="1" * 32),
)
OF_THE_STATE: Final = {
    "lineage": "of the state",
    "serial": 2,
    "state_md5": "1" * 32,
    "terraform_version": "1.11.4",
}
OF_THE_HEAL: Final = {"deployed_at": HEALED_AT, "run_id": "of the heal", "deployed_by": "trueup"}
MADE_BY_A_HEAL: Final[dict[str, Callable[[str, object], bool]]] = {
    "the state's": lambda name, value: OF_THE_STATE.get(name) == value,
    "the heal's": lambda name, value: OF_THE_HEAL.get(name) == value,
    "stay": lambda name, value: value is not None and value == getattr(TRACKED, name),
    "stays": lambda name, value: value is not None and value == getattr(TRACKED, name),
    "gone": lambda _name, value: value is None,
}
"""What the words of the table mean of a field."""


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section_of(path: str, title: str) -> str:
    return text_of(path).split(f"\n## {title}\n")[1].split("\n## ")[0]


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def words_of(cells: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cells)


class Invocation(NamedTuple):
    """``trueup …`` as a document has it; ``is_whole`` where it can be copied and run."""

    words: list[str]
    is_whole: bool


def invocations(text: str) -> Iterator[Invocation]:
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            starts = [at for at, word in enumerate(words) if word.rpartition("/")[2] == "trueup"]
            yield from (Invocation(words[at + 1 :], is_whole=True) for at in starts)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    for span in re.findall(r"`trueup ([^`]+)`", prose):
        yield Invocation(shlex.split(span), is_whole=False)


def mistakes_in(invocation: Invocation) -> list[str]:
    """What the terminal would refuse of it."""
    name = invocation.words[0] if invocation.words else ""
    if name in {"…", "--version", "--help"}:
        return []
    if name not in APP.commands:
        return [f"no command {name!r}"]
    command, words = APP.commands[name], invocation.words[1:]
    if below := getattr(command, "commands", None):
        if words and words[0] not in below:
            return [f"no command {f'{name} {words[0]}'!r}"]
        command, words = (below[words[0]], words[1:]) if words else (command, [])
    options = [option for option in command.params if option.param_type_name == "option"]
    arguments = [argument for argument in command.params if argument.param_type_name == "argument"]
    spellings = {spelling for option in options for spelling in (*option.opts, *option.secondary_opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    mistakes = [f"{name}: no option {option}" for option in sorted(used - spellings)]
    given = positionals(words, flags={flag for option in options if option.is_flag for flag in option.opts})
    mistakes += [f"{name}: what is {word}" for word in given[len(arguments) :]]
    if invocation.is_whole:
        missing = {option.opts[0] for option in options if option.required} - used
        mistakes += [f"{name}: lacks {option}" for option in sorted(missing)]
        mistakes += [f"{name}: lacks {argument.metavar}" for argument in arguments[len(given) :] if argument.required]
    return mistakes


def positionals(words: list[str], *, flags: set[str]) -> list[str]:
    """The words that are neither an option nor its value."""
    found: list[str] = []
    is_value = False
    for word in words:
        if not is_value and not word.startswith("--"):
            found.append(word)
        is_value = word.startswith("--") and "=" not in word and word not in flags
    return found


class TestTheCommands:
    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
    def test_are_spelt_as_the_terminal_takes_them(self, document: Path) -> None:
        found = list(invocations(document.read_text(encoding="utf-8")))
        assert [mistake for invocation in found for mistake in mistakes_in(invocation)] == []

    @pytest.mark.parametrize("tier", [None, *Tier])
    @pytest.mark.parametrize("verdict", Verdict)
    def test_of_the_remedies_are_too(self, verdict: Verdict, tier: Tier | None) -> None:
        remedy = remedy_for(verdict, "emea/de", "network", tier=tier)
        assert [mistake for invocation in invocations(remedy) for mistake in mistakes_in(invocation)] == []
        assert not re.search(r"[{}]", remedy)

    def test_are_all_in_the_readme_and_in_the_runbook(self) -> None:
        assert set(APP.commands) == {"reconcile", "drift", "pins", *BY_HAND}
        for document in ("README.md", "docs/runbook.md"):
            named = {invocation.words[0] for invocation in invocations(text_of(document))}
            assert set(APP.commands) <= named, document

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("```sh\ntrueup record --stack network\n```", "record: lacks --market"),
            ("```sh\nX=1 \\\n  .venv/bin/trueup repair --force\n```", "repair: no option --force"),
            ("Run `trueup mend`.", "no command 'mend'"),
            ("Run `trueup accept --yes`.", "accept: no option --yes"),
            ("Run `trueup drift mend`.", "no command 'drift mend'"),
            ("```sh\ntrueup drift check --yes\n```", "drift: no option --yes"),
            ("```sh\ntrueup drift approve --reason 'of mine'\n```", "drift: lacks JOB"),
            ("Run `trueup drift pause de`.", "drift: what is de"),
        ],
    )
    def test_that_are_wrong_are_found(self, text: str, mistake: str) -> None:
        (invocation,) = invocations(text)
        assert mistake in mistakes_in(invocation)

    @pytest.mark.parametrize("command", BY_HAND)
    def test_say_what_they_write_and_what_they_never_do(self, command: RecordCommand) -> None:
        items = section_of("docs/runbook.md", "The commands that write").split("\n- ")
        (item,) = [item for item in items if item.startswith(f"**`trueup {command}`** ")]
        assert "never" in item

    @pytest.mark.parametrize("command", BY_HAND)
    def test_have_their_roles_in_the_configuration(self, command: RecordCommand) -> None:
        assert f"`trueup {command}`" in section_of("docs/configuration.md", "Identity")


class TestTheRemedies:
    @pytest.mark.parametrize(
        "verdict",
        [Verdict.TRACKER_BEHIND, Verdict.TRACKER_AHEAD, Verdict.REGISTRY_BEHIND, Verdict.REGISTRY_AHEAD],
    )
    def test_of_a_record_that_two_others_contradict_name_repair(self, verdict: Verdict) -> None:
        assert "`trueup repair --market de --stack network`" in remedy_for(verdict, "de", "network", tier=Tier(1))

    def test_of_a_registry_that_is_only_later_repair_nothing(self) -> None:
        assert "repair" not in remedy_for(Verdict.REGISTRY_AHEAD, "de", "network", tier=Tier.TIMES)

    @pytest.mark.parametrize(
        "verdict",
        [Verdict.STATE_MISSING, Verdict.STATE_FORKED, Verdict.STATE_ROLLED_BACK, Verdict.LINEAGE_MISMATCH,
         Verdict.RECORDS_SPLIT],
    )  # fmt: skip
    def test_of_a_state_that_is_not_to_be_applied_to_stop_the_pipeline_first(self, verdict: Verdict) -> None:
        remedy = remedy_for(verdict, "de", "network")
        assert remedy.startswith(f"docs/runbook.md#{verdict}: Stop the pipeline")
        assert "1. Stop the pipeline" in section_of("docs/runbook.md", str(verdict))


class TestTheRecords:
    def test_have_every_field_of_a_tracker_in_the_concepts(self) -> None:
        table = section_of("docs/concepts.md", "Writing the records").split("### The tracker")[1]
        named = {
            word.split("[")[0].split(".")[0] for row in table_rows(table) for word in re.findall(r"`([^`]+)`", row[0])
        }
        assert set(TrackerRecord.model_fields) <= named
        for name in Bundle.model_fields:
            assert f"`bundle.{name}`" in table
        for name in ModulePin.model_fields:
            assert re.search(rf"`(modules\[\])?\.{name}`", table), name
        for name in HistoryEntry.model_fields:
            assert f"`{name}`" in table

    def test_have_in_the_concepts_what_a_heal_makes_of_each_field(self) -> None:
        table = section_of("docs/concepts.md", "Writing the records").split("What each command makes of it")[1]
        header, *rows = [row for row in table_rows(table) if row[-1] in {"`heal`", *MADE_BY_A_HEAL}]
        made = {name: row[-1] for row in rows for name in words_of(row[0])}
        after = after_heal(TRACKED, STATE, job_id="of the heal", at=HEALED_AT)
        assert header[-1] == "`heal`"
        assert set(made) == set(TrackerRecord.model_fields) - {"schema_version", "market", "stack", "subscription_id"}
        for name, words in made.items():
            assert MADE_BY_A_HEAL[words](name, getattr(after, name)), name

    def test_have_every_column_of_the_log_in_the_runbook(self) -> None:
        rows = table_rows(section_of("docs/runbook.md", "Who wrote a record"))
        assert {word for row in rows for word in words_of(row[0])} == set(LoggedWrite.model_fields)
        meanings = {word for row in rows for word in words_of(" ".join(row[1:]))}
        assert meanings >= {*RecordCommand, *WrittenKind, *WriteStatus}

    @pytest.mark.parametrize(
        "document", ["CHANGELOG.md", "docs/runbook.md", "docs/configuration.md", "docs/concepts.md"]
    )
    def test_name_the_table_of_the_log_as_the_code_does(self, document: str) -> None:
        assert f"`{RECORD_LOG_TABLE}`" in text_of(document)
        assert f"tables/{RECORD_LOG_TABLE}`" in text_of("docs/runbook.md")

    def test_that_are_broken_trackers_are_those_that_are_written_anew(self) -> None:
        section = section_of("docs/runbook.md", "unreadable")
        broken = re.search(r"A \*\*tracker\*\* that is broken \(([^)]+)\)", section)
        assert broken
        assert set(words_of(broken[1])) == GARBLED

    def test_have_a_meaning_for_all_that_can_come_of_recording(self) -> None:
        rows = table_rows(section_of("docs/runbook.md", "When `trueup record` failed"))
        after = rows[[row[0] for row in rows].index("`recording`") + 1 :]
        assert {row[0].strip("`") for row in after} == set(Recording)


POINTS: Final = {
    "before anything": [(0, False)],
    "after the log's row": [(0, True), (1, False), (1, True), (2, False)],
    "after the bundle": [(2, True), (3, False), (3, True), (4, False)],
    "after the tracker": [(4, True), (5, False), (5, True), (6, False), (6, True), (7, False)],
    "after the registry": [(7, True), (8, False), (8, True)],
}
"""The writes, of blobs and rows alike, before or after which a process died (`tests.recording_world.kill_at`)."""
CUT_OFF: Final = [(point, number, after) for point, writes in POINTS.items() for number, after in writes]


def documented_points() -> dict[str, list[str]]:
    rows = table_rows(section_of("docs/runbook.md", "When `trueup record` failed"))
    points = {row[0]: row[1:] for row in rows[1 : len(POINTS) + 1]}
    assert list(points) == list(POINTS)
    return points


async def deploy_of_which_the_record_dies(world: World, number: int, *, after: bool, is_first: bool) -> None:
    async def record(stack: str, **deploy: object) -> None:
        await world.record(stack, state=StateClaims(initialised=StateLocation(key=key_of(stack))), **deploy)

    world.apply(1, stack="app")
    await record("app")
    world.apply(1, stack=STACK)
    if not is_first:
        await record(STACK, bundle=replace(BUNDLE, sha256="1e" * 32))
    world.apply(2, stack=STACK)
    kill_at(world, number, after=after)
    with pytest.raises(KilledError):
        await record(STACK, bundle=BUNDLE, run_id="cut-off")
    revive(world)


class TestARecordThatDied:
    """The runbook's table, done."""

    @pytest.fixture(autouse=True)
    def _without_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recording.following, "_FIRST_WAIT_SECONDS", 0)

    @pytest.mark.parametrize("is_first", [False, True], ids=["a later deploy", "the first deploy"])
    @pytest.mark.parametrize(("point", "number", "after"), CUT_OFF)
    async def test_is_what_the_runbook_says(self, point: str, number: int, after: bool, is_first: bool) -> None:
        world = World()
        await deploy_of_which_the_record_dies(world, number, after=after, is_first=is_first)
        of_a_later, of_the_first, repair = documented_points()[point]
        verdict = (await world.verdicts()).get(STACK, UNREGISTERED)
        assert f"`{verdict}`" in (of_the_first if is_first else of_a_later)
        corrections = (await world.plan_repairs()).corrections
        if point in {"before anything", "after the registry"}:
            assert corrections == ()
            assert not repair.startswith("writes")
            return
        assert repair.startswith("writes")
        (repaired,) = await world.repair()
        assert repaired.verdict is Verdict.HEALTHY
        bundle = (await world.tracker(STACK)).bundle
        assert (bundle is None) == ("without bundle" in repair)
        assert await world.verdicts() == {"app": "healthy", STACK: "healthy"}

    async def test_of_a_deploy_that_changed_nothing_looks_healthy(self) -> None:
        world = World()
        world.apply(1)
        await world.record(run_id="before")
        kill_at(world, 0, after=True)
        with pytest.raises(KilledError):
            await world.record(run_id="cut-off")
        revive(world)
        assert (await world.result()).verdict is Verdict.HEALTHY
        assert (await world.tracker()).run_id == "before"
        assert [one.is_mended for one in await world.repair()] == [True]
        assert (await world.tracker()).run_id == "cut-off"
        assert await world.repair() == ()


def test_only_the_terminals_door_imports_the_commands() -> None:
    """As ADR 10 says of the new room of the house."""
    files = [
        file for folder in ("records", "reconcile", "recording", "adapters") for file in (ROOT / folder).rglob("*.py")
    ]
    for file in [*files, ROOT / "function_app.py"]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        named += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not [name for name in named if name.split(".")[0] in {"commands", "cli"}], file.name
