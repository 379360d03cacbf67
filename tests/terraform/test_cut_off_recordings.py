"""Recordings whose process is killed after each of its writes to storage: `reconcile` names them, `repair` ends them.

Every fault point has a market of its own with a copy of a real state, so that one `reconcile` and one `repair` see them all.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.terraform.deploys import (
    IN_A_NEW_MARKET,
    STACK,
    Pipeline,
    Recorded,
    Report,
    apply,
    deploy,
    pipeline_in,
    recording,
    vnet,
)
from tests.world.commands import Ended
from tests.world.terraform_backend import TerraformStack, TerraformWorld

pytestmark = [pytest.mark.slow, pytest.mark.terraform, pytest.mark.timeout(300)]

MODEL: Final = "model"
OTHER: Final = "app"
RUN: Final = ("--release", "new", "--run-id", "cut-off", "--commit", "4f1c0de", *IN_A_NEW_MARKET)
LARGE_FILE_BYTES: Final = 1_200_000
UNKNOWN: Final = {"x_note": ["kept"]}


@dataclass(frozen=True, slots=True)
class Kind:
    """A deploy whose recording is cut off.

    ``named`` is what `reconcile` says of the stack once storage has answered one request that writes, two, three, …
    """

    title: str
    named: Sequence[str]
    bundle_is_there_after: int = 3
    moves_the_state: bool = True

    @property
    def writes(self) -> range:
        return range(1, len(self.named) + 1)


# Each of bundle, tracker and registry has a row before it and one after it; the tracker's first row comes before all.
FIRST: Final = ["unregistered state"] * 4 + ["unregistered"] * 3 + ["healthy"] * 2
# A bundle that is larger than one request is two blocks, and a third request that makes a blob of them.
LATER: Final = ["pipeline_drift"] * 6 + ["registry_behind"] * 3 + ["healthy"] * 2
KINDS: Final = {
    "market": Kind("a market's first deploy", FIRST),
    "stack": Kind("a stack's first deploy", FIRST),
    "no-op": Kind("a deploy that changed nothing", ["healthy"] * 9, moves_the_state=False),
    "later": Kind("a deploy with a large bundle", LATER, bundle_is_there_after=5),
}

every_cut_off = pytest.mark.parametrize(
    ("kind", "writes"),
    [
        pytest.param(name, writes, id=f"{kind.title}, cut off after write {writes}")
        for name, kind in KINDS.items()
        for writes in kind.writes
    ],
)


@dataclass(frozen=True, slots=True)
class CutOff:
    """What was there of one market before its recording was cut off, and what is there after the repair."""

    ended: Ended
    other_before: Recorded | None
    other_after: Recorded | None
    records: Recorded
    registry: Mapping[str, Any]
    has_its_bundle: bool
    state_is_untouched: bool


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Of all fault points: each command's run over the whole estate, and what is left in each market."""

    named: Report
    repair: Ended
    repaired: Report
    repair_again: Ended
    uninterrupted: Mapping[str, Ended]
    cut_offs: Mapping[tuple[str, int], CutOff]

    def correction(self, kind: str, writes: int) -> dict[str, Any] | None:
        found = [one for one in self.repair.answer["corrections"] if one["market"] == market_of(kind, writes)]
        assert len(found) <= 1
        return found[0] if found else None


def market_of(kind: str, writes: int) -> str:
    return f"{kind}-{writes:02d}"


@pytest.fixture(scope="module")
def aftermath(terraform_world: TerraformWorld, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    with pipeline_in(terraform_world) as pipeline:
        return cut_off_everywhere(pipeline, tmp_path_factory.mktemp("cut-off"))


def cut_off_everywhere(pipeline: Pipeline, folder: Path) -> Aftermath:
    stack = deploy(pipeline.stack(folder / STACK, market=MODEL), vnet("10.0.0.0/16"))
    other = deploy(pipeline.stack(folder / OTHER, market=MODEL, name=OTHER), vnet("10.9.0.0/16"))
    pipeline.record(other, "--release", "other", market=MODEL, name=OTHER)
    firsts = cut_off(pipeline, stack, "market") | cut_off(pipeline, stack, "stack")
    pipeline.record(stack, "--release", "old", "--run-id", "old", market=MODEL)
    add_unknown_fields(pipeline)
    (stack.folder / "comments.tf").write_text("# Nothing that is deployed.\n", encoding="utf-8")
    stack.apply()
    no_ops = cut_off(pipeline, stack, "no-op")
    (stack.folder / "large.bin").write_bytes(secrets.token_bytes(LARGE_FILE_BYTES))
    apply(stack, vnet("10.1.0.0/16"))
    ended = firsts | no_ops | cut_off(pipeline, stack, "later")
    pipeline.record(stack, market=MODEL)
    before = {key: recorded(pipeline, market_of(*key), OTHER) for key in ended}
    contents = {key: pipeline.state(market_of(*key)).copy() for key in ended}
    named, repair = pipeline.reconciled(), pipeline.trueup.run("repair", "--yes")
    repaired, again = pipeline.reconciled(), pipeline.trueup.run("repair", "--yes")
    return Aftermath(
        named=named,
        repair=repair,
        repaired=repaired,
        repair_again=again,
        uninterrupted={name: ended[name, kind.writes.stop] for name, kind in KINDS.items()},
        cut_offs={
            key: CutOff(
                ended=one,
                other_before=before[key],
                other_after=recorded(pipeline, market, OTHER),
                records=pipeline.records(market=market),
                registry=pipeline.registry(market),
                has_its_bundle=pipeline.has_its_bundle(pipeline.tracker(market=market)),
                state_is_untouched=pipeline.state(market).copy() == contents[key],
            )
            for key, one in ended.items()
            for market in [market_of(*key)]
        },
    )


def cut_off(pipeline: Pipeline, stack: TerraformStack, kind: str) -> dict[tuple[str, int], Ended]:
    """Records a deploy once for each of its writes, and once more with a cut that never comes, each in a market of its own."""
    keys = [(kind, writes) for writes in (*KINDS[kind].writes, KINDS[kind].writes.stop)]
    for key in keys:
        market = market_of(*key)
        if kind != "market":
            copy_market(pipeline, market)
        pipeline.state(market).put_back(stack.blob.copy())
    commands = [
        (
            writes,
            recording(
                stack, "--state-key", f"{market_of(kind, writes)}/{STACK}.tfstate", *RUN, market=market_of(kind, writes)
            ),
        )
        for _, writes in keys
    ]
    return dict(zip(keys, pipeline.trueup.cut_off_all(commands), strict=True))


def copy_market(pipeline: Pipeline, market: str) -> None:
    """All records, states and bundles of the model, in another market's name."""
    containers = pipeline.containers
    for container in (containers.registry, containers.trackers, containers.states, containers.bundles):
        client = pipeline.world.blob_service.get_container_client(container)
        for name in list(client.list_blob_names(name_starts_with=f"{MODEL}/")):
            content = client.download_blob(name).readall()
            if container in {containers.registry, containers.trackers}:
                content = content.replace(f'"{MODEL}'.encode(), f'"{market}'.encode())
            client.upload_blob(f"{market}{name.removeprefix(MODEL)}", content)


def add_unknown_fields(pipeline: Pipeline) -> None:
    """To the registry record, each of its entries, and the tracker."""
    registry = pipeline.registry(MODEL)
    stacks = {name: entry | UNKNOWN for name, entry in registry["stacks"].items()}
    pipeline.put(pipeline.containers.registry, f"{MODEL}/subscription.json", registry | UNKNOWN | {"stacks": stacks})
    tracker = pipeline.tracker(market=MODEL)
    pipeline.put(pipeline.containers.trackers, f"{MODEL}/{STACK}.json", tracker | UNKNOWN)


def recorded(pipeline: Pipeline, market: str, name: str) -> Recorded | None:
    return None if market.startswith("market") else pipeline.records(market=market, name=name)


@pytest.mark.parametrize("kind", [pytest.param(name, id=kind.title) for name, kind in KINDS.items()])
def test_there_are_no_more_writes_than_those_that_are_cut_off(kind: str, aftermath: Aftermath) -> None:
    assert (aftermath.uninterrupted[kind].status, aftermath.uninterrupted[kind].stderr) == (0, "")


@every_cut_off
def test_reconcile_names_what_was_cut_off(kind: str, writes: int, aftermath: Aftermath) -> None:
    market, named = market_of(kind, writes), KINDS[kind].named[writes - 1]
    assert aftermath.cut_offs[kind, writes].ended.was_killed
    assert aftermath.named.status == 2
    verdict = aftermath.named.verdicts.get(f"{market}/{STACK}")
    is_unregistered_state = f"{market}/{STACK}.tfstate" in aftermath.named.unregistered_states
    assert (verdict, is_unregistered_state) == (
        (None, True) if named == "unregistered state" else (named, named == "unregistered")
    )


@every_cut_off
def test_repair_ends_it_healthy(kind: str, writes: int, aftermath: Aftermath) -> None:
    correction = aftermath.correction(kind, writes)
    if KINDS[kind].moves_the_state:
        assert (correction is None) is (KINDS[kind].named[writes - 1] == "healthy")
    if correction:
        assert (correction["written"], correction["verdict_after"]) == (True, "healthy")
    result = aftermath.repaired.of(market_of(kind, writes))
    assert (result["verdict"], result["tier"]) == ("healthy", 1)
    assert aftermath.cut_offs[kind, writes].state_is_untouched


@every_cut_off
def test_nothing_of_the_deploy_is_lost(kind: str, writes: int, aftermath: Aftermath) -> None:
    records = aftermath.cut_offs[kind, writes].records
    assert [records.tracker.get(field) for field in ("release", "run_id", "commit")] == ["new", "cut-off", "4f1c0de"]
    assert [records.entry.get(field) for field in ("release", "commit")] == ["new", "4f1c0de"]
    assert records.entry["serial"] == records.tracker["serial"]
    assert records.entry["state"] == {"key": f"{market_of(kind, writes)}/{STACK}.tfstate"}


@every_cut_off
def test_the_bundle_is_named_where_it_is_there_and_nowhere_else(kind: str, writes: int, aftermath: Aftermath) -> None:
    cut_off = aftermath.cut_offs[kind, writes]
    assert ("bundle" in cut_off.records.tracker) is (writes >= KINDS[kind].bundle_is_there_after)
    assert cut_off.has_its_bundle


@every_cut_off
def test_other_stacks_and_unknown_fields_are_as_they_were(kind: str, writes: int, aftermath: Aftermath) -> None:
    cut_off = aftermath.cut_offs[kind, writes]
    assert cut_off.other_after == cut_off.other_before
    assert sorted(cut_off.registry["stacks"]) == ([STACK] if kind == "market" else [OTHER, STACK])
    kept = [cut_off.registry.get("x_note"), cut_off.records.tracker.get("x_note"), cut_off.records.entry.get("x_note")]
    assert kept == [UNKNOWN["x_note"] if kind in {"no-op", "later"} else None] * 3


def test_the_estate_is_healthy_and_a_second_repair_finds_nothing(aftermath: Aftermath) -> None:
    assert (aftermath.repair.status, aftermath.repair.stderr) == (0, "")
    assert (aftermath.repaired.status, aftermath.repaired.problems, aftermath.repaired.unregistered_states) == (
        0,
        [],
        [],
    )
    assert set(aftermath.repaired.verdicts.values()) == {"healthy"}
    again = aftermath.repair_again
    assert (again.status, again.answer["corrections"], again.answer["left_alone"]) == (0, [], [])
