"""Bad input in real blobs and files: each fault is named, with its remedy, and the healthy stacks beside stay healthy.

Every case is a market of its own, with one bad record of its stack `network` beside a healthy stack `app`; a single run
reads them all.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from azure.storage.blob import BlobServiceClient

from adapters.folder_blobs import FolderBlobStore
from adapters.folder_runs import FolderRunStore
from adapters.folder_tables import FolderResultStore
from adapters.record_reader import BlobRecordReader, Containers
from adapters.table_names import RUNS_TABLE
from records.faults import FaultCode, RecordKind
from records.report import Problem
from records.results import RecordEvidence, StackResult
from records.runs import RunRow
from records.verdicts import OddOneOut, Severity, Verdict
from tests.estates import (
    CONTAINERS,
    LINEAGE,
    SERIAL,
    AzuriteEstate,
    Estate,
    FolderEstate,
    Reconciled,
    delete_tables,
    entry,
    fresh_containers,
    open_azure_records,
    open_azure_stores,
    put_healthy_market,
    put_registry,
    reconcile_all,
    registry_bytes,
    state_bytes,
    tracker_bytes,
)
from tests.world.azurite import Azurite

SECRET: Final = "s3cret-value-of-a-record"
STATE: Final = state_bytes()
PAGE_OF_AN_ERROR: Final = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"

Content = Callable[[str], bytes]
"""A record's bytes for a market of this name."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    record: RecordKind
    content: Content
    code: FaultCode
    field: str | None = None


def always(content: bytes) -> Content:
    return lambda _: content


def zeros(size_bytes: int) -> Content:
    return lambda _: bytes(size_bytes)


def state_with(**changes: Any) -> Content:
    """A state with these values in the place of its own; ``None`` is JSON's null, ``...`` leaves the key out."""
    state = {"version": 4, "serial": SERIAL, "lineage": LINEAGE, "outputs": {}, "resources": []} | changes
    return always(json.dumps({key: value for key, value in state.items() if value is not ...}).encode())


def tracker_with(**changes: Any) -> Content:
    return lambda market: tracker_bytes(market, "network", **changes)


def registry_with(**changes: Any) -> Content:
    return lambda market: registry_bytes(market, {"network": entry(market, "network")}, **changes)


def entry_with(**changes: Any) -> Content:
    """The registry record, with these values in the entry of ``network``."""

    def content(market: str) -> bytes:
        stacks = {"app": entry(market, "app"), "network": entry(market, "network", **changes)}
        return registry_bytes(market, stacks)

    return content


def entry_of(value: Any) -> Content:
    return lambda market: registry_bytes(market, {"app": entry(market, "app"), "network": value})


STATES: Final = [
    Case("cut off within its head", RecordKind.STATE, always(STATE[:60]), FaultCode.NOT_JSON),
    Case("cut off within a key", RecordKind.STATE, always(b'{"version": 4, "ser'), FaultCode.NOT_JSON),
    Case("without a serial", RecordKind.STATE, state_with(serial=...), FaultCode.MISSING_FIELD, "serial"),
    Case("a serial of null", RecordKind.STATE, state_with(serial=None), FaultCode.INVALID_FIELD, "serial"),
    Case("a negative serial", RecordKind.STATE, state_with(serial=-1), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial with a fraction", RecordKind.STATE, state_with(serial=42.5), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial as a float", RecordKind.STATE, state_with(serial=42.0), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial as text", RecordKind.STATE, state_with(serial=SECRET), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial as true", RecordKind.STATE, state_with(serial=True), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial of 10^30", RecordKind.STATE, state_with(serial=10**30), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial as a list", RecordKind.STATE, state_with(serial=[42]), FaultCode.INVALID_FIELD),
    Case("a lineage as a number", RecordKind.STATE, state_with(lineage=7), FaultCode.INVALID_FIELD, "lineage"),
    Case("a lineage without end", RecordKind.STATE, state_with(lineage=SECRET * 100), FaultCode.INVALID_FIELD),
    Case("a byte-order mark", RecordKind.STATE, always(b"\xef\xbb\xbf" + STATE), FaultCode.BYTE_ORDER_MARK),
    Case("UTF-16", RecordKind.STATE, always(STATE.decode().encode("utf-16")), FaultCode.NOT_UTF8),
    Case("an array", RecordKind.STATE, always(b"[" + STATE + b"]"), FaultCode.NOT_AN_OBJECT),
    Case("text", RecordKind.STATE, always(json.dumps(SECRET).encode()), FaultCode.NOT_AN_OBJECT),
    Case("null", RecordKind.STATE, always(b"null"), FaultCode.NOT_JSON),
    Case("an empty object", RecordKind.STATE, always(b"{}"), FaultCode.MISSING_FIELD, "serial"),
    Case("a page of an error", RecordKind.STATE, always(PAGE_OF_AN_ERROR), FaultCode.NOT_JSON),
    Case("nested without end", RecordKind.STATE, always(b'{"a": ' + b"[" * 100_000), FaultCode.TOO_DEEP),
    Case("nested objects", RecordKind.STATE, always(b'{"a": ' * 100_000), FaultCode.TOO_DEEP),
    Case(
        "a serial in an output alone",
        RecordKind.STATE,
        state_with(serial=..., outputs={"serial": 42}),
        FaultCode.MISSING_FIELD,
        "serial",
    ),
    Case("200 MB of zeros", RecordKind.STATE, zeros(200_000_000), FaultCode.NOT_UTF8),
    Case("1 MB of spaces", RecordKind.STATE, always(b" " * 1_000_000), FaultCode.NOT_JSON),
]

TRACKERS: Final = [
    Case("0 bytes", RecordKind.TRACKER, always(b""), FaultCode.EMPTY),
    Case("cut off", RecordKind.TRACKER, lambda market: tracker_bytes(market, "network")[:-5], FaultCode.NOT_JSON),
    Case(
        "a byte-order mark",
        RecordKind.TRACKER,
        lambda market: b"\xef\xbb\xbf" + tracker_bytes(market, "network"),
        FaultCode.BYTE_ORDER_MARK,
    ),
    Case(
        "UTF-16",
        RecordKind.TRACKER,
        lambda market: tracker_bytes(market, "network").decode().encode("utf-16"),
        FaultCode.NOT_UTF8,
    ),
    Case("an array", RecordKind.TRACKER, always(b"[]"), FaultCode.NOT_AN_OBJECT),
    Case("nested without end", RecordKind.TRACKER, always(b'{"a": ' * 100_000), FaultCode.NOT_JSON),
    Case("20 MB of zeros", RecordKind.TRACKER, zeros(20_000_000), FaultCode.TOO_LARGE),
    Case("a page of an error", RecordKind.TRACKER, always(PAGE_OF_AN_ERROR), FaultCode.NOT_JSON),
    Case(
        "schema 2",
        RecordKind.TRACKER,
        tracker_with(schema_version=2),
        FaultCode.UNKNOWN_SCHEMA_VERSION,
        "schema_version",
    ),
    Case(
        "schema as text",
        RecordKind.TRACKER,
        tracker_with(schema_version="1"),
        FaultCode.UNKNOWN_SCHEMA_VERSION,
        "schema_version",
    ),
    Case("a negative serial", RecordKind.TRACKER, tracker_with(serial=-1), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial as a float", RecordKind.TRACKER, tracker_with(serial=42.0), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial as text", RecordKind.TRACKER, tracker_with(serial=SECRET), FaultCode.INVALID_FIELD, "serial"),
    Case("a serial of 10^30", RecordKind.TRACKER, tracker_with(serial=10**30), FaultCode.INVALID_FIELD, "serial"),
    Case(
        "an MD5 that is none", RecordKind.TRACKER, tracker_with(state_md5=SECRET), FaultCode.INVALID_FIELD, "state_md5"
    ),
    Case("another market's", RecordKind.TRACKER, tracker_with(market=SECRET), FaultCode.COPIED, "market"),
    Case("another stack's", RecordKind.TRACKER, tracker_with(stack="app"), FaultCode.COPIED, "stack"),
    Case(
        "another subscription's",
        RecordKind.TRACKER,
        tracker_with(subscription_id=SECRET),
        FaultCode.COPIED,
        "subscription_id",
    ),
]

ENTRIES: Final = [
    Case("null", RecordKind.REGISTRY, entry_of(None), FaultCode.INVALID_FIELD, "stacks.network"),
    Case("text", RecordKind.REGISTRY, entry_of(SECRET), FaultCode.INVALID_FIELD, "stacks.network"),
    Case("a list", RecordKind.REGISTRY, entry_of([SECRET]), FaultCode.INVALID_FIELD, "stacks.network"),
    Case("an empty object", RecordKind.REGISTRY, entry_of({}), FaultCode.MISSING_FIELD, "stacks.network.state"),
    Case(
        "a negative serial",
        RecordKind.REGISTRY,
        entry_with(serial=-1),
        FaultCode.INVALID_FIELD,
        "stacks.network.serial",
    ),
    Case(
        "a serial as a float",
        RecordKind.REGISTRY,
        entry_with(serial=42.0),
        FaultCode.INVALID_FIELD,
        "stacks.network.serial",
    ),
    Case(
        "a serial as text",
        RecordKind.REGISTRY,
        entry_with(serial=SECRET),
        FaultCode.INVALID_FIELD,
        "stacks.network.serial",
    ),
    Case(
        "a serial of 10^30",
        RecordKind.REGISTRY,
        entry_with(serial=10**30),
        FaultCode.INVALID_FIELD,
        "stacks.network.serial",
    ),
    Case(
        "a state without a key",
        RecordKind.REGISTRY,
        entry_with(state={}),
        FaultCode.MISSING_FIELD,
        "stacks.network.state.key",
    ),
    Case(
        "a key that climbs out",
        RecordKind.REGISTRY,
        entry_with(state={"key": "../registry/de/subscription.json"}),
        FaultCode.INVALID_FIELD,
        "stacks.network.state.key",
    ),
    Case(
        "a workspace that climbs out",
        RecordKind.REGISTRY,
        entry_with(state={"key": "a", "workspace": "/../../x"}),
        FaultCode.INVALID_FIELD,
        "stacks.network.state.workspace",
    ),
    Case(
        "a container that climbs out",
        RecordKind.REGISTRY,
        entry_with(state={"key": "a", "container": ".."}),
        FaultCode.INVALID_FIELD,
        "stacks.network.state.container",
    ),
    Case(
        "a time that is none",
        RecordKind.REGISTRY,
        entry_with(deployed_at=SECRET),
        FaultCode.INVALID_FIELD,
        "stacks.network.deployed_at",
    ),
]

REGISTRIES: Final = [
    Case("0 bytes", RecordKind.REGISTRY, always(b""), FaultCode.EMPTY),
    Case("cut off", RecordKind.REGISTRY, lambda market: registry_bytes(market, {})[:-1], FaultCode.NOT_JSON),
    Case(
        "a byte-order mark",
        RecordKind.REGISTRY,
        lambda market: b"\xef\xbb\xbf" + registry_bytes(market, {}),
        FaultCode.BYTE_ORDER_MARK,
    ),
    Case(
        "UTF-16",
        RecordKind.REGISTRY,
        lambda market: registry_bytes(market, {}).decode().encode("utf-16"),
        FaultCode.NOT_UTF8,
    ),
    Case("an array", RecordKind.REGISTRY, always(b"[]"), FaultCode.NOT_AN_OBJECT),
    Case(
        "nested without end",
        RecordKind.REGISTRY,
        lambda market: registry_bytes(market, {})[:-2] + b'"a": ' + b"[" * 100_000,
        FaultCode.NOT_JSON,
    ),
    Case("20 MB of zeros", RecordKind.REGISTRY, zeros(20_000_000), FaultCode.TOO_LARGE),
    Case("a page of an error", RecordKind.REGISTRY, always(PAGE_OF_AN_ERROR), FaultCode.NOT_JSON),
    Case(
        "schema 2",
        RecordKind.REGISTRY,
        registry_with(schema_version=2),
        FaultCode.UNKNOWN_SCHEMA_VERSION,
        "schema_version",
    ),
    Case("stacks as a list", RecordKind.REGISTRY, registry_with(stacks=[SECRET]), FaultCode.INVALID_FIELD, "stacks"),
    Case("stacks of null", RecordKind.REGISTRY, registry_with(stacks=None), FaultCode.INVALID_FIELD, "stacks"),
    Case(
        "a subscription as a number",
        RecordKind.REGISTRY,
        registry_with(subscription_id=7),
        FaultCode.INVALID_FIELD,
        "subscription_id",
    ),
    Case("another market's", RecordKind.REGISTRY, lambda _: registry_bytes("copied", {}), FaultCode.COPIED, "market"),
]

OF_A_STACK: Final = [(f"bad-{number:03d}", case) for number, case in enumerate([*STATES, *TRACKERS, *ENTRIES])]
OF_A_MARKET: Final = [(f"worse-{number:03d}", case) for number, case in enumerate(REGISTRIES)]
BAD_FOLDERS: Final = ["N L", "n..l", "n..", "NL", "n_l", "emea/N L", "-nl"]
HEALTHY: Final = {f"{market}/{stack}": Verdict.HEALTHY for market in ("de", "fr") for stack in ("app", "network")}


def put_everything(estate: Estate) -> None:
    for market in ("de", "fr"):
        put_healthy_market(estate, market)
    for market, case in [*OF_A_STACK, *OF_A_MARKET]:
        put_healthy_market(estate, market)
        container, blob = place_of(estate, market, case)
        estate.put(container, blob, case.content(market))
    for market in BAD_FOLDERS:
        put_healthy_market(estate, market)
    put_healthy_market(estate, "names")
    put_registry(estate, "names", {"app": entry("names", "app"), "Net Work": entry("names", "network")})
    estate.put(estate.containers.trackers, "names/b c.json", b"{}")


@dataclass(frozen=True, slots=True)
class Draft:
    """An estate that is not put anywhere yet."""

    containers: Containers
    blobs: dict[tuple[str, str], bytes]

    def put(self, container: str, blob: str, content: bytes) -> None:
        self.blobs[container, blob] = content


def place_of(estate: Estate, market: str, case: Case) -> tuple[str, str]:
    match case.record:
        case RecordKind.STATE:
            return estate.containers.states, f"{market}/network.tfstate"
        case RecordKind.TRACKER:
            return estate.containers.trackers, f"{market}/network.json"
        case _:
            return estate.containers.registry, f"{market}/subscription.json"


@pytest.fixture(scope="module", params=["folder", pytest.param("azurite", marks=pytest.mark.azurite)])
def reconciled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reconciled]:
    """One run over all of it."""
    if request.param == "folder":
        yield in_folder(tmp_path_factory.mktemp("estate"))
    else:
        yield in_azurite(request.getfixturevalue("azurite"))


def in_folder(root: Path) -> Reconciled:
    put_everything(FolderEstate(root))
    records = BlobRecordReader(FolderBlobStore(root), CONTAINERS)
    runs = FolderRunStore(root, table=RUNS_TABLE, row=RunRow)
    return asyncio.run(reconcile_all(records, FolderResultStore(root), runs=runs))


def in_azurite(azurite: Azurite) -> Reconciled:
    containers = fresh_containers()

    async def reconcile() -> Reconciled:
        async with (
            open_azure_records(azurite.connection_string, containers) as records,
            open_azure_stores(azurite.connection_string) as stores,
        ):
            return await reconcile_all(records, stores.results, runs=stores.runs)

    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        for container in (containers.registry, containers.trackers, containers.states):
            service.create_container(container)
        draft = Draft(containers, {})
        put_everything(draft)
        estate = AzuriteEstate(service, containers)
        with ThreadPoolExecutor(8) as pool:
            puts = [pool.submit(estate.put, *place, content) for place, content in draft.blobs.items()]
        for put in puts:
            put.result()
    try:
        return asyncio.run(reconcile())
    finally:
        delete_tables(azurite.connection_string)


def evidence_of(result: StackResult, record: RecordKind) -> RecordEvidence:
    evidence = {
        RecordKind.STATE: result.evidence.state,
        RecordKind.TRACKER: result.evidence.tracker,
        RecordKind.REGISTRY: result.evidence.registry,
    }
    return evidence[record]


def problem_of(reconciled: Reconciled, market: str) -> Problem:
    found = [problem for problem in reconciled.summary.problems if problem.market == market]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("market", "case"),
    [pytest.param(market, case, id=f"{case.record}: {case.name}") for market, case in OF_A_STACK],
)
def test_a_bad_record_of_a_stack_is_named_with_its_remedy_and_the_stack_beside_it_is_healthy(
    reconciled: Reconciled, market: str, case: Case
) -> None:
    result = reconciled.of(market, "network")
    fault = evidence_of(result, case.record).fault
    assert fault is not None
    assert (fault.code, fault.field, fault.record) == (case.code, case.field, case.record)
    file = {RecordKind.STATE: "network.tfstate", RecordKind.TRACKER: "network.json"}.get(
        case.record, "subscription.json"
    )
    assert fault.blob == f"{market}/{file}"
    assert fault.message
    assert fault.remedy.endswith(".")
    assert (result.verdict, result.severity, result.odd_one_out) == (
        Verdict.UNREADABLE,
        Severity.HIGH,
        OddOneOut(case.record.value),
    )
    assert reconciled.of(market, "app").verdict is Verdict.HEALTHY


@pytest.mark.parametrize(("market", "case"), [pytest.param(market, case, id=case.name) for market, case in OF_A_MARKET])
def test_a_bad_registry_record_is_its_market_s_problem(reconciled: Reconciled, market: str, case: Case) -> None:
    problem = problem_of(reconciled, market)
    assert (problem.code, problem.field, problem.record) == (case.code, case.field, RecordKind.REGISTRY)
    assert problem.blob == f"{market}/subscription.json"
    assert problem.message
    assert problem.remedy.endswith(".")
    assert reconciled.outcomes[market].results == ()


@pytest.mark.parametrize("market", BAD_FOLDERS)
def test_a_market_s_folder_with_a_bad_name_is_a_problem(reconciled: Reconciled, market: str) -> None:
    problem = problem_of(reconciled, market)
    assert (problem.code, problem.record) == (FaultCode.INVALID_NAME, RecordKind.REGISTRY)
    assert problem.blob == f"{market}/subscription.json"
    assert reconciled.outcomes[market].results == ()


def test_bad_names_of_stacks_are_problems_beside_the_market_s_verdicts(reconciled: Reconciled) -> None:
    problems = [problem for problem in reconciled.summary.problems if problem.market == "names"]
    assert [(problem.code, problem.record, problem.blob, problem.field) for problem in problems] == [
        (FaultCode.INVALID_NAME, RecordKind.REGISTRY, "names/subscription.json", "stacks.Net Work"),
        (FaultCode.INVALID_NAME, RecordKind.TRACKER, "names/b c.json", None),
    ]
    assert reconciled.of("names", "app").verdict is Verdict.HEALTHY


def test_the_healthy_markets_are_healthy(reconciled: Reconciled) -> None:
    assert HEALTHY.items() <= reconciled.verdicts.items()


def test_every_market_is_counted_and_a_person_is_asked_for(reconciled: Reconciled) -> None:
    assert reconciled.summary.markets == 2 + len(OF_A_STACK) + len(OF_A_MARKET) + len(BAD_FOLDERS) + 1
    assert reconciled.summary.counts[Verdict.UNREADABLE] == len(OF_A_STACK)
    assert reconciled.summary.exit_status == 2


def test_no_value_of_a_bad_record_is_told(reconciled: Reconciled) -> None:
    told = reconciled.summary.model_dump_json() + "".join(
        outcome.model_dump_json() for outcome in reconciled.outcomes.values()
    )
    assert SECRET not in told
    assert "Bad Gateway" not in told


def test_what_is_in_the_state_container_of_a_market_that_could_not_be_read_is_not_called_unregistered(
    reconciled: Reconciled,
) -> None:
    worse = [name for name in reconciled.summary.unregistered_states if name.startswith(("worse-", "bad-"))]
    assert worse == []
