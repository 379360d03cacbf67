"""Module pins in the daily report: from the trackers that a run reads, in every format, in the table, and in no verdict."""

import json
from datetime import timedelta
from typing import Any, Final

import pytest

from lanes.messages import FinishRequest, ItemRequest
from reconcile.market import MarketReconciler
from reconcile.module_pins import PinTally
from reconcile.render.pins import loose_of, version_of
from reconcile.run import RunProgress, RunStores, reconcile_estate
from reconcile.service.checking import reconcile_market
from reconcile.service.finishing import finish_run
from reconcile.service.planning import plan_run
from records.errors import StoreUnavailableError
from records.module_pins import MOST_STACKS_NAMED, PinSummary
from records.modules import DeployedModule
from records.results import Run
from records.runs import RunRow, Scope
from tests.contract_worlds import reconciled
from tests.estates import RULES, put_healthy_market, put_tracker
from tests.fakes import MemoryPinStore, MemoryRunStore
from tests.fakes_service import DAILY, ServiceBench, request_of

SOURCE: Final = "git::https://dev.azure.com/contoso/platform/_git/modules"
OLD, NEW = "a" * 40, "b" * 40


def module(name: str, ref: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "source": f"{SOURCE}?ref={ref}"} | changes


@pytest.fixture
def bench() -> ServiceBench:
    """Three healthy markets at two versions, with a reference that floats and a tag that was moved."""
    made = ServiceBench()
    modules = {
        "de": [module("kv", "kv/v1.2.0", commit=OLD), module("net", "main")],
        "fr": [module("kv", "kv/v1.10.0"), module("net", "main"), module("own", "x", source="./own")],
        "uk": [module("kv", "kv/v1.2.0", commit=NEW), module("kv2", "kv/v1.2.0", commit=NEW)],
    }
    for market, calls in modules.items():
        put_healthy_market(made.estate, market, ("network",))
        put_tracker(made.estate, market, "network", modules=calls, deployed_at="2026-11-20T05:00:00Z")
    return made


async def run_through(bench: ServiceBench, scope: Scope | None = None, **changes: Any) -> RunRow:
    request = request_of(scope=scope) if scope else request_of()
    service = bench.service(**changes)
    plan = await plan_run(service, request)
    async for page in bench.work.pages(run_id=request.run.run_id, digest=plan.digest):
        for market in page.names:
            await reconcile_market(service, ItemRequest(run=request.run, name=market, stacks=request.scope.stacks))
    return await finish_run(service, FinishRequest(request=request, digest=plan.digest))


def pins_of(bench: ServiceBench) -> PinSummary:
    (told,) = bench.telemetry.told
    assert told.summary
    assert told.summary.pins
    return told.summary.pins


async def test_a_run_tells_spread_loose_references_and_moved_tags_and_is_well(bench: ServiceBench) -> None:
    row = await run_through(bench)
    pins = pins_of(bench)
    assert (row.exit_status, row.problem_count) == (0, 0)
    (spread,) = pins.spread
    assert (spread.module, spread.newest, spread.stack_count, spread.moved_tag_count) == ("kv", "1.10.0", 3, 1)
    assert [(one.pinned_to, one.stacks, one.behind) for one in spread.versions] == [
        ("1.10.0", ("fr/network",), 0),
        ("1.2.0", ("de/network", "uk/network"), 1),
    ]
    assert f"{spread.versions[1].since:%Y-%m-%d}" == "2026-11-20"
    (loose,) = pins.loose
    assert (loose.source, loose.reason, loose.stacks) == (f"{SOURCE}?ref=main", "branch", ("de/network", "fr/network"))
    (moved,) = pins.moved_tags
    assert (moved.tag, {one.commit: one.stacks for one in moved.recorded}) == (
        "kv/v1.2.0",
        {OLD: ("de/network",), NEW: ("uk/network",)},
    )


@pytest.mark.parametrize("suffix", ["json", "md", "html"])
async def test_every_report_has_a_section_on_them(bench: ServiceBench, suffix: str) -> None:
    await run_through(bench)
    text = bench.reports.read(f"latest.{suffix}").replace("&#x2F;", "/")
    for said in ("kv/v1.2.0", "1.10.0", OLD[:12], "?ref=main"):
        assert said in text, said
    assert ("Module pins" in text) is (suffix != "json")


async def test_the_json_report_has_what_the_table_keeps(bench: ServiceBench) -> None:
    await run_through(bench)
    told = json.loads(bench.reports.read("latest.json"))["pins"]
    kept = bench.pins.kept(DAILY.run_id)
    assert kept
    assert told == kept.model_dump(mode="json")


async def test_an_estate_that_is_pinned_alike_has_no_section(bench: ServiceBench) -> None:
    for market in ("de", "fr", "uk"):
        put_tracker(bench.estate, market, "network", modules=[module("kv", "kv/v1.2.0", commit=OLD)])
    await run_through(bench)
    assert "Module pins" not in bench.reports.read("latest.md")
    assert [one.module for one in pins_of(bench).modules] == ["kv"]


async def test_a_run_over_a_part_of_the_estate_tells_none(bench: ServiceBench) -> None:
    await run_through(bench, Scope(markets=("de",)))
    (told,) = bench.telemetry.told
    assert told.summary
    assert told.summary.pins is None
    assert bench.pins.kept(DAILY.run_id) is None


NOW: Final = DAILY.started_at
REFUSED: Final = StoreUnavailableError("reconcilepins", "503 ServerBusy")


async def test_pins_that_cannot_be_kept_are_logged_and_cost_neither_report_nor_status(
    bench: ServiceBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.pins.refuse("save_pins", REFUSED)
    row = await run_through(bench)
    assert (row.exit_status, row.problem_count) == (0, 0)
    assert pins_of(bench).spread
    assert "Module pins" in bench.reports.read("latest.md")
    assert [record.name for record in caplog.records if DAILY.run_id in record.message] == ["reconcile.module_pins"]
    assert "reconcilepins: 503 ServerBusy" in caplog.text


async def test_on_a_terminal_pins_that_cannot_be_kept_leave_no_old_run_unpruned(bench: ServiceBench) -> None:
    old = Run.named_by(NOW - timedelta(days=900))
    runs, pins = MemoryRunStore(RunRow), MemoryPinStore()
    await runs.save_run(row=reconciled(old))
    pins.refuse("save_pins", REFUSED)
    reconciler = MarketReconciler(
        records=bench.service().records, results=None, run=Run.named_by(NOW), rules=RULES, clock=lambda: NOW
    )
    progress = RunProgress(on_markets=lambda _: None, on_outcome=lambda _: None)
    summary = await reconcile_estate(
        reconciler, kept_in=RunStores(runs=runs, pins=pins), wanted=(), width=2, progress=progress
    )
    assert (summary.exit_status, summary.problems) == (0, ())
    assert await runs.run(run_id=old.run_id) is None


def deployed(market: str, **call: Any) -> list[DeployedModule]:
    return [DeployedModule.model_validate({"market": market, "stack": "network", "name": "c"} | call)]


def test_a_range_is_one_reference_and_the_versions_that_it_came_to_are_its_spread() -> None:
    tally = PinTally()
    for market, version in (("de", "1.2.0"), ("fr", "1.9.3"), ("uk", "1.9.3")):
        tally.add(deployed(market, source="registry.terraform.io/a/b/c", constraint="~> 1.2", version=version))
    found = tally.summary()
    (loose,) = found.loose
    assert (loose.pinned_to, loose.stack_count) == ("~> 1.2", 3)
    assert loose_of(loose).startswith("version range, ~> 1.2: 3 stacks (de/network, ")
    (module,) = found.spread
    assert (module.newest, module.most_behind) == ("1.9.3", 1)
    assert [(one.pinned_to, one.stacks, one.behind, one.firmness) for one in module.versions] == [
        ("1.9.3", ("fr/network", "uk/network"), 0, "floating"),
        ("1.2.0", ("de/network",), 1, "floating"),
    ]


def test_a_branch_is_in_use_as_the_commits_that_were_deployed_of_it() -> None:
    tally = PinTally()
    for market, commit in (("de", OLD), ("fr", NEW), ("uk", NEW.upper())):
        tally.add(deployed(market, source=f"{SOURCE}?ref=main", commit=commit))
    (module,) = tally.summary().spread
    assert [(one.pinned_to, one.commit, one.stack_count) for one in module.versions] == [
        ("main", OLD, 1),
        ("main", NEW, 2),
    ]
    assert [version_of(one) for one in module.versions] == [f"main at {OLD[:12]}", f"main at {NEW[:12]}"]


async def test_an_end_that_is_delivered_twice_tells_the_same(bench: ServiceBench) -> None:
    await run_through(bench)
    first = bench.pins.kept(DAILY.run_id)
    await run_through(bench)
    assert bench.pins.kept(DAILY.run_id) == first


def test_a_tally_is_bounded_by_modules_and_the_same_in_whatever_order_markets_come() -> None:
    def deployed(number: int) -> list[DeployedModule]:
        return [
            DeployedModule(market=f"m{number:03d}", stack="s", name="kv", source=f"{SOURCE}?ref=kv/v1.0.0", commit=OLD),
            DeployedModule(market=f"m{number:03d}", stack="s", name="net", source=f"{SOURCE}?ref=main"),
        ]

    tallies = []
    for order in (range(100), reversed(range(100))):
        tally = PinTally()
        for number in order:
            tally.add(deployed(number))
        tallies.append(tally.summary())
    assert tallies[0] == tallies[1]
    (kv, net) = tallies[0].modules
    assert (kv.stack_count, len(kv.versions[0].stacks), kv.versions[0].stacks[0]) == (100, MOST_STACKS_NAMED, "m000/s")
    assert (net.loose_count, tallies[0].loose[0].stack_count, len(tallies[0].loose[0].stacks)) == (
        100,
        100,
        MOST_STACKS_NAMED,
    )


def test_two_modules_of_a_tag_and_two_firmnesses_of_a_version_are_told_alike_in_either_order() -> None:
    def deployed(market: str, commit: str, **changes: Any) -> list[DeployedModule]:
        registry = {"name": "r", "source": "registry.terraform.io/a/b/c", "version": "1.0.0", **changes}
        calls = [
            {"name": folder, "source": f"{SOURCE}//{folder}?ref=v1.0.0", "commit": commit} for folder in ("kv", "net")
        ]
        return [DeployedModule.model_validate({"market": market, "stack": "s", **call}) for call in (*calls, registry)]

    markets = [deployed("de", OLD, constraint="1.0.0"), deployed("fr", NEW)]
    told = []
    for order in (markets, markets[::-1]):
        tally = PinTally()
        for market in order:
            tally.add(market)
        told.append(tally.summary())
    assert told[0] == told[1]
    assert {one.module: (one.moved_tag_count, one.versions[0].firmness) for one in told[0].modules} == {
        "a/b/c": (0, "unknown"),
        "kv": (1, "hard"),
        "net": (1, "hard"),
    }
