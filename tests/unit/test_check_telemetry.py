"""What a run of plan checks tells Azure Monitor, held to docs/telemetry.md, and that telling it costs nothing."""

import json
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
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

from adapters import telemetry_names
from adapters.check_telemetry import NoCheckTelemetry, OpenTelemetryOfChecks
from adapters.heal_telemetry import NoHealTelemetry, OpenTelemetryOfHeals
from adapters.run_telemetry import NoRunTelemetry, OpenTelemetryOfRuns
from adapters.settings import Settings
from adapters.telemetry import configure_watchers
from records.faults import FaultCode, RecordKind
from records.findings import AttributeChange, Finding, FindingKind
from records.plan_checks import CheckRunRow, Decision, HoldReason, StackCheck
from records.report import Problem
from records.runs import RunStatus, Scope, Trigger
from records.verdicts import Verdict

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
OF_RECONCILING, _, OF_PORTAL_DRIFT = DOCUMENT.partition("\n## Plan checks\n")
OF_CHECKS, _, OF_HEALS = OF_PORTAL_DRIFT.partition("\n## Heals\n")
METRICS: Final = "metric | unit | dimensions | says"
EVENTS: Final = "event | attribute | type | says"
LOGS: Final = "logger | from level | tells"
EVENT_NAME: Final = "microsoft.custom_event.name"
TYPES: Final[dict[str, Any]] = {"text": str, "time": str, "whole number": int, "number": (int, float)}
CANARY: Final = "canary-5a7f0c"
SIX: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
FINGERPRINT: Final = "f1" * 32
JOB: Final = "0b" * 32
GROUP: Final = "azurerm_network_security_group"
SHARED: Final = {"trueup.market", "trueup.stack", "trueup.subscription_id"}


@dataclass(slots=True)
class Watched:
    """All that this process emits."""

    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    logs: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)

    def points(self) -> list[tuple[str, str, dict[str, Any], Any]]:
        data = self.reader.get_metrics_data()
        return [
            (metric.name, metric.unit or "", dict(point.attributes or {}), point)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def values(self) -> dict[tuple[str, ...], int]:
        """Of each counter and combination of its dimensions, these in the order of their names."""
        return {
            (name, *(value for _, value in sorted(dimensions.items()))): point.value
            for name, _, dimensions, point in self.points()
            if name != "trueup.plan_run.duration"
        }

    def events(self, *names: str) -> list[dict[str, Any]]:
        attributes = [dict(one.log_record.attributes or {}) for one in self.logs.get_finished_logs()]
        return [one for one in attributes if EVENT_NAME in one and (not names or one[EVENT_NAME] in names)]

    def everything(self) -> str:
        data = self.reader.get_metrics_data()
        return "\n".join([data.to_json() if data else "", *(one.to_json() for one in self.logs.get_finished_logs())])


@contextmanager
def installed(monkeypatch: pytest.MonkeyPatch, reader: MetricReader, logs: LogRecordProcessor) -> Iterator[None]:
    """The process's pipeline, set up as azure-monitor-opentelemetry does it."""
    loggers, meters = LoggerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    loggers.add_log_record_processor(logs)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", meters)
    monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", loggers)
    handler = LoggingHandler(logger_provider=loggers)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger("trueup.events").setLevel(logging.NOTSET)
        for provider in (meters, loggers):
            provider.shutdown()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched()
    with installed(monkeypatch, watched.reader, SimpleLogRecordProcessor(watched.logs)):
        yield watched


def finding(address: str, kind: FindingKind = FindingKind.PORTAL_DRIFT, **given: Any) -> Finding:
    """One whose attributes, and what else is not to be told, hold what must not get out."""
    usual: dict[str, Any] = {
        "address": address,
        "type": address.split(".", maxsplit=1)[0],
        "kind": kind,
        "actions": ("update",),
        "destructive": False,
        "attributes": (
            AttributeChange(path="security_rule[0].access", before=CANARY, after={"of": [CANARY]}),
            AttributeChange(path=f'tags["{CANARY}"]', sensitive=True),
        ),
        "resource_id": f"/subscriptions/{CANARY}",
    }
    return Finding(**usual | given)


def check(market: str, stack: str, decision: Decision, reason: HoldReason | None = None, **given: Any) -> StackCheck:
    usual: dict[str, Any] = {
        "market": market,
        "stack": stack,
        "decision": decision,
        "reason": reason,
        "why": CANARY,
        "verdict": Verdict.HEALTHY,
        "lineage": CANARY,
        "serial": 42,
        "bundle_sha256": CANARY,
        "subscription_id": "5f0a9c1e-6c1b-4df5-93ab-0f2b7a4c9d11",
        "checked_at": SIX,
        "diagnostics": (CANARY,),
    }
    return StackCheck(**usual | given)


def run_row(checks: list[StackCheck] | None = None, **given: Any) -> CheckRunRow:
    checks = checks or []
    usual: dict[str, Any] = {
        "run_id": "drift-2026-11-25",
        "started_at": SIX,
        "finished_at": SIX + timedelta(minutes=25),
        "trigger": Trigger.TIMER,
        "expected_stacks": len(checks),
        "checked_stacks": len(checks),
        "counts": Counter(one.decision for one in checks),
    }
    return CheckRunRow(**usual | given)


ALICE: Final[dict[str, Any]] = {
    "changed_by": "alice@example.com",
    "changed_at": SIX - timedelta(hours=3),
    "client": "Azure Portal",
}
BOB: Final[dict[str, Any]] = {
    "changed_by": "bob@example.com",
    "changed_at": SIX - timedelta(hours=2),
    "client": "Azure CLI",
}
HEALED: Final = check(
    "de",
    "network",
    Decision.HEAL,
    job_id=JOB,
    fingerprint=FINGERPRINT,
    findings=(
        finding(f'{GROUP}.of["a,b"]', **BOB),
        finding(f"{GROUP}.hub", **ALICE),
        finding("azurerm_subnet.hub"),
        finding("azurerm_public_ip.stale", FindingKind.STALE_STATE, changed_at=SIX, client="Azure Policy"),
    ),
)
HELD: Final = check(
    "emea/fr",
    "app",
    Decision.HOLD,
    HoldReason.UNSAFE,
    verdict=Verdict.PIPELINE_DRIFT,
    findings=(
        finding("azurerm_a.gone", actions=("delete", "create"), destructive=True),
        finding("azurerm_b.later", FindingKind.PENDING_CHANGE),
        finding("azurerm_c.both", FindingKind.MIXED),
        finding("azurerm_d.odd", FindingKind.UNSAFE, actions=("forget",)),
    ),
)
UNPLANNED: Final = check(
    "emea/fr", "data", Decision.HOLD, HoldReason.INCONCLUSIVE, verdict=None, serial=None, subscription_id=None
)
CLEAN: Final = [check("de", stack, Decision.CLEAN) for stack in ("dns", "vpn")]
CHECKS: Final = [*CLEAN, HEALED, HELD, UNPLANNED]
PROBLEM: Final = Problem(
    market="es",
    code=FaultCode.INVALID_FIELD,
    record=RecordKind.REGISTRY,
    blob="es/subscription.json",
    field="stacks.app.serial",
    message=CANARY,
    remedy=CANARY,
)
RUN: Final = run_row(
    CHECKS,
    expected_stacks=6,
    unplanned_stacks=1,
    holds={HoldReason.UNSAFE: 1, HoldReason.INCONCLUSIVE: 1},
    queued_jobs=1,
    problem_count=1,
)
FAILED: Final = run_row(
    run_id="drift-failed",
    status=RunStatus.FAILED,
    trigger=Trigger.HTTP,
    scope=Scope(markets=("de",)),
    expected_stacks=None,
    reason=CANARY,
)


async def tell_everything() -> None:
    telemetry = OpenTelemetryOfChecks()
    await telemetry.checks_ended(row=RUN, checks=iter(CHECKS), problems=[PROBLEM])
    await telemetry.checks_ended(row=FAILED, checks=(), problems=())


def documented(text: str, header: str) -> list[list[str]]:
    """The cells of the table of this header, without code marks."""
    rows = text.partition(f"| {header} |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert rows, header
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


class TestTheDocument:
    async def test_has_each_metric_with_its_unit_and_dimensions(self, watched: Watched) -> None:
        await tell_everything()
        told = {(name, unit, frozenset(attributes)) for name, unit, attributes, _ in watched.points()}
        rows = documented(OF_CHECKS, METRICS)
        assert told == {(name, unit, frozenset(dimensions.split(", "))) for name, unit, dimensions, _ in rows}

    async def test_has_each_event_with_its_attributes_and_their_types(self, watched: Watched) -> None:
        await tell_everything()
        types = {(row[0], row[1]): row[2] for row in documented(OF_CHECKS, EVENTS)}
        told = [(one.pop(EVENT_NAME), one) for one in watched.events()]
        assert {(event, attribute) for event, attributes in told for attribute in attributes} == types.keys()
        for event, attributes in told:
            for attribute, value in attributes.items():
                kind = types[event, attribute]
                assert isinstance(value, TYPES[kind]), attribute
                assert kind != "time" or datetime.fromisoformat(value).tzinfo, attribute

    def test_shares_no_name_with_reconciling_but_those_of_a_stack(self) -> None:
        def names_in(text: str) -> set[str]:
            told = {name for row in documented(text, METRICS) for name in (row[0], *row[2].split(", "))}
            return told | {name for row in documented(text, EVENTS) for name in row[:2]}

        assert names_in(OF_RECONCILING) & names_in(OF_CHECKS) == SHARED

    def test_has_each_logger_of_the_code(self) -> None:
        loggers = {
            ".".join(file.relative_to(ROOT).with_suffix("").parts)
            for file in (ROOT / "drift").rglob("*.py")
            if "getLogger(__name__)" in file.read_text(encoding="utf-8")
        }
        of_heals = {row[0] for row in documented(OF_HEALS, LOGS)}
        assert {row[0] for row in documented(OF_CHECKS, LOGS)} | of_heals == loggers

    def test_has_every_name_of_the_code(self) -> None:
        names = {name for name in vars(telemetry_names).values() if isinstance(name, str) and "trueup." in name}
        names |= set(telemetry_names.PLAN_CHECK_FINDINGS_OF_KIND.values())
        assert {name for name in names if f"`{name}`" not in DOCUMENT} == {telemetry_names.SPAN_PREFIX}
        assert set(telemetry_names.PLAN_CHECK_FINDINGS_OF_KIND) == set(FindingKind)


class TestARun:
    async def test_is_told_in_counters(self, watched: Watched) -> None:
        await tell_everything()
        assert watched.values() == {
            ("trueup.plan_checks", "de", "clean", "none"): 2,
            ("trueup.plan_checks", "de", "heal", "none"): 1,
            ("trueup.plan_checks", "emea/fr", "hold", "unsafe"): 1,
            ("trueup.plan_checks", "emea/fr", "hold", "inconclusive"): 1,
            ("trueup.plan_stacks.expected", "finished", "timer"): 6,
            ("trueup.plan_stacks.expected", "failed", "http"): 0,
            ("trueup.plan_stacks.checked", "finished", "timer"): 5,
            ("trueup.plan_stacks.checked", "failed", "http"): 0,
            ("trueup.plan_stacks.unplanned", "finished", "timer"): 1,
            ("trueup.plan_stacks.unplanned", "failed", "http"): 0,
            ("trueup.heals.queued", "finished", "timer"): 1,
            ("trueup.heals.queued", "failed", "http"): 0,
        }

    async def test_is_told_how_long_it_took(self, watched: Watched) -> None:
        telemetry = OpenTelemetryOfChecks()
        await telemetry.checks_ended(row=RUN, checks=(), problems=())
        await telemetry.checks_ended(row=run_row(finished_at=None), checks=(), problems=())
        [point] = [point for name, _, _, point in watched.points() if name == "trueup.plan_run.duration"]
        assert (point.count, point.sum) == (1, 25 * 60)

    async def test_is_told_last_and_in_the_numbers_of_its_row(self, watched: Watched) -> None:
        await OpenTelemetryOfChecks().checks_ended(row=RUN, checks=CHECKS, problems=[PROBLEM])
        assert [event[EVENT_NAME] for event in watched.events()] == [
            *["trueup.portal_drift"] * 3,
            "trueup.plan_problem",
            "trueup.plan_run",
        ]
        assert watched.events()[-1] == {
            EVENT_NAME: "trueup.plan_run",
            "trueup.plan_run.id": "drift-2026-11-25",
            "trueup.plan_run.status": "finished",
            "trueup.plan_run.trigger": "timer",
            "trueup.plan_run.scope": "whole_estate",
            "trueup.plan_run.started_at": "2026-11-25T06:00:00Z",
            "trueup.plan_run.finished_at": "2026-11-25T06:25:00Z",
            "trueup.plan_run.duration_seconds": 1500.0,
            "trueup.plan_run.exit_status": 2,
            "trueup.plan_run.stacks_expected": 6,
            "trueup.plan_run.stacks_checked": 5,
            "trueup.plan_run.stacks_unplanned": 1,
            "trueup.plan_run.stacks_clean": 2,
            "trueup.plan_run.stacks_to_heal": 1,
            "trueup.plan_run.stacks_held": 2,
            "trueup.plan_run.heals_queued": 1,
            "trueup.plan_run.problems": 1,
        }

    async def test_that_failed_tells_nothing_of_the_estate(self, watched: Watched) -> None:
        await OpenTelemetryOfChecks().checks_ended(row=FAILED, checks=(), problems=())
        [run] = watched.events()
        assert (run["trueup.plan_run.status"], run["trueup.plan_run.exit_status"]) == ("failed", 1)
        assert run["trueup.plan_run.scope"] == "part"
        unknown = ("expected", "unplanned", "clean", "to_heal", "held")
        assert run.keys().isdisjoint(f"trueup.plan_run.stacks_{name}" for name in unknown)

    async def test_tells_what_its_problem_is_and_not_its_text(self, watched: Watched) -> None:
        await tell_everything()
        assert watched.events("trueup.plan_problem") == [
            {
                EVENT_NAME: "trueup.plan_problem",
                "trueup.plan_run.id": "drift-2026-11-25",
                "trueup.market": "es",
                "trueup.plan_problem.record": "registry",
                "trueup.plan_problem.code": "invalid_field",
                "trueup.plan_problem.blob": "es/subscription.json",
                "trueup.plan_problem.field": "stacks.app.serial",
            }
        ]

    async def test_tells_no_value_of_a_resource(self, watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        await tell_everything()
        assert all(CANARY in json.dumps(one.model_dump(mode="json")) for one in (*CHECKS, PROBLEM, FAILED))
        told = watched.everything() + caplog.text
        assert FINGERPRINT in told
        assert CANARY not in told
        assert "security_rule" not in told


class TestAStack:
    async def told(self, watched: Watched, one: StackCheck) -> dict[str, Any]:
        await OpenTelemetryOfChecks().checks_ended(row=run_row([one]), checks=[one], problems=())
        [event] = watched.events("trueup.portal_drift")
        return event

    async def test_to_be_healed(self, watched: Watched) -> None:
        assert await self.told(watched, HEALED) == {
            EVENT_NAME: "trueup.portal_drift",
            "trueup.plan_run.id": "drift-2026-11-25",
            "trueup.market": "de",
            "trueup.stack": "network",
            "trueup.subscription_id": "5f0a9c1e-6c1b-4df5-93ab-0f2b7a4c9d11",
            "trueup.plan_check.decision": "heal",
            "trueup.plan_check.job_id": JOB,
            "trueup.plan_check.fingerprint": FINGERPRINT,
            "trueup.plan_check.verdict": "healthy",
            "trueup.plan_check.serial": 42,
            "trueup.plan_check.findings": 4,
            "trueup.plan_check.findings_portal_drift": 3,
            "trueup.plan_check.findings_stale_state": 1,
            "trueup.plan_check.findings_pending_change": 0,
            "trueup.plan_check.findings_mixed": 0,
            "trueup.plan_check.findings_unsafe": 0,
            "trueup.plan_check.findings_destructive": 0,
            "trueup.plan_check.resource_types": f"{GROUP},azurerm_subnet",
            "trueup.plan_check.addresses": f'{GROUP}.hub\n{GROUP}.of["a,b"]\nazurerm_subnet.hub',
            "trueup.plan_check.changed_by": "bob@example.com",
            "trueup.plan_check.changed_at": "2026-11-25T04:00:00Z",
            "trueup.plan_check.client": "Azure CLI",
        }

    async def test_held_tells_each_kind_of_its_findings(self, watched: Watched) -> None:
        told = await self.told(watched, HELD)
        kinds = ("portal_drift", "stale_state", "pending_change", "mixed", "unsafe", "destructive")
        assert [told[f"trueup.plan_check.findings_{kind}"] for kind in kinds] == [1, 0, 1, 1, 1, 1]
        assert (told["trueup.plan_check.decision"], told["trueup.plan_check.reason"]) == ("hold", "unsafe")
        assert told["trueup.plan_check.verdict"] == "pipeline_drift"
        assert "trueup.plan_check.changed_by" not in told

    async def test_without_a_plan_tells_no_number_of_findings(self, watched: Watched) -> None:
        told = await self.told(watched, UNPLANNED)
        assert told == {
            EVENT_NAME: "trueup.portal_drift",
            "trueup.plan_run.id": "drift-2026-11-25",
            "trueup.market": "emea/fr",
            "trueup.stack": "data",
            "trueup.plan_check.decision": "hold",
            "trueup.plan_check.reason": "inconclusive",
        }

    async def test_inconclusive_for_its_policy_tells_what_its_plan_shows(self, watched: Watched) -> None:
        one = check("de", "app", Decision.HOLD, HoldReason.INCONCLUSIVE, findings=HELD.findings)
        assert (await self.told(watched, one))["trueup.plan_check.findings"] == 4

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            pytest.param([{}, {"changed_at": SIX}], (None, None, None), id="of none is anything known"),
            pytest.param([ALICE, {}, BOB], tuple(BOB.values()), id="the newest is told"),
            pytest.param([{"changed_by": "eve"}, ALICE], tuple(ALICE.values()), id="a known time before none"),
            pytest.param([{"client": "Azure Policy"}], (None, None, "Azure Policy"), id="what is known is told"),
        ],
    )
    async def test_tells_its_newest_change(
        self, watched: Watched, changes: list[dict[str, Any]], told: tuple[str | datetime | None, ...]
    ) -> None:
        findings = tuple(finding(f"azurerm_a.{place}", **change) for place, change in enumerate(changes))
        event = await self.told(watched, check("de", "app", Decision.HEAL, findings=findings))
        by, at, client = (event.get(f"trueup.plan_check.{name}") for name in ("changed_by", "changed_at", "client"))
        assert (by, at and datetime.fromisoformat(at), client) == told

    async def test_of_any_size_tells_what_azure_monitor_takes(self, watched: Watched) -> None:
        findings = tuple(finding(f"azurerm_{place:03}.{'x' * 9_000}", changed_by="b" * 9_000) for place in range(400))
        told = await self.told(watched, check("de", "app", Decision.HEAL, findings=(*findings, *findings)))
        addresses = told["trueup.plan_check.addresses"].split("\n")
        assert [address[:12] for address in addresses] == [*(f"azurerm_{place:03}." for place in range(10)), "…"]
        assert told["trueup.plan_check.resource_types"].split(",")[-2:] == ["azurerm_009", "…"]
        assert told["trueup.plan_check.findings"] == 800
        assert max(len(value) for value in told.values() if isinstance(value, str)) < 8_192


class BreakingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError(CANARY)


def held(count: int) -> list[StackCheck]:
    return [HELD.model_copy(update={"stack": f"stack-{number:05d}"}) for number in range(count)]


class TestThatItCostsNothing:
    async def test_exporters_that_raise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[type[object]] = []

        def raises(exporter: object, *_: Any, **__: Any) -> None:
            asked.append(type(exporter))
            raise RuntimeError(CANARY)

        exporters = (ConsoleMetricExporter, InMemoryLogRecordExporter)
        for exporter in exporters:
            monkeypatch.setattr(exporter, "export", raises)
        reader = PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=math.inf)
        with installed(monkeypatch, reader, SimpleLogRecordProcessor(Watched().logs)):
            await OpenTelemetryOfChecks().checks_ended(row=RUN, checks=CHECKS, problems=[PROBLEM])
        assert set(asked) == set(exporters)

    async def test_a_handler_that_raises_costs_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        events = logging.Logger("events")
        events.addHandler(BreakingHandler())
        await OpenTelemetryOfChecks(events=events).checks_ended(row=RUN, checks=CHECKS, problems=())
        assert caplog.messages == [f"telemetry of run {RUN.run_id} is not whole: RuntimeError"]

    async def test_a_pipeline_that_breaks_as_it_is_emptied_costs_a_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def breaks() -> None:
            raise RuntimeError(CANARY)

        monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", SimpleNamespace(force_flush=breaks))
        await OpenTelemetryOfChecks(events=logging.Logger("events")).checks_ended(row=RUN, checks=(), problems=())
        assert caplog.messages == ["telemetry cannot leave: RuntimeError"]

    async def test_what_does_not_take_it_is_waited_for_no_longer_than_the_limit(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        released = threading.Event()
        monkeypatch.setattr("adapters.telemetry_events._FLUSH_LIMIT_SECONDS", 0.3)
        monkeypatch.setattr(
            "opentelemetry._logs._internal._LOGGER_PROVIDER", SimpleNamespace(force_flush=released.wait)
        )
        telemetry, started = OpenTelemetryOfChecks(events=logging.Logger("events")), time.monotonic()
        await telemetry.checks_ended(row=RUN, checks=held(5_000), problems=())
        # Once while it tells, and once at its end: not for each thousand of events.
        assert 0.6 <= time.monotonic() - started < 2.0
        released.set()
        assert caplog.messages == [f"telemetry of run {RUN.run_id} has not left within 0.3 s"]

    async def test_every_one_of_thousands_arrives_where_the_queue_is_short(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched, export = Watched(), InMemoryLogRecordExporter.export

        def export_slowly(exporter: InMemoryLogRecordExporter, batch: Any) -> Any:
            time.sleep(0.05)
            return export(exporter, batch)

        monkeypatch.setattr(InMemoryLogRecordExporter, "export", export_slowly)
        queue = BatchLogRecordProcessor(watched.logs, max_queue_size=1_024, max_export_batch_size=1_024)
        checks = held(5_000)
        with installed(monkeypatch, watched.reader, queue):
            await OpenTelemetryOfChecks().checks_ended(row=run_row(checks), checks=checks, problems=())
            told = watched.events()
        assert [event.get("trueup.stack") for event in told] == [*(one.stack for one in checks), None]
        assert told[-1]["trueup.plan_run.stacks_held"] == 5_000

    async def test_it_is_told_off_the_event_loop(self, watched: Watched) -> None:
        threads: set[int] = set()

        def checks() -> Iterator[StackCheck]:
            threads.add(threading.get_ident())
            yield HELD

        await OpenTelemetryOfChecks().checks_ended(row=RUN, checks=checks(), problems=())
        assert threads.isdisjoint({threading.get_ident()})
        assert len(watched.events("trueup.portal_drift")) == 1

    async def test_no_telemetry_says_nothing(self, watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
        await NoCheckTelemetry().checks_ended(row=RUN, checks=CHECKS, problems=[PROBLEM])
        assert (watched.events(), caplog.messages) == ([], [])


@pytest.mark.parametrize(
    ("is_the_worker_s", "watched"),
    [
        pytest.param(
            True, (OpenTelemetryOfRuns, OpenTelemetryOfChecks, OpenTelemetryOfHeals), id="the worker's pipeline"
        ),
        pytest.param(False, (NoRunTelemetry, NoCheckTelemetry, NoHealTelemetry), id="nowhere to send it"),
    ],
)
def test_all_are_watched_or_none(
    monkeypatch: pytest.MonkeyPatch, is_the_worker_s: bool, watched: tuple[type, ...]
) -> None:
    monkeypatch.delenv("APPLICATIONINSIGHTS_CONNECTION_STRING", raising=False)
    settings = Settings(python_applicationinsights_enable_telemetry=is_the_worker_s)
    watchers = configure_watchers(settings)
    assert (type(watchers.runs), type(watchers.checks), type(watchers.heals)) == watched
