"""What a run tells Azure Monitor, held to docs/telemetry.md, and that telling it costs nothing."""

import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from azure.core.settings import settings as azure_settings
from azure.core.tracing.ext.opentelemetry_span import OpenTelemetrySpan
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.run_telemetry import NoRunTelemetry, OpenTelemetryOfRuns
from adapters.settings import load_settings
from adapters.telemetry import configure_watchers
from records.report import Report
from records.runs import WHOLE_SCOPE, RunRow, Trigger
from records.verdicts import NEEDS_NOBODY
from tests.estates import entry, put_healthy_market, put_registry, put_state, put_tracker
from tests.service_world import DAILY, FUNCTION_KEY, SIX, ServiceWorld, open_service_world, run_daily
from tests.unit.report_samples import drifted, report
from tests.world.azurite import Azurite
from tests.world.durable import DurableFaults, DurableHub, RuntimeStatus
from tests.world.durable_http import SYSTEM_KEY, client_binding_json, serve_durable_http
from tests.world.state_blob import LockInfo, StateBlob

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8").partition("\n## Plan checks\n")[0]
"""The section left out is that of `tests.unit.test_check_telemetry`."""
MODULES: Final = "git::https://example.com/modules"
CANARY: Final = "canary-5a7f0c"
TRACE_ID: Final = "0af7651916cd43dd8448eb211c80319c"
HOST_SPAN_ID: Final = "b7ad6b7169203331"
EVENT_NAME: Final = "microsoft.custom_event.name"
TYPES: Final[dict[str, Any]] = {"text": str, "time": str, "whole number": int, "number": (int, float)}


@dataclass(slots=True)
class Watched:
    """All that this process emits."""

    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    logs: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def points(self) -> list[tuple[str, str, dict[str, Any], Any]]:
        data = self.reader.get_metrics_data()
        return [
            (metric.name, metric.unit or "", dict(point.attributes or {}), point)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def sums(self, metric: str, dimension: str) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for name, _, attributes, point in self.points():
            if name == metric:
                sums[attributes[dimension]] += point.value
        return dict(sums)

    def events(self, *names: str) -> list[dict[str, Any]]:
        attributes = [dict(one.log_record.attributes or {}) for one in self.logs.get_finished_logs()]
        return [one for one in attributes if EVENT_NAME in one and (not names or one[EVENT_NAME] in names)]

    def own_spans(self) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name.startswith("trueup.")]

    def everything(self) -> str:
        data = self.reader.get_metrics_data()
        logs = [one.to_json() for one in self.logs.get_finished_logs()]
        return "\n".join(
            [data.to_json() if data else "", *logs, *(span.to_json() for span in self.spans.get_finished_spans())]
        )


@contextmanager
def installed(
    monkeypatch: pytest.MonkeyPatch, reader: MetricReader, logs: LogRecordProcessor, spans: SpanExporter
) -> Iterator[None]:
    """The process's pipeline, set up as azure-monitor-opentelemetry does it."""
    tracers, loggers = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(logs)
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", tracers)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", meters)
    monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", loggers)
    monkeypatch.setenv("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "true")
    azure_settings.tracing_implementation.set_value(OpenTelemetrySpan)
    handler = LoggingHandler(logger_provider=loggers)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger("trueup.events").setLevel(logging.NOTSET)
        azure_settings.tracing_implementation.unset_value()
        for provider in (tracers, meters, loggers):
            provider.shutdown()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched()
    with installed(monkeypatch, watched.reader, SimpleLogRecordProcessor(watched.logs), watched.spans):
        yield watched


@pytest.fixture
async def world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch, watched: Watched) -> AsyncIterator[ServiceWorld]:
    async with open_service_world(azurite, monkeypatch) as opened:
        put_estate(opened)
        watched.spans.clear()
        yield opened


def put_estate(world: ServiceWorld) -> None:
    """Of each tier a drift, a deploy that runs, what cannot be read, and in every record what must not get out."""
    estate, lineage = world.estate, f"{CANARY}-lineage"
    told = {"release": CANARY, "commit": CANARY}
    serials = {"network": 44, "busy": 43, "app": 42}
    entries = {stack: entry("de", stack, lineage=lineage, **told) for stack in serials}
    entries["second"] = entry("de", "second", lineage=lineage, **told)
    entries["third"] = {"state": {"key": "de/third.tfstate"}, "deployed_at": "2020-01-01T00:00:00Z", **told}
    entries["secret"] = entry("de", "secret", lineage=lineage, **told)
    put_registry(estate, "de", entries, owner=CANARY, name=CANARY)
    for stack, serial in {**serials, "second": 43, "third": 5, "secret": 42}.items():
        put_state(estate, "de", stack, serial, lineage=lineage)
    for stack, serial in serials.items():
        url = f"https://example.com/{CANARY}"
        modules = [{"name": CANARY, "source": f"{MODULES}?ref=kv/v1.{serial}.0", "commit": CANARY}]
        put_tracker(
            estate,
            "de",
            stack,
            lineage=lineage,
            run_url=url,
            run_id=CANARY,
            deployed_by=CANARY,
            modules=modules,
            **told,
        )
    estate.put(estate.containers.trackers, "de/secret.json", f'{{"password": "{CANARY}"'.encode())
    lock = LockInfo.make(who=CANARY, created=SIX - timedelta(minutes=5))
    StateBlob(estate.service.get_blob_client(estate.containers.states, "de/busy.tfstate")).take_lock(lock)
    put_healthy_market(estate, "emea/fr")
    put_registry(estate, "es", {}, schema_version=CANARY)
    estate.put(estate.containers.registry, "uk/subscription.json", f"not JSON but {CANARY}".encode())
    estate.put(estate.containers.states, "left-behind.tfstate", CANARY.encode())


async def tell_everything(world: ServiceWorld) -> None:
    """A run of the day, one on demand that fails, and every question that HTTP can be asked."""
    hub = DurableHub(world.host)
    async with serve_durable_http(hub) as url:
        binding = client_binding_json(url)
        await world.host.tick(binding)
        await hub.run_until_idle()
        world.estate.service.delete_container(world.estate.containers.registry)
        await world.host.request("start_run", method="POST", path="reconcile", binding=binding)
        await hub.run_until_idle()
        await world.host.request("get_run", binding=binding, run_id=DAILY)
        await world.host.request("get_market", market="de")
        await world.host.request("get_health")


async def breaks(*_: Any, **__: Any) -> Any:
    raise ValueError(CANARY)


def documented(header: str) -> list[list[str]]:
    """The cells of the table of this header, without code marks."""
    rows = DOCUMENT.partition(f"| {header} |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert rows, header
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


class TestTheDocument:
    @pytest.fixture(autouse=True)
    async def _told(self, world: ServiceWorld, watched: Watched) -> None:
        await tell_everything(world)

    def test_has_each_metric_with_its_unit_and_dimensions(self, watched: Watched) -> None:
        told = {(name, unit, frozenset(attributes)) for name, unit, attributes, _ in watched.points()}
        rows = documented("metric | unit | dimensions | says")
        assert told == {(name, unit, frozenset(dimensions.split(", "))) for name, unit, dimensions, _ in rows}

    def test_has_each_event_with_its_attributes_and_their_types(self, watched: Watched) -> None:
        types = {(row[0], row[1]): row[2] for row in documented("event | attribute | type | says")}
        told = [(one.pop(EVENT_NAME), one) for one in watched.events()]
        assert {(event, attribute) for event, attributes in told for attribute in attributes} == types.keys()
        for event, attributes in told:
            for attribute, value in attributes.items():
                kind = types[event, attribute]
                assert isinstance(value, TYPES[kind]), attribute
                assert kind != "time" or datetime.fromisoformat(value).tzinfo, attribute

    def test_has_each_span_with_its_attributes(self, watched: Watched) -> None:
        told = {(span.name, frozenset(span.attributes or {})) for span in watched.own_spans()}
        rows = documented("span | attributes | is")
        assert told == {(name, frozenset(filter(None, attributes.split(", ")))) for name, attributes, _ in rows}

    def test_has_each_logger_of_the_code(self) -> None:
        modules = [
            file for layer in ("records", "answering", "reconcile", "adapters") for file in (ROOT / layer).rglob("*.py")
        ]
        names = [
            file.relative_to(ROOT).with_suffix("")
            for file in modules
            if "getLogger(__name__)" in file.read_text(encoding="utf-8")
        ]
        loggers = {row[0] for row in documented("logger | from level | tells")}
        assert loggers == {"trueup.events", "azure and below", *(".".join(name.parts) for name in names)}


class TestARun:
    async def test_is_told_in_the_numbers_of_its_report(self, world: ServiceWorld, watched: Watched) -> None:
        await run_daily(world, DurableHub(world.host))
        told = json.loads(world.report(f"{DAILY}.json"))
        results = told["results"]
        tiers = Counter("none" if one["tier"] is None else str(one["tier"]) for one in results)
        assert watched.sums("trueup.stacks", "trueup.verdict") == told["counts"]
        assert watched.sums("trueup.stacks", "trueup.tier") == tiers == {"1": 5, "2": 1, "3": 1, "none": 1}
        assert watched.sums("trueup.stacks", "trueup.market") == Counter(one["market"] for one in results)
        assert watched.sums("trueup.markets.expected", "trueup.run.status") == {"finished": 4}
        assert (
            watched.sums("trueup.markets.checked", "trueup.run.trigger") == {"timer": told["markets"]} == {"timer": 4}
        )
        assert watched.sums("trueup.markets.unread", "trueup.run.status") == {"finished": 2}
        [run] = watched.events("trueup.run")
        assert (run["trueup.run.id"], run["trueup.run.exit_status"]) == (DAILY, 2)
        assert (run["trueup.run.stacks"], run["trueup.run.unregistered_states"]) == (len(results), 1)
        assert watched.events()[-1] == run

    async def test_is_told_an_event_for_each_disagreement_and_problem(
        self, world: ServiceWorld, watched: Watched
    ) -> None:
        await run_daily(world, DurableHub(world.host))
        told = json.loads(world.report(f"{DAILY}.json"))
        disagreements = [one for one in told["results"] if one["verdict"] not in NEEDS_NOBODY]
        fields = ("market", "stack", "verdict", "masked_verdict", "severity", "odd_one_out", "serial_delta")
        assert [
            tuple(event.get(f"trueup.{name}") for name in fields) for event in watched.events("trueup.disagreement")
        ] == [tuple(one[name] for name in fields) for one in disagreements]
        assert {one["masked_verdict"] for one in disagreements} == {None, "pipeline_drift"}
        assert [
            (event["trueup.market"], event["trueup.problem.code"], event.get("trueup.problem.field"))
            for event in watched.events("trueup.problem")
        ] == [(one["market"], one["code"], one["field"]) for one in told["problems"]]
        [run] = watched.events("trueup.run")
        counts = (run["trueup.run.disagreements"], run["trueup.run.problems"])
        assert counts == (len(disagreements), len(told["problems"])) == (5, 2)

    async def test_is_told_an_event_and_a_count_for_each_module(self, world: ServiceWorld, watched: Watched) -> None:
        await run_daily(world, DurableHub(world.host))
        [told] = watched.events("trueup.module_pin")
        del told[EVENT_NAME]
        assert told == {
            "trueup.run.id": DAILY,
            "trueup.module": "kv",
            "trueup.module.package": "example.com/modules",
            "trueup.module.versions": 3,
            "trueup.module.newest": "1.44.0",
            "trueup.module.stacks_using": 3,
            "trueup.module.most_behind": 2,
            "trueup.module.loose": 0,
            "trueup.module.moved_tags": 0,
        }
        assert watched.sums("trueup.module.stacks", "trueup.module.pinned_to") == {
            "1.42.0": 1,
            "1.43.0": 1,
            "1.44.0": 1,
        }
        assert watched.sums("trueup.module.stacks", "trueup.module.package") == {"example.com/modules": 3}
        [run] = watched.events("trueup.run")
        assert run["trueup.run.modules"] == 1

    @pytest.mark.parametrize(("step", "status", "expected"), [("finish_run", "finished", 4), ("fail_run", "failed", 0)])
    async def test_is_told_once_when_its_end_is_delivered_twice(
        self, world: ServiceWorld, watched: Watched, step: str, status: str, expected: int
    ) -> None:
        faults = DurableFaults()
        faults.deliver_twice(step)
        if status == "failed":
            world.estate.service.delete_container(world.estate.containers.registry)
        await run_daily(world, DurableHub(world.host, faults=faults))
        assert [run["trueup.run.status"] for run in watched.events("trueup.run")] == [status]
        assert watched.sums("trueup.markets.expected", "trueup.run.status") == {status: expected}

    async def test_tells_nothing_that_a_record_holds(
        self, world: ServiceWorld, watched: Watched, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        await tell_everything(world)
        assert CANARY in world.report(f"{DAILY}.json").decode()
        told = watched.everything() + caplog.text
        for secret in (CANARY, world.azurite.account_key, SYSTEM_KEY, FUNCTION_KEY, "sig="):
            assert secret not in told

    @pytest.mark.parametrize(
        ("place", "status", "descriptions"),
        [
            pytest.param("service.planning.registered_markets", "failed", {None, "ValueError"}, id="in the listing"),
            pytest.param("market.MarketReconciler.reconcile", "finished", {None}, id="in each market"),
        ],
    )
    async def test_that_breaks_tells_the_type_of_its_error_and_not_its_text(
        self,
        world: ServiceWorld,
        watched: Watched,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
        status: str,
        descriptions: set[str | None],
    ) -> None:
        monkeypatch.setattr(f"reconcile.{place}", breaks)
        await run_daily(world, DurableHub(world.host))
        assert [run["trueup.run.status"] for run in watched.events("trueup.run")] == [status]
        assert {span.status.description for span in watched.own_spans()} == descriptions
        assert "ValueError" in watched.everything()
        assert CANARY not in watched.everything() + caplog.text

    async def test_is_one_trace_from_the_timer_to_each_blob(self, world: ServiceWorld, watched: Watched) -> None:
        hub = DurableHub(world.host)
        async with serve_durable_http(hub) as url:
            await world.host.tick(client_binding_json(url), traceparent=f"00-{TRACE_ID}-{HOST_SPAN_ID}-01")
            await hub.run_until_idle()
        spans = watched.spans.get_finished_spans()
        assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {TRACE_ID}
        [tick] = [span for span in spans if span.name == "trueup.reconcile_daily"]
        assert tick.parent is not None
        assert tick.context is not None
        assert f"{tick.parent.span_id:016x}" == HOST_SPAN_ID
        started = next(event for event in hub.history(DAILY) if "ParentTraceContext" in event)
        assert started["ParentTraceContext"]["TraceParent"] == f"00-{TRACE_ID}-{tick.context.span_id:016x}-01"
        by_id = {span.context.span_id: span for span in spans if span.context}
        reads = [span for span in spans if "/de/network.tfstate" in str((span.attributes or {}).get("url.full"))]
        assert {span.name for span in reads} == {"GET"}
        for read in reads:
            assert read.parent is not None
            call = by_id[read.parent.span_id]
            assert call.parent is not None
            activity = by_id[call.parent.span_id]
            assert (call.name, activity.name) == ("BlobClient.download_blob", "trueup.reconcile_market")
            assert (activity.attributes or {})["trueup.market"] == "de"


PROBE: Final = """
import json, logging, sys, threading
from logging.handlers import BufferingHandler
seen = BufferingHandler(1000)
logging.getLogger().addHandler(seen)
import function_app
warnings = [one.getMessage() for one in seen.buffer if one.levelno >= logging.WARNING]
is_there = "azure.monitor.opentelemetry" in sys.modules
print(json.dumps([type(function_app.watchers.runs).__name__, warnings, threading.active_count(), is_there]))
"""
STRING: Final = "APPLICATIONINSIGHTS_CONNECTION_STRING"
BY_THE_WORKER: Final = "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"


class TestWithoutAWatcher:
    @pytest.mark.parametrize(
        ("environment", "telemetry", "warnings", "is_imported"),
        [
            pytest.param({}, "NoRunTelemetry", [], False, id="nowhere to send it"),
            pytest.param(
                {STRING: f"InstrumentationKey={CANARY}"},
                "NoRunTelemetry",
                ["no telemetry: Azure Monitor cannot be configured (ValueError)"],
                True,
                id="a malformed connection string",
            ),
            pytest.param(
                {STRING: CANARY, BY_THE_WORKER: "true"}, "OpenTelemetryOfRuns", [], False, id="the worker's pipeline"
            ),
        ],
    )
    def test_the_app_is_imported(
        self, environment: dict[str, str], telemetry: str, warnings: list[str], is_imported: bool
    ) -> None:
        # Without the control plane, which would be asked for over the network.
        inherited = {name: value for name, value in os.environ.items() if "APPLICATIONINSIGHTS" not in name}
        environment = inherited | environment | {"APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true"}
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        assert json.loads(probe.stdout) == [telemetry, warnings, 1, is_imported]
        assert CANARY not in probe.stderr.decode()

    @pytest.mark.parametrize("is_the_worker_s", [False, True])
    def test_the_pipeline_is_configured_by_us_unless_the_worker_does(
        self, monkeypatch: pytest.MonkeyPatch, is_the_worker_s: bool
    ) -> None:
        asked: list[dict[str, Any]] = []
        distribution = SimpleNamespace(configure_azure_monitor=lambda **options: asked.append(options))
        monkeypatch.setitem(sys.modules, "azure.monitor.opentelemetry", distribution)
        monkeypatch.setenv(STRING, "InstrumentationKey=key")
        monkeypatch.setenv(BY_THE_WORKER, str(is_the_worker_s))
        assert isinstance(configure_watchers(load_settings()).runs, OpenTelemetryOfRuns)
        options = {"connection_string": "InstrumentationKey=key", "enable_live_metrics": False}
        assert asked == ([] if is_the_worker_s else [options])

    async def test_exporters_that_raise_cost_a_run_nothing(
        self, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[type[object]] = []

        def raises(exporter: object, *_: Any, **__: Any) -> None:
            asked.append(type(exporter))
            raise RuntimeError

        exporters = (ConsoleMetricExporter, InMemoryLogRecordExporter, InMemorySpanExporter)
        for exporter in exporters:
            monkeypatch.setattr(exporter, "export", raises)
        reader = PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=math.inf)
        watched = Watched()
        with installed(monkeypatch, reader, SimpleLogRecordProcessor(watched.logs), watched.spans):
            async with open_service_world(azurite, monkeypatch) as world:
                put_estate(world)
                hub = DurableHub(world.host)
                await run_daily(world, hub)
                assert (await hub.run(DAILY)).runtime_status is RuntimeStatus.COMPLETED
                assert json.loads(world.report(f"{DAILY}.json"))["markets"] == 4
        assert set(asked) == set(exporters)

    async def test_a_handler_that_raises_costs_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        events = logging.Logger("events")
        events.addHandler(BreakingHandler())
        row = row_of(drifts(1))
        await OpenTelemetryOfRuns(events=events).run_ended(row=row, report=drifts(1))
        assert caplog.messages == [f"telemetry of run {row.run_id} is not whole: RuntimeError"]

    async def test_what_does_not_take_it_is_waited_for_no_longer_than_the_limit(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        released = threading.Event()
        monkeypatch.setattr("adapters.telemetry_events._FLUSH_LIMIT_SECONDS", 0.5)
        monkeypatch.setattr(
            "opentelemetry._logs._internal._LOGGER_PROVIDER", SimpleNamespace(force_flush=released.wait)
        )
        told = drifts(5_000)
        row, started = row_of(told), time.monotonic()
        await OpenTelemetryOfRuns(events=logging.Logger("events")).run_ended(row=row, report=told)
        # Once while it tells, and once at its end: not for each thousand of events.
        assert 1.0 <= time.monotonic() - started < 2.5
        released.set()
        assert caplog.messages == [f"telemetry of run {row.run_id} has not left within 0.5 s"]

    async def test_what_is_slow_to_take_it_gets_every_event_of_thousands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        watched = Watched()
        export = watched.logs.export

        def export_slowly(batch: Any) -> Any:
            time.sleep(0.3)
            return export(batch)

        monkeypatch.setattr(watched.logs, "export", export_slowly)
        queue = BatchLogRecordProcessor(watched.logs, max_queue_size=1_024, max_export_batch_size=1_024)
        with installed(monkeypatch, watched.reader, queue, watched.spans):
            await OpenTelemetryOfRuns().run_ended(row=row_of(drifts(1)), report=drifts(4_000))
            told = [event[EVENT_NAME] for event in watched.events()]
        assert told == ["trueup.disagreement"] * 4_000 + ["trueup.run"]

    async def test_no_telemetry_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        await NoRunTelemetry().run_ended(row=row_of(drifts(1)), report=drifts(1))
        assert caplog.messages == []


class BreakingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError(CANARY)


def drifts(count: int) -> Report:
    return report([drifted("de", f"stack-{number:05d}") for number in range(count)])


def row_of(told: Report) -> RunRow:
    return told.summary.row(trigger=Trigger.TIMER, scope=WHOLE_SCOPE, expected_markets=1)
