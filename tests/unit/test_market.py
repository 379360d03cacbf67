"""One market: what is read twice, what is kept, and what becomes a problem instead of a verdict."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from adapters.blob_store import BlobPlace
from adapters.record_reader import BlobRecordReader
from reconcile.market import MarketReconciler
from records.errors import (
    AccessDeniedError,
    AccountNotAllowedError,
    BlobChangedError,
    ContainerMissingError,
    StoreUnavailableError,
)
from records.faults import FaultCode, RecordKind
from records.report import MarketOutcome
from records.results import RecordStatus, Run, StackResult
from records.verdicts import NEEDS_NOBODY, Note, OddOneOut, Tier, Verdict
from tests.estates import (
    CONTAINERS,
    RULES,
    SERIAL,
    MemoryEstate,
    entry,
    put_healthy_market,
    put_registry,
    put_state,
    put_tracker,
    registry_bytes,
    state_bytes,
)
from tests.fakes import MemoryBlobStore, MemoryResultStore

NOW: Final = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
RUN: Final = Run(run_id="today", started_at=NOW)
DOWN: Final = StoreUnavailableError("reconcileresults", "503 ServerBusy")


@dataclass(slots=True)
class Bench:
    """A market's reconciler over memory, with a hand on what happens while it waits to read again."""

    blobs: MemoryBlobStore
    results: MemoryResultStore = field(default_factory=MemoryResultStore)
    slept: list[float] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    now: datetime = NOW

    @property
    def estate(self) -> MemoryEstate:
        return MemoryEstate(self.blobs)

    async def reconcile(self, market: str = "de", **changes: Any) -> MarketOutcome:
        values: dict[str, Any] = {
            "records": BlobRecordReader(self.blobs, CONTAINERS),
            "results": self.results,
            "run": RUN,
            "rules": RULES,
            "clock": lambda: self.now,
            "sleep": self._sleep,
        }
        return await MarketReconciler(**values | changes).reconcile(market)

    def reads_of(self, name: str) -> int:
        return sum(place.name == name for place in self.blobs.reads)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.meanwhile()


@pytest.fixture
def bench() -> Bench:
    """A market of two stacks, both healthy."""
    made = Bench(MemoryBlobStore(CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states))
    put_healthy_market(made.estate, "de")
    return made


def of(outcome: MarketOutcome, stack: str = "network") -> StackResult:
    return next(result for result in outcome.results if result.stack == stack)


def verdicts(outcome: MarketOutcome) -> dict[str, Verdict]:
    return {result.stack: result.verdict for result in outcome.results}


def problems(outcome: MarketOutcome) -> list[tuple[RecordKind, FaultCode]]:
    return [(problem.record, problem.code) for problem in outcome.problems]


def state_of(stack: str, market: str = "de") -> BlobPlace:
    return BlobPlace(container=CONTAINERS.states, name=f"{market}/{stack}.tfstate")


def tracker_of(stack: str, market: str = "de") -> BlobPlace:
    return BlobPlace(container=CONTAINERS.trackers, name=f"{market}/{stack}.json")


def registry_of(market: str = "de") -> BlobPlace:
    return BlobPlace(container=CONTAINERS.registry, name=f"{market}/subscription.json")


class TestAHealthyMarket:
    async def test_is_read_once_and_nobody_waits(self, bench: Bench) -> None:
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.HEALTHY}
        assert (outcome.problems, bench.slept) == ((), [])
        assert sorted(place.name for place in bench.blobs.reads) == [
            "de/app.json",
            "de/app.tfstate",
            "de/network.json",
            "de/network.tfstate",
            "de/subscription.json",
        ]

    async def test_names_its_states(self, bench: Bench) -> None:
        assert (await bench.reconcile()).states == ("de/app.tfstate", "de/network.tfstate")

    async def test_does_not_name_the_states_of_another_container_or_account(self, bench: Bench) -> None:
        key = "de/network.tfstate"
        elsewhere = {
            "account": entry("de", "account", state={"key": key, "account_url": "https://a.blob.core.windows.net"}),
            "container": entry("de", "container", state={"key": key, "container": "market-de"}),
            "shared": entry("de", "shared", state={"key": "shared.tfstate", "workspace": "dev"}),
        }
        put_registry(bench.estate, "de", elsewhere)
        assert (await bench.reconcile()).states == ("shared.tfstateenv:dev",)

    async def test_has_its_results_sorted_by_stack_and_with_its_owner(self, bench: Bench) -> None:
        stacks = ["web", "app", "network", "a-2", "a"]
        put_healthy_market(bench.estate, "de", stacks)
        put_registry(bench.estate, "de", {stack: entry("de", stack) for stack in stacks}, owner="team@example.com")
        outcome = await bench.reconcile()
        assert [result.stack for result in outcome.results] == sorted(stacks)
        assert {(result.owner, result.subscription_id) for result in outcome.results} == {("team@example.com", "s-de")}


def deploy(bench: Bench, stack: str, serial: int) -> None:
    """As a pipeline ends a deploy: the tracker, then the registry."""
    put_tracker(bench.estate, "de", stack, serial=serial)
    stacks = {name: entry("de", name) for name in ("app", "network")} | {stack: entry("de", stack, serial=serial)}
    put_registry(bench.estate, "de", stacks)


class TestTheSecondReading:
    async def test_clears_a_deploy_that_ended_between_the_two(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        bench.meanwhile = lambda: deploy(bench, "network", SERIAL + 1)
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.HEALTHY}
        assert of(outcome).serials.registry == SERIAL + 1

    async def test_confirms_a_drift(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 2)
        outcome = await bench.reconcile()
        result = of(outcome)
        assert (result.verdict, result.odd_one_out, result.serial_delta) == (
            Verdict.PIPELINE_DRIFT,
            OddOneOut.STATE,
            2,
        )
        assert result.tier is Tier.THREE_RECORDS

    async def test_is_the_one_that_is_reported(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        bench.meanwhile = lambda: put_state(bench.estate, "de", "network", SERIAL + 5)
        assert of(await bench.reconcile()).serial_delta == 5

    @pytest.mark.parametrize("seconds", [0, 3, 12.5])
    async def test_comes_after_the_rule_s_delay(self, bench: Bench, seconds: float) -> None:
        put_state(bench.estate, "de", "app", SERIAL + 1)
        put_state(bench.estate, "de", "network", SERIAL + 1)
        await bench.reconcile(rules=replace(RULES, reread_delay_seconds=seconds))
        assert bench.slept == [seconds]

    async def test_reads_all_three_records_of_what_is_in_doubt_and_nothing_of_what_is_not(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        await bench.reconcile()
        names = ("subscription.json", "network.json", "network.tfstate", "app.json", "app.tfstate")
        assert [bench.reads_of(f"de/{name}") for name in names] == [2, 2, 2, 1, 1]

    async def test_hashes_a_state_that_storage_keeps_no_md5_of(self, bench: Bench) -> None:
        content = state_bytes(SERIAL, size_bytes=200_000)
        bench.blobs.put(state_of("network"), content, keeps_md5=False)
        put_tracker(bench.estate, "de", "network", state_md5=(await md5_of(content)))
        outcome = await bench.reconcile()
        assert of(outcome).verdict is Verdict.HEALTHY
        assert len(bench.slept) == 1

    async def test_finds_a_fork_in_a_state_that_storage_keeps_no_md5_of(self, bench: Bench) -> None:
        bench.blobs.put(state_of("network"), state_bytes(SERIAL, size_bytes=200_000), keeps_md5=False)
        put_tracker(bench.estate, "de", "network", state_md5="0" * 32)
        assert of(await bench.reconcile()).verdict is Verdict.STATE_FORKED

    async def test_takes_a_state_that_went_missing_as_missing(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        bench.meanwhile = lambda: bench.blobs.delete(state_of("network"))
        assert of(await bench.reconcile()).verdict is Verdict.STATE_MISSING

    async def test_of_a_registry_that_went_out_of_reach_leaves_the_stack_unreadable(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        bench.meanwhile = lambda: bench.blobs.refuse(registry_of(), AccessDeniedError("registry", "403"))
        result = of(await bench.reconcile())
        assert (result.verdict, result.odd_one_out) == (Verdict.UNREADABLE, OddOneOut.REGISTRY)

    @pytest.mark.parametrize("with_tracker", [True, False], ids=["with a tracker", "without one"])
    async def test_of_a_registry_that_vanished_is_nothing_to_be_calm_about(
        self, bench: Bench, with_tracker: bool
    ) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        if not with_tracker:
            for stack in ("app", "network"):
                bench.blobs.delete(tracker_of(stack))
        bench.meanwhile = lambda: bench.blobs.delete(registry_of())
        outcome = await bench.reconcile()
        assert of(outcome).verdict not in NEEDS_NOBODY or outcome.problems

    @pytest.mark.parametrize(
        ("deployed_ago", "verdict"),
        [
            pytest.param(timedelta(days=3), Verdict.HEALTHY, id="of the deploy"),
            pytest.param(timedelta(), Verdict.REGISTRY_AHEAD, id="also where the lock alone agrees with the record"),
        ],
    )
    async def test_takes_a_snapshot_as_evidence_of_the_state_s_age(
        self, bench: Bench, deployed_ago: timedelta, verdict: Verdict
    ) -> None:
        changed_at = NOW - timedelta(days=3)
        deployed_at = NOW - deployed_ago
        put_registry(
            bench.estate,
            "de",
            {"network": entry("de", "network", serial=None, deployed_at=deployed_at.isoformat())},
        )
        for stack in ("app", "network"):
            bench.blobs.delete(tracker_of(stack))
        bench.blobs.put(state_of("network"), state_bytes(), last_modified=changed_at)
        bench.blobs.snapshot(state_of("network"))
        bench.blobs.put(state_of("network"), state_bytes(), last_modified=NOW)
        result = of(await bench.reconcile())
        assert (result.tier, result.verdict, result.state_changed_at) == (Tier.TIMES, verdict, changed_at)


async def md5_of(content: bytes) -> str:
    store = MemoryBlobStore("any")
    place = BlobPlace(container="any", name="x")
    store.put(place, content)
    return (await store.read(place, length_bytes=1)).facts.content_md5 or ""


class TestNestedMarkets:
    @pytest.fixture
    def nested(self, bench: Bench) -> Bench:
        for market in ("emea", "emea/fr", "emea/fr/paris"):
            put_healthy_market(bench.estate, market, ["network"])
        put_healthy_market(bench.estate, "emea-2", ["other"])
        return bench

    @pytest.mark.parametrize("market", ["emea", "emea/fr", "emea/fr/paris"])
    async def test_each_has_its_own_stacks_alone(self, nested: Bench, market: str) -> None:
        outcome = await nested.reconcile(market)
        assert verdicts(outcome) == {"network": Verdict.HEALTHY}
        assert outcome.states == (f"{market}/network.tfstate",)

    async def test_a_stack_may_be_called_as_the_market_below(self, nested: Bench) -> None:
        put_healthy_market(nested.estate, "emea", ["fr", "network"])
        assert verdicts(await nested.reconcile("emea")) == {"fr": Verdict.HEALTHY, "network": Verdict.HEALTHY}
        assert verdicts(await nested.reconcile("emea/fr")) == {"network": Verdict.HEALTHY}

    async def test_one_that_is_only_a_folder_of_others_is_no_market(self, nested: Bench) -> None:
        put_healthy_market(nested.estate, "apac/jp", ["network"])
        outcome = await nested.reconcile("apac")
        assert (outcome.results, problems(outcome)) == ((), [(RecordKind.REGISTRY, FaultCode.NOT_FOUND)])

    async def test_their_results_are_kept_apart(self, nested: Bench) -> None:
        put_state(nested.estate, "emea/fr", "network", SERIAL + 1)
        for market in ("emea", "emea/fr"):
            await nested.reconcile(market)
        kept = {market: await nested.results.latest_of_market(market=market) for market in ("emea", "emea/fr")}
        assert kept["emea"]["network"].result.verdict is Verdict.HEALTHY
        assert kept["emea/fr"]["network"].result.verdict is Verdict.PIPELINE_DRIFT


class TestWhatTheRegistryDoesNotName:
    async def test_a_market_with_trackers_alone_is_unregistered(self, bench: Bench) -> None:
        bench.blobs.delete(registry_of())
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.UNREGISTERED, "network": Verdict.UNREGISTERED}
        assert of(outcome).evidence.state.status is RecordStatus.NOT_LOOKED_FOR
        assert (outcome.problems, outcome.states) == ((), ())

    async def test_a_tracker_without_an_entry_is_unregistered_and_the_others_are_not(self, bench: Bench) -> None:
        put_tracker(bench.estate, "de", "forgotten")
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {
            "app": Verdict.HEALTHY,
            "forgotten": Verdict.UNREGISTERED,
            "network": Verdict.HEALTHY,
        }

    async def test_an_entry_without_a_tracker_is_compared_with_the_state(self, bench: Bench) -> None:
        bench.blobs.delete(tracker_of("network"))
        result = of(await bench.reconcile())
        assert (result.verdict, result.tier) == (Verdict.HEALTHY, Tier.REGISTRY_AND_STATE)

    async def test_files_that_are_no_trackers_are_no_stacks(self, bench: Bench) -> None:
        for name in ("de/notes.txt", "de/network.json.bak", "network.json", "de.json"):
            bench.estate.put(CONTAINERS.trackers, name, b"x")
        assert sorted(verdicts(await bench.reconcile())) == ["app", "network"]


BAD_MARKETS: Final = [
    "DE",
    "d e",
    "../de",
    "de/",
    "/de",
    "de//fr",
    "de/..",
    ".",
    "dé",
    "de\n",
    "de_1",
    "-de",
    "d" * 401,
]


class TestBadNames:
    @pytest.mark.parametrize("market", [pytest.param(market, id=repr(market)[:20]) for market in BAD_MARKETS])
    async def test_a_folder_that_is_no_market_s_name_is_a_problem_and_nothing_of_it_is_read(
        self, bench: Bench, market: str
    ) -> None:
        put_healthy_market(bench.estate, market)
        outcome = await bench.reconcile(market)
        assert (outcome.results, problems(outcome)) == ((), [(RecordKind.REGISTRY, FaultCode.INVALID_NAME)])
        assert outcome.problems[0].blob == f"{market}/subscription.json"
        assert bench.blobs.reads == []

    async def test_a_bad_stack_name_in_the_registry_is_a_problem_beside_the_verdicts(self, bench: Bench) -> None:
        stacks = {name: entry("de", name) for name in ("app", "Net Work", "../x", "")}
        put_registry(bench.estate, "de", stacks)
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.UNREGISTERED}
        assert problems(outcome) == [(RecordKind.REGISTRY, FaultCode.INVALID_NAME)] * 3
        assert [problem.field for problem in outcome.problems] == ["stacks.", "stacks.../x", "stacks.Net Work"]

    async def test_a_bad_tracker_name_is_a_problem_beside_the_verdicts(self, bench: Bench) -> None:
        bench.estate.put(CONTAINERS.trackers, "de/Net Work.json", b"{}")
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.HEALTHY}
        assert problems(outcome) == [(RecordKind.TRACKER, FaultCode.INVALID_NAME)]
        assert outcome.problems[0].blob == "de/Net Work.json"


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (AccessDeniedError("registry", "403 AuthorizationFailure"), FaultCode.FORBIDDEN),
            (StoreUnavailableError("registry", "503 ServerBusy"), FaultCode.UNAVAILABLE),
            (ContainerMissingError("registry", "404 ContainerNotFound"), FaultCode.CONTAINER_MISSING),
            (BlobChangedError("registry", "412 ConditionNotMet"), FaultCode.CHANGED_WHILE_READ),
        ],
        ids=["forbidden", "unavailable", "its container missing", "changing"],
    )
    async def test_a_registry_record_that_is_out_of_reach_is_the_market_s_problem(
        self, bench: Bench, error: Any, code: FaultCode
    ) -> None:
        bench.blobs.refuse(registry_of(), error)
        outcome = await bench.reconcile()
        assert (outcome.results, problems(outcome)) == ((), [(RecordKind.REGISTRY, code)])

    async def test_a_registry_record_that_is_no_json_is_the_market_s_problem(self, bench: Bench) -> None:
        bench.estate.put(CONTAINERS.registry, "de/subscription.json", registry_bytes("de", {})[:-1])
        outcome = await bench.reconcile()
        assert (outcome.results, problems(outcome)) == ((), [(RecordKind.REGISTRY, FaultCode.NOT_JSON)])

    async def test_trackers_that_cannot_be_listed_are_the_market_s_problem(self, bench: Bench) -> None:
        bench.blobs.refuse(f"{CONTAINERS.trackers}/de/", AccessDeniedError("trackers", "403"))
        outcome = await bench.reconcile()
        assert (outcome.results, problems(outcome)) == ((), [(RecordKind.TRACKER, FaultCode.FORBIDDEN)])

    async def test_one_bad_entry_costs_its_stack_the_verdict_and_not_the_market(self, bench: Bench) -> None:
        put_registry(bench.estate, "de", {"app": entry("de", "app"), "network": entry("de", "network", serial=-1)})
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.UNREADABLE}
        fault = of(outcome).evidence.registry.fault
        assert fault is not None
        assert (fault.code, fault.field, fault.blob) == (
            FaultCode.INVALID_FIELD,
            "stacks.network.serial",
            "de/subscription.json",
        )

    @pytest.mark.parametrize("record", [RecordKind.STATE, RecordKind.TRACKER])
    async def test_a_record_that_is_out_of_reach_is_unreadable_and_never_absent(
        self, bench: Bench, record: RecordKind
    ) -> None:
        place = state_of("network") if record is RecordKind.STATE else tracker_of("network")
        bench.blobs.refuse(place, AccountNotAllowedError(str(place), "not an allowed storage account"))
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.UNREADABLE}
        assert of(outcome).odd_one_out == record.value

    async def test_a_state_in_a_container_that_is_not_there_is_unreadable_and_not_missing(self, bench: Bench) -> None:
        location = {"key": "de/network.tfstate", "container": "market-de"}
        put_registry(bench.estate, "de", {"network": entry("de", "network", state=location), "app": entry("de", "app")})
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.UNREADABLE}

    async def test_a_state_of_0_bytes_is_a_state_that_is_not_there_yet(self, bench: Bench) -> None:
        bench.blobs.put(state_of("network"), b"")
        assert of(await bench.reconcile()).verdict is Verdict.STATE_MISSING

    async def test_a_state_s_history_that_cannot_be_read_costs_no_verdict(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)

        bench.blobs.refuse(CONTAINERS.states, AccessDeniedError(CONTAINERS.states, "403"))
        outcome = await bench.reconcile()
        assert of(outcome).verdict is Verdict.PIPELINE_DRIFT


class TestWhatIsKept:
    async def test_are_the_market_s_results_under_the_run(self, bench: Bench) -> None:
        outcome = await bench.reconcile()
        kept = await bench.results.latest_of_market(market="de")
        assert [stored.result for stored in kept.values()] == list(outcome.results)
        assert {(stored.run_id, stored.run_started_at) for stored in kept.values()} == {("today", NOW)}

    async def test_is_nothing_where_nothing_is_to_be_kept(self, bench: Bench) -> None:
        outcome = await bench.reconcile(results=None)
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.HEALTHY}
        assert await bench.results.latest_of_market(market="de") == {}

    async def test_is_nothing_of_a_market_that_could_not_be_read(self, bench: Bench) -> None:
        await bench.reconcile()
        bench.blobs.refuse(registry_of(), AccessDeniedError("registry", "403"))
        await bench.reconcile(run=Run(run_id="tomorrow", started_at=NOW + timedelta(days=1)))
        kept = await bench.results.latest_of_market(market="de")
        assert {stored.run_id for stored in kept.values()} == {"today"}

    async def test_says_since_when_a_drift_has_stood(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        for day in range(3):
            bench.now = NOW + timedelta(days=day)
            outcome = await bench.reconcile(run=Run(run_id=f"day-{day}", started_at=bench.now))
        assert of(outcome).first_seen_at == NOW

    async def test_is_what_a_failing_save_leaves_in_the_outcome_with_a_problem(self, bench: Bench) -> None:
        bench.results.refuse("save_market", DOWN)
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.HEALTHY}
        assert problems(outcome) == [(RecordKind.RESULTS, FaultCode.UNAVAILABLE)]
        assert outcome.problems[0].blob == "reconcileresults"

    async def test_is_not_written_over_a_history_that_could_not_be_read(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        await bench.reconcile(run=Run(run_id="yesterday", started_at=NOW - timedelta(days=1)))
        bench.results.refuse("latest_of_market", DOWN)
        outcome = await bench.reconcile()
        assert verdicts(outcome) == {"app": Verdict.HEALTHY, "network": Verdict.PIPELINE_DRIFT}
        assert problems(outcome) == [(RecordKind.RESULTS, FaultCode.UNAVAILABLE)]
        history = [stored.run_id for stored in bench.results.history("de", "network")]
        assert history == ["yesterday"]

    async def test_goes_once_it_is_older_than_the_retention(self, bench: Bench) -> None:
        rules = replace(RULES, retention_days=2)
        for day in range(5):
            run = Run(run_id=f"day-{day}", started_at=NOW + timedelta(days=day))
            await bench.reconcile(run=run, rules=rules)
        history = [stored.run_id for stored in bench.results.history("de", "network")]
        assert history == ["day-4", "day-3", "day-2"]

    async def test_a_failing_prune_is_a_problem_and_costs_no_result(self, bench: Bench) -> None:
        await bench.reconcile()
        bench.results.refuse("prune_market", DOWN)
        outcome = await bench.reconcile(run=Run(run_id="tomorrow", started_at=NOW + timedelta(days=1)))
        assert problems(outcome) == [(RecordKind.RESULTS, FaultCode.UNAVAILABLE)]
        kept = await bench.results.latest_of_market(market="de")
        assert {stored.run_id for stored in kept.values()} == {"tomorrow"}


LOCK_METADATA: Final = {
    "Terraformlockid": "eyJJRCI6ICI2ZiIsICJXaG8iOiAiYWxpY2VAbGFwdG9wIiwgIkNyZWF0ZWQiOiAiMjAyNi0xMS0yNFQwNTozMDowMFoifQ=="
}
"""``{"ID": "6f", "Who": "alice@laptop", "Created": "2026-11-24T05:30:00Z"}``"""


class TestLocks:
    async def test_a_drift_under_a_young_lock_is_in_flight(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        lock(bench)
        result = of(await bench.reconcile())
        assert (result.verdict, result.masked_verdict) == (Verdict.IN_FLIGHT, Verdict.PIPELINE_DRIFT)

    async def test_a_lock_that_is_let_go_in_between_masks_nothing(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        lock(bench)
        bench.meanwhile = lambda: bench.blobs.release(state_of("network"))
        assert of(await bench.reconcile()).verdict is Verdict.PIPELINE_DRIFT

    async def test_the_rule_says_how_long_a_lock_is_young(self, bench: Bench) -> None:
        put_state(bench.estate, "de", "network", SERIAL + 1)
        lock(bench)
        result = of(await bench.reconcile(rules=replace(RULES, in_flight_minutes=30)))
        assert (result.verdict, result.notes) == (Verdict.PIPELINE_DRIFT, (Note.STALE_LOCK,))

    async def test_a_locked_healthy_stack_is_healthy(self, bench: Bench) -> None:
        lock(bench)
        assert of(await bench.reconcile()).verdict is Verdict.HEALTHY


def lock(bench: Bench) -> None:
    """Half an hour before now."""
    bench.blobs.lease(state_of("network"))
    bench.blobs.set_metadata(state_of("network"), LOCK_METADATA)


ORDERS: Final[list[Callable[[list[str]], list[str]]]] = [sorted, lambda names: sorted(names, reverse=True)]


@pytest.mark.parametrize("order", ORDERS, ids=["in order", "in reverse"])
async def test_the_order_in_which_records_were_written_means_nothing(order: Callable[[list[str]], list[str]]) -> None:
    stacks = [f"stack-{number:02d}" for number in range(20)]
    bench = Bench(MemoryBlobStore(CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states))
    put_registry(bench.estate, "de", {stack: entry("de", stack) for stack in order(stacks)})
    for stack in order(stacks):
        put_tracker(bench.estate, "de", stack, serial=SERIAL - int(stack[-1]))
        put_state(bench.estate, "de", stack)
    outcome = await bench.reconcile()
    assert [result.stack for result in outcome.results] == stacks
    assert [result.serial_delta for result in outcome.results] == [-int(stack[-1]) for stack in stacks]


async def test_many_stacks_are_read_eight_at_a_time() -> None:
    bench = Bench(MemoryBlobStore(CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states))
    put_healthy_market(bench.estate, "de", [f"stack-{number:02d}" for number in range(40)])
    at_once = AtOnce()

    class Watched(BlobRecordReader):
        async def tracker(self, **which: Any) -> Any:
            return await at_once.during(super().tracker(**which))

    outcome = await bench.reconcile(records=Watched(bench.blobs, CONTAINERS))
    assert len(outcome.results) == 40
    assert at_once.most == 8


class AtOnce:
    """Counts how many of the awaitables it is given run side by side at most."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def during(self, work: Awaitable[Any]) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.005)
            return await work
        finally:
            self.now -= 1
