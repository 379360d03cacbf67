"""Telemetry through OpenTelemetry: what a run came to as metrics and custom events, and a span for each invocation.

Nothing is sent where no pipeline is configured, and nothing here raises: a run is not worth less for want of a watcher.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters import telemetry_names as names
from adapters.check_telemetry import NoCheckTelemetry, OpenTelemetryOfChecks
from adapters.heal_telemetry import NoHealTelemetry, OpenTelemetryOfHeals
from adapters.settings import Settings
from adapters.telemetry_events import Attributes, Events, event_logger, present, tell_of_run, time_text
from records.drift_ports import CheckTelemetry, HealTelemetry
from records.module_pins import DeployedModulePins
from records.ports import Telemetry
from records.report import Problem, Report
from records.results import StackResult
from records.runs import RunRow
from records.verdicts import Tier, Verdict

_LOG: Final = logging.getLogger(__name__)
_TRACEPARENT: Final = "traceparent"
_TRACESTATE: Final = "tracestate"


class TraceContext(Protocol):
    """Where an invocation stands in a trace, as the Functions host hands it to a function (W3C Trace Context)."""

    @property
    def trace_parent(self) -> str | None: ...

    @property
    def trace_state(self) -> str | None: ...


class NoTelemetry:
    """A `Telemetry` for where nobody watches."""

    async def run_ended(self, *, row: RunRow, report: Report | None) -> None:
        """Says nothing."""


class OpenTelemetry:
    """A `Telemetry` on the metrics and logs of the process, or of the meter provider and the logger that are given."""

    def __init__(self, *, meter_provider: MeterProvider | None = None, events: logging.Logger | None = None) -> None:
        meter = metrics.get_meter(names.SCOPE, meter_provider=meter_provider)
        self._stacks = meter.create_counter(
            names.STACKS, unit="{stack}", description="Stacks that a run looked at, by verdict, tier and market."
        )
        self._duration = meter.create_histogram(names.RUN_DURATION, unit="s", description="How long a run took.")
        self._expected = meter.create_counter(
            names.MARKETS_EXPECTED, unit="{market}", description="Markets that a run was to look at."
        )
        self._checked = meter.create_counter(
            names.MARKETS_CHECKED, unit="{market}", description="Markets that a run looked at."
        )
        self._unread = meter.create_counter(
            names.MARKETS_UNREAD, unit="{market}", description="Markets that have no verdicts in a run."
        )
        self._module_stacks = meter.create_counter(
            names.MODULE_STACKS, unit="{stack}", description="Stacks that use a module of the library, by version."
        )
        self._logger = event_logger(events)

    async def run_ended(self, *, row: RunRow, report: Report | None) -> None:
        await tell_of_run(row.run_id, self._logger, lambda events: self._tell(events, row, report))

    def _tell(self, events: Events, row: RunRow, report: Report | None) -> None:
        disagreements = 0
        by_dimension: Counter[tuple[str, Tier | None, Verdict]] = Counter()
        for result in report.results if report else ():
            by_dimension[result.market, result.tier, result.verdict] += 1
            if result.needs_a_person:
                disagreements += 1
                events.send(names.DISAGREEMENT_EVENT, _of_result(row, result))
        for problem in report.summary.problems if report else ():
            events.send(names.PROBLEM_EVENT, _of_problem(row, problem))
        pins = report.summary.pins if report else None
        for module in pins.modules if pins else ():
            events.send(names.MODULE_EVENT, _of_module(row, module))
            for version in module.versions:
                dimensions = {
                    names.MODULE: module.module,
                    names.MODULE_PACKAGE: module.package,
                    names.MODULE_PINNED_TO: version.pinned_to,
                    names.MODULE_FIRMNESS: version.firmness,
                }
                self._module_stacks.add(version.stack_count, dimensions)
        for (market, tier, verdict), count in by_dimension.items():
            dimensions = {
                names.MARKET: market,
                names.TIER: names.NONE if tier is None else str(int(tier)),
                names.VERDICT: str(verdict),
            }
            self._stacks.add(count, dimensions)
        of_run = {names.RUN_TRIGGER: str(row.trigger), names.RUN_STATUS: str(row.status)}
        self._expected.add(row.expected_markets or 0, of_run)
        self._checked.add(row.markets, of_run)
        self._unread.add(row.unread_markets or 0, of_run)
        if row.duration_seconds is not None:
            self._duration.record(row.duration_seconds, of_run)
        events.send(names.RUN_EVENT, _of_run(row, disagreements, module_count=len(pins.modules) if pins else None))


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told of this process's runs, of those that reconcile and of those that check by a plan, and of its heals."""

    runs: Telemetry
    checks: CheckTelemetry
    heals: HealTelemetry


def configure_watchers(settings: Settings) -> Watchers:
    """Those of this process: on the worker's pipeline where it has one, else on ours where there is somewhere to send it.

    To be called once a process: each call that is not left to the worker sets up a pipeline of its own.
    """
    if _has_pipeline(settings):
        return Watchers(runs=OpenTelemetry(), checks=OpenTelemetryOfChecks(), heals=OpenTelemetryOfHeals())
    return Watchers(runs=NoTelemetry(), checks=NoCheckTelemetry(), heals=NoHealTelemetry())


def _has_pipeline(settings: Settings) -> bool:
    """Whether what is told goes anywhere; sets that up where nobody else does."""
    # The SDKs log each request; what is worth knowing of one is its span.
    logging.getLogger("azure").setLevel(logging.WARNING)
    if settings.python_applicationinsights_enable_telemetry:
        return True
    if settings.applicationinsights_connection_string is None:
        return False
    try:
        # Takes a second to import, which an app without telemetry should not pay at each cold start.
        from azure.monitor.opentelemetry import configure_azure_monitor  # noqa: PLC0415

        configure_azure_monitor(
            connection_string=settings.applicationinsights_connection_string.get_secret_value(),
            enable_live_metrics=False,
        )
    except Exception as error:  # noqa: BLE001 (whatever is wrong with it, the service is of use without)
        _LOG.warning("no telemetry: Azure Monitor cannot be configured (%s)", type(error).__name__)
        return False
    return True


@contextmanager
def invocation_span(
    function: str, parent: TraceContext, *, run_id: str | None = None, market: str | None = None
) -> Iterator[None]:
    """The span of one invocation, under the host's; what is started or read inside belongs to the same trace."""
    carrier = {
        name: value for name, value in ((_TRACEPARENT, parent.trace_parent), (_TRACESTATE, parent.trace_state)) if value
    }
    context = TraceContextTextMapPropagator().extract(carrier)
    tracer = trace.get_tracer(names.SCOPE)
    attributes = present({names.RUN_ID: run_id, names.MARKET: market})
    with tracer.start_as_current_span(
        names.SPAN_PREFIX + function,
        context=context,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            # What kind it was and not its text, which can quote a record.
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def _of_run(row: RunRow, disagreements: int, *, module_count: int | None) -> Attributes:
    return present(
        {
            names.RUN_ID: row.run_id,
            names.RUN_STATUS: str(row.status),
            names.RUN_TRIGGER: str(row.trigger),
            names.RUN_SCOPE: "whole_estate" if row.scope.is_whole_estate else "part",
            names.RUN_STARTED_AT: time_text(row.started_at),
            names.RUN_FINISHED_AT: time_text(row.finished_at),
            names.RUN_DURATION_SECONDS: row.duration_seconds,
            names.RUN_EXIT_STATUS: row.exit_status,
            names.RUN_MARKETS_EXPECTED: row.expected_markets,
            names.RUN_MARKETS_CHECKED: row.markets,
            names.RUN_MARKETS_UNREAD: row.unread_markets,
            names.RUN_STACKS: sum(row.counts.values()),
            names.RUN_MODULES: module_count,
            names.RUN_DISAGREEMENTS: disagreements,
            names.RUN_PROBLEMS: row.problem_count,
            names.RUN_UNREGISTERED_STATES: row.unregistered_state_count,
        }
    )


def _of_result(row: RunRow, result: StackResult) -> Attributes:
    return present(
        {
            names.RUN_ID: row.run_id,
            names.MARKET: result.market,
            names.STACK: result.stack,
            names.SUBSCRIPTION_ID: result.subscription_id,
            names.TIER: names.NONE if result.tier is None else str(int(result.tier)),
            names.VERDICT: str(result.verdict),
            names.MASKED_VERDICT: None if result.masked_verdict is None else str(result.masked_verdict),
            names.SEVERITY: str(result.severity),
            names.ODD_ONE_OUT: str(result.odd_one_out),
            names.SERIAL_STATE: result.serials.state,
            names.SERIAL_TRACKER: result.serials.tracker,
            names.SERIAL_REGISTRY: result.serials.registry,
            names.SERIAL_DELTA: result.serial_delta,
            names.TIME_DELTA_SECONDS: result.time_delta_seconds,
            names.FIRST_SEEN_AT: time_text(result.first_seen_at),
            names.STATE_CHANGED_AT: time_text(result.state_changed_at),
        }
    )


def _of_problem(row: RunRow, problem: Problem) -> Attributes:
    return present(
        {
            names.RUN_ID: row.run_id,
            names.MARKET: problem.market,
            names.PROBLEM_RECORD: str(problem.record),
            names.PROBLEM_CODE: str(problem.code),
            names.PROBLEM_BLOB: problem.blob,
            names.PROBLEM_FIELD: problem.field,
        }
    )


def _of_module(row: RunRow, module: DeployedModulePins) -> Attributes:
    return present(
        {
            names.RUN_ID: row.run_id,
            names.MODULE: module.module,
            names.MODULE_PACKAGE: module.package,
            names.MODULE_VERSIONS: len(module.versions),
            names.MODULE_NEWEST: module.newest,
            names.MODULE_STACKS_USING: module.stack_count,
            names.MODULE_MOST_BEHIND: module.most_behind,
            names.MODULE_LOOSE: module.loose_count,
            names.MODULE_MOVED_TAGS: module.moved_tag_count,
        }
    )
