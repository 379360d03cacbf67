"""What makes a deploy's record right, rule by rule: which state it is of, who is later, and what is written before what."""

import io
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

import cli
import recording.following
from adapters.blob_store import BlobPlace
from adapters.record_reader import RECORD_MAX_BYTES
from adapters.record_writer import BlobRecordWriter
from recording.deploy import Deploy, StateClaims
from recording.locations import chosen_location
from recording.record import Recording, is_superseded
from records.errors import RefusedWriteError, StoreUnavailableError
from records.json_writing import to_bytes
from records.readings import Present, Reading, StateHead
from records.record_log import LoggedWrite, WrittenKind
from records.registry import Elsewhere, StateLocation, parse_registry
from records.tracker import parse_tracker
from records.verdicts import Verdict
from tests.estates import (
    CONTAINERS,
    SERIAL,
    FolderEstate,
    entry,
    put_registry,
    put_tracker,
    registry_bytes,
    state_bytes,
    tracker_bytes,
)
from tests.recording_world import BUNDLE, CONTENT, MARKET, NOW, STACK, World, key_of

REGISTRY: Final = f"{MARKET}/subscription.json"
OTHER_LINEAGE: Final = "11111111-2222-3333-4444-555555555555"
LOCATION: Final = StateLocation(key=key_of())
APP: Final = StateLocation(key=key_of("app"))
SPELT_OUT: Final = {"key": key_of("app"), "container": CONTAINERS.states}


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.following, "_FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def world() -> World:
    return World()


def content_of(world: World) -> dict[str, bytes]:
    """Every blob, so that a test can say that not a byte was written."""
    return {
        f"{container}/{name}": blob.content
        for (_, container), blobs in world.blobs._containers.items()
        for name, blob in blobs.items()
    }


async def test_an_entry_that_was_made_from_a_tracker_that_has_moved_meanwhile_is_made_again(world: World) -> None:
    world.apply(1)
    await world.record()
    world.apply(2)
    asked: list[BlobPlace] = []

    def deploy_meanwhile(place: BlobPlace) -> None:
        """Another process has its tracker there before the entry from the one that was read."""
        if place.container == CONTAINERS.registry:
            asked.append(place)
            if len(asked) == 1:
                world.apply(3)
                put_tracker(world.estate, MARKET, STACK, serial=3, state={"key": key_of()})

    world.blobs.before_write = deploy_meanwhile
    await world.record()
    registry = json.loads(await world.text(CONTAINERS.registry, REGISTRY))
    assert (registry["stacks"][STACK]["serial"], (await world.result()).verdict) == (3, Verdict.HEALTHY)


MOVED = [
    pytest.param(4, {"serial": 4}, True, id="the tracker says what is there"),
    pytest.param(1, {"serial": 1}, True, id="the tracker says what is there, which was rolled back"),
    pytest.param(4, {"serial": 3}, True, id="the tracker is ahead of what was read"),
    pytest.param(4, {"serial": 2}, False, id="the tracker says what was read"),
    pytest.param(4, {"serial": None}, False, id="the tracker says no serial"),
    pytest.param(4, {"serial": 3, "lineage": OTHER_LINEAGE}, False, id="a tracker of another lineage is ahead"),
    pytest.param(4, {"serial": 4, "lineage": OTHER_LINEAGE}, False, id="a tracker of another lineage has the serial"),
]
STANDS = [
    pytest.param({"run_id": "other", "minutes": 1}, True, id="another run, later"),
    pytest.param({"run_id": "own", "minutes": 1}, False, id="this very run, by a clock that is ahead"),
    pytest.param({"run_id": "other", "minutes": 0}, False, id="another run, at the same time"),
    pytest.param({"run_id": "other", "minutes": -1}, False, id="another run, earlier"),
    pytest.param({"run_id": "other", "minutes": None}, False, id="another run, without a time"),
    pytest.param({"run_id": "other", "minutes": 1, "state_md5": "0" * 32}, False, id="a later run, of other content"),
    pytest.param({"run_id": "other", "minutes": 1, "serial": 9}, False, id="a tracker that is ahead is merely wrong"),
]


class TestADeployIsSuperseded:
    @pytest.mark.parametrize(("moved_to", "tracker", "expected"), MOVED)
    async def test_where_the_state_has_moved_and_the_tracker_with_it(
        self, world: World, moved_to: int, tracker: dict[str, Any], expected: bool
    ) -> None:
        read = await applied(world, 2)
        now = await applied(world, moved_to)
        assert superseded(read, now, **tracker) is expected

    @pytest.mark.parametrize(("tracker", "expected"), STANDS)
    async def test_where_another_run_has_recorded_the_same_content_later(
        self, world: World, tracker: dict[str, Any], expected: bool
    ) -> None:
        read = await applied(world, 2)
        said = {"serial": 2, "state_md5": read.blob.content_md5} | tracker
        assert superseded(read, read, **said) is expected

    async def test_never_where_the_state_is_gone(self, world: World) -> None:
        read = await applied(world, 2)
        gone = await world.records.state(location=APP)
        assert not superseded(read, gone, serial=4)

    async def test_not_by_its_own_record_of_before(self, world: World) -> None:
        world.apply(1)
        await world.record(run_id="own")
        again = await world.record(run_id="own", release="2", deployed_at=NOW - timedelta(hours=1))
        assert (again.recording, (await world.tracker()).release) == (Recording.RECORDED, "2")


async def applied(world: World, serial: int) -> Present[StateHead]:
    world.apply(serial)
    state = await world.records.state(location=LOCATION)
    assert isinstance(state, Present)
    return state


def superseded(
    read: Present[StateHead], now: Reading[StateHead], *, minutes: int | None = None, **said: str | int | None
) -> bool:
    at = None if minutes is None else f"{NOW + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    content = tracker_bytes(MARKET, STACK, deployed_at=at, **said)
    tracker = parse_tracker(content, market=MARKET, stack=STACK, subscription_id=None)
    deploy = Deploy(market=MARKET, stack=STACK, deployed_at=NOW, run_id="own")
    return is_superseded(deploy, read, tracker, now)


class TestADeployThatKnowsItsSerial:
    async def test_is_recorded_where_the_state_still_has_it(self, world: World) -> None:
        world.apply(5)
        recorded = await world.record(serial_after=5)
        assert (recorded.recording, (await world.tracker()).serial) == (Recording.RECORDED, 5)

    async def test_is_left_to_the_later_one_that_is_on_record(self, world: World) -> None:
        world.apply(5)
        await world.record(run_id="later")
        before, rows = content_of(world), await world.logged()
        recorded = await world.record(run_id="earlier", serial_after=4)
        assert recorded.recording is Recording.SUPERSEDED
        assert recorded.tracker == await world.tracker()
        assert (content_of(world), await world.logged()) == (before, rows)

    @pytest.mark.parametrize(
        ("tracker", "serial_after"),
        [
            pytest.param(None, 4, id="there is no tracker"),
            pytest.param(None, 0, id="this deploy left the first serial"),
            pytest.param({"serial": 4}, 4, id="the tracker is of this deploy"),
            pytest.param({"serial": 5, "state_md5": "0" * 32}, 4, id="the tracker is of other content"),
            pytest.param({"serial": 6}, 6, id="the state was rolled back"),
        ],
    )
    async def test_is_refused_where_nobody_recorded_what_is_there(
        self, world: World, tracker: dict[str, Any] | None, serial_after: int
    ) -> None:
        world.apply(5)
        if tracker is not None:
            put_tracker(world.estate, MARKET, STACK, **tracker)
        before = content_of(world)
        with pytest.raises(RefusedWriteError, match=f"is 5, and this deploy left it at {serial_after}"):
            await world.record(serial_after=serial_after)
        assert (content_of(world), await world.logged()) == (before, [])


ANOTHERS = [
    pytest.param({"asked_for": APP}, {}, id="as asked for"),
    pytest.param({"initialised": APP}, {}, id="as initialised"),
    pytest.param({"asked_for": StateLocation.model_validate(SPELT_OUT)}, {}, id="spelt out by the deploy"),
    pytest.param({"asked_for": APP}, {"state": SPELT_OUT}, id="spelt out by the registry"),
    pytest.param({"asked_for": APP}, {"serial": "x"}, id="by an entry that is wrong otherwise"),
]


class TestWhichStateItIs:
    @pytest.mark.parametrize(("claims", "app"), ANOTHERS)
    async def test_not_one_that_another_stack_of_the_market_has(
        self, world: World, claims: dict[str, StateLocation], app: dict[str, Any]
    ) -> None:
        put_registry(world.estate, MARKET, {"app": entry(MARKET, "app", **app)})
        world.apply(SERIAL, stack="app")
        with pytest.raises(RefusedWriteError, match="on record as that of de/app"):
            await world.record(state=StateClaims(**claims))
        assert (world.blobs.writes, await world.logged()) == ([], [])

    async def test_but_the_same_key_in_another_container_is_another_state(self, world: World) -> None:
        put_registry(world.estate, MARKET, {"app": entry(MARKET, "app")})
        world.estate.put("other", key_of("app"), state_bytes())
        state = StateLocation(key=key_of("app"), container="other")
        recorded = await world.record(state=StateClaims(initialised=state))
        assert (recorded.recording, recorded.location) == (Recording.RECORDED, state)

    @pytest.mark.parametrize("registered", [None, LOCATION], ids=["a new stack", "a registered stack"])
    def test_not_one_outside_the_estate_unless_another_is_asked_for(self, registered: StateLocation | None) -> None:
        outside = Elsewhere(where="the file /home/a/terraform.tfstate")

        def chosen(claims: StateClaims) -> StateLocation:
            return chosen_location(MARKET, claims, registered, is_same_state=lambda one, other: one == other)

        with pytest.raises(RefusedWriteError, match="/home/a/terraform"):
            chosen(StateClaims(initialised=outside))
        assert chosen(StateClaims(initialised=outside, asked_for=APP)) == APP


class TestTheLog:
    async def test_keeps_the_rows_of_a_stack_that_is_called_market_and_of_its_new_market_apart(
        self, world: World
    ) -> None:
        world.apply(1, stack="market")
        await world.record("market", state=StateClaims(initialised=StateLocation(key=key_of("market"))))
        rows = [row for row in await world.logged() if row.kind is WrittenKind.REGISTRY]
        assert {row.stack for row in rows} == {"market", None}

    @pytest.mark.parametrize("kind", list(WrittenKind))
    async def test_has_a_row_before_anything_is_written(self, world: World, kind: WrittenKind) -> None:
        world.apply(1)
        await world.record()
        world.apply(2)
        blob = {WrittenKind.BUNDLE: "bundles/", WrittenKind.TRACKER: "trackers/", WrittenKind.REGISTRY: "registry/"}[
            kind
        ]
        before, save = content_of(world), world.log.save

        async def refuse(*, writes: list[LoggedWrite]) -> None:
            if any(write.kind is kind for write in writes):
                raise StoreUnavailableError("recordlog", "503")
            await save(writes=writes)

        world.log.save = refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(StoreUnavailableError, match="recordlog"):
            await world.record(bundle=BUNDLE)
        changed = {name for name, content in content_of(world).items() if before.get(name) != content}
        assert not any(name.startswith(blob) for name in changed)


class TestTheWriter:
    async def test_replaces_a_bundle_of_the_right_size_and_other_content(self, world: World) -> None:
        place = BlobPlace(container=CONTAINERS.bundles, name="de/network/9f.zip")
        world.blobs.put(place, CONTENT[::-1])
        await BlobRecordWriter(world.blobs, CONTAINERS).write_bundle(blob=place.name, content=CONTENT)
        assert (await world.blobs.read(place, length_bytes=100)).content == CONTENT

    @pytest.mark.parametrize(("over", "is_written"), [(0, True), (1, False)], ids=["the most", "a byte more"])
    async def test_writes_no_registry_record_that_is_too_large_to_be_read(
        self, world: World, over: int, is_written: bool
    ) -> None:
        record = parse_registry(registry_bytes(MARKET, {"app": {"x": ""}}), market=MARKET)
        padding = "x" * (RECORD_MAX_BYTES + over - len(to_bytes(record)))
        record = record.model_copy(update={"stacks": {"app": {"x": padding}}})
        writer = BlobRecordWriter(world.blobs, CONTAINERS)
        if is_written:
            await writer.write_registry(record=record, replaces=None)
            assert isinstance(await world.records.registry(market=MARKET), Present)
            return
        with pytest.raises(RefusedWriteError, match="Divide the market"):
            await writer.write_registry(record=record, replaces=None)
        assert world.blobs.writes == []


class TestTheCommand:
    """What Terraform left in the folder, and what the environment has it do."""

    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in ("TF_BUILD", "GITHUB_ACTIONS", "ESTATE_ACCOUNT_URL", "ESTATE_CONNECTION_STRING", "TF_WORKSPACE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("TF_DATA_DIR", raising=False)
        put_registry(FolderEstate(tmp_path / "estate"), MARKET, {})
        self.initialise(tmp_path / "root", "azurerm", container_name=CONTAINERS.states, key=key_of())
        (tmp_path / "root" / ".terraform" / "environment").write_text("selected", encoding="utf-8")
        (tmp_path / "root" / "main.tf").write_text('resource "terraform_data" "x" {}', encoding="utf-8")
        return tmp_path / "root"

    @staticmethod
    def initialise(root: Path, backend: str, **config: str) -> None:
        (root / ".terraform").mkdir(parents=True, exist_ok=True)
        left = {"version": 3, "backend": {"type": backend, "config": config}}
        (root / ".terraform" / "terraform.tfstate").write_text(json.dumps(left), encoding="utf-8")

    @pytest.mark.parametrize(
        ("variable", "workspace"),
        [
            pytest.param("prod", "prod", id="set"),
            pytest.param("", "selected", id="empty"),
            pytest.param(None, "selected", id="not set"),
            pytest.param("default", None, id="the default one"),
        ],
    )
    def test_takes_the_workspace_of_the_variable_before_the_selected_one(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, workspace: str | None
    ) -> None:
        if variable is not None:
            monkeypatch.setenv("TF_WORKSPACE", variable)
        said = {"key": key_of()} | ({"workspace": workspace} if workspace else {})
        estate = FolderEstate(root.parent / "estate")
        estate.put(CONTAINERS.states, StateLocation.model_validate(said).blob, state_bytes())
        status, errors = recorded_from(root, monkeypatch)
        assert (status, errors) == (0, "")
        assert json.loads((estate.root / "trackers" / "de" / "network.json").read_text())["state"] == said

    def test_refuses_a_folder_whose_data_is_elsewhere(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TF_DATA_DIR", "/elsewhere")
        status, errors = recorded_from(root, monkeypatch)
        assert (status, "TF_DATA_DIR" in errors) == (1, True)
        assert not (root.parent / "estate" / "trackers").exists()

    def test_refuses_a_file_outside_the_estate_by_its_path(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (root / ".terraform" / "environment").unlink()
        self.initialise(root, "local", path="/elsewhere/x.tfstate")
        status, errors = recorded_from(root, monkeypatch)
        assert (status, "the file /elsewhere/x.tfstate, which is not in the estate" in errors) == (1, True)
        assert not (root.parent / "estate" / "trackers").exists()


def recorded_from(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """The exit status of ``trueup record`` of a folder, and its errors as one line."""
    said = ["--estate", str(root.parent / "estate"), "--market", MARKET, "--stack", STACK, "--bundle", str(root)]
    errors = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["trueup", "record", *said])
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, " ".join(errors.getvalue().split())
