"""The laws of a comparison, held by examples that nobody chose."""

import json
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.blob_store import BlobPlace
from adapters.record_reader import BlobRecordReader, Containers
from reconcile.compare import StackIdentity, compare
from reconcile.market import MarketReconciler, Rules
from reconcile.run import RunProgress, reconcile_estate
from records.report import MarketOutcome
from records.results import Run, StackResult
from records.verdicts import OddOneOut, Verdict
from tests.fakes import MemoryBlobStore
from tests.unit.readings_samples import (
    LAST_CHANGE,
    NO_TRACKER,
    NOW,
    readings,
    registry,
    state,
    tracker,
)

IDENTITY = StackIdentity(market="de", stack="network")
SERIALS = st.integers(min_value=0, max_value=2**64 - 1)
NEARBY = st.integers(min_value=10, max_value=14)
LINEAGES = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))


def judged(*given_readings: Any) -> StackResult:
    return compare(IDENTITY, readings(*given_readings), now=NOW, in_flight_minutes=60)


@given(SERIALS, LINEAGES)
def test_equal_records_are_healthy(serial: int, lineage: str | None) -> None:
    result = judged(state(serial, lineage), tracker(serial, lineage), registry(serial, lineage))
    assert result.verdict is Verdict.HEALTHY
    assert judged(state(serial, lineage), NO_TRACKER, registry(serial, lineage)).verdict is Verdict.HEALTHY


@given(NEARBY, NEARBY, NEARBY)
def test_the_delta_taken_back_from_the_odd_one_makes_the_three_agree(
    of_state: int, of_tracker: int, of_registry: int
) -> None:
    serials = {"state": of_state, "tracker": of_tracker, "registry": of_registry}
    result = judged(state(of_state), tracker(of_tracker), registry(of_registry))
    assert (result.verdict is Verdict.HEALTHY) == (len(set(serials.values())) == 1)
    if result.verdict is Verdict.RECORDS_SPLIT:
        assert len(set(serials.values())) == 3
        assert result.serial_delta is None
        return
    assert result.serial_delta is not None
    odd = str(result.odd_one_out) if result.odd_one_out is not OddOneOut.NONE else "state"
    mended = serials | {odd: serials[odd] - result.serial_delta}
    again = judged(state(mended["state"]), tracker(mended["tracker"]), registry(mended["registry"]))
    assert again.verdict is Verdict.HEALTHY


@given(NEARBY, NEARBY)
def test_with_two_records_the_delta_taken_back_from_the_state_makes_them_agree(of_state: int, of_record: int) -> None:
    for untracked in (NO_TRACKER, tracker(None)):
        delta = judged(state(of_state), untracked, registry(of_record)).serial_delta
        assert delta is not None
        assert judged(state(of_state - delta), untracked, registry(of_record)).verdict is Verdict.HEALTHY


@given(st.integers(min_value=-(10**6), max_value=10**6))
def test_in_tier_3_the_delta_taken_back_makes_the_times_agree(seconds: int) -> None:
    def result_at(moved_seconds: int) -> StackResult:
        deployed_at = LAST_CHANGE - timedelta(seconds=seconds) + timedelta(seconds=moved_seconds)
        return judged(state(), NO_TRACKER, registry(None, deployed_at=deployed_at))

    delta = result_at(0).time_delta_seconds
    assert delta == seconds
    assert result_at(delta).verdict is Verdict.HEALTHY


@given(NEARBY, NEARBY, NEARBY, LINEAGES, LINEAGES, LINEAGES)
def test_serials_of_different_lineages_are_never_compared(
    of_state: int, of_tracker: int, of_registry: int, a: str | None, b: str | None, c: str | None
) -> None:
    result = judged(state(of_state, a), tracker(of_tracker, b), registry(of_registry, c))
    differ = len({a, b, c} - {None}) > 1
    assert (result.verdict is Verdict.LINEAGE_MISMATCH) == differ
    if differ:
        assert result.serial_delta is None


@given(NEARBY, NEARBY, NEARBY)
def test_the_same_values_give_the_same_result(of_state: int, of_tracker: int, of_registry: int) -> None:
    given_readings = (state(of_state), tracker(of_tracker), registry(of_registry))
    assert judged(*given_readings) == judged(*given_readings)


RECORD = {"schema_version": 1, "market": "de", "stack": "network", "serial": 42, "lineage": "a"}
STATE = json.dumps({"version": 4, "serial": 42, "lineage": "a", "outputs": {}}).encode()


def subscription(market: str, stacks: list[str]) -> bytes:
    entries = {stack: {"state": {"key": f"{market}/{stack}.tfstate"}, "serial": 42, "lineage": "a"} for stack in stacks}
    record = {"schema_version": 1, "market": market, "subscription_id": f"s-{market}", "stacks": entries}
    return json.dumps(record).encode()


def put_market(store: MemoryBlobStore, market: str, serials: dict[str, int]) -> None:
    store.put(BlobPlace(container="registry", name=f"{market}/subscription.json"), subscription(market, list(serials)))
    for stack, serial in serials.items():
        tracked = RECORD | {"market": market, "stack": stack}
        store.put(BlobPlace(container="trackers", name=f"{market}/{stack}.json"), json.dumps(tracked).encode())
        head = {"version": 4, "serial": serial, "lineage": "a"}
        store.put(BlobPlace(container="tfstate", name=f"{market}/{stack}.tfstate"), json.dumps(head).encode())


async def reconciled(store: MemoryBlobStore) -> tuple[dict[str, MarketOutcome], int]:
    outcomes: dict[str, MarketOutcome] = {}

    def keep(outcome: MarketOutcome) -> None:
        outcomes[outcome.market] = outcome

    reconciler = MarketReconciler(
        records=BlobRecordReader(store, Containers()),
        results=None,
        run=Run.named_by(NOW),
        rules=Rules(in_flight_minutes=60, reread_delay_seconds=0, retention_days=1),
        clock=lambda: NOW,
    )
    progress = RunProgress(on_markets=lambda _: None, on_outcome=keep)
    summary = await reconcile_estate(reconciler, kept_in=None, wanted=[], width=3, progress=progress)
    return outcomes, summary.exit_status


BYTES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(["schema_version", "market", "stack", "serial", "lineage", "stacks", "subscription_id", "version"]),
        st.sampled_from([1, "de", "network", 42, "a", {}, None, -1, 1.5, [], {"network": {"state": {"key": "x"}}}]),
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BYTES, st.sampled_from(["registry", "trackers", "tfstate"]))
async def test_no_exception_escapes_on_any_bytes_and_a_good_market_keeps_its_verdict(
    content: bytes, container: str
) -> None:
    store = MemoryBlobStore("registry", "trackers", "tfstate")
    put_market(store, "de", {"network": 42})
    put_market(store, "fr", {"network": 42})
    blob = {"registry": "de/subscription.json", "trackers": "de/network.json", "tfstate": "de/network.tfstate"}
    store.put(BlobPlace(container=container, name=blob[container]), content)
    outcomes, _ = await reconciled(store)
    assert outcomes["fr"].results[0].verdict is Verdict.HEALTHY
    de = outcomes["de"]
    assert de.problems or de.results
    assert all("broke" not in problem.message for problem in de.problems)


@given(st.randoms(use_true_random=False), st.lists(st.tuples(st.sampled_from("abcdef"), NEARBY), max_size=8))
async def test_the_order_of_markets_and_stacks_does_not_matter(random: Random, stacks: list[tuple[str, int]]) -> None:
    estates: list[Any] = []
    for _ in range(2):
        random.shuffle(stacks)
        markets: dict[str, dict[str, int]] = {}
        for name, serial in stacks:
            markets.setdefault(name, {})[f"s{serial}"] = serial
        store = MemoryBlobStore("registry", "trackers", "tfstate")
        for market, serials in markets.items():
            put_market(store, market, serials)
        outcomes, exit_status = await reconciled(store)
        verdicts = {
            (market, result.stack): (result.verdict, result.serial_delta)
            for market, outcome in outcomes.items()
            for result in outcome.results
        }
        for outcome in outcomes.values():
            assert [result.stack for result in outcome.results] == sorted(result.stack for result in outcome.results)
        estates.append((verdicts, exit_status))
    assert estates[0] == estates[1]
