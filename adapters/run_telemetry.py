"""Telemetry of runs that reconcile through OpenTelemetry: what one came to, as metrics and custom events."""

import logging
from collections import Counter

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from adapters import telemetry_names as names
from adapters.telemetry_events import Attributes, Events, event_logger, present, tell_of_run, time_text
from records.module_pins import DeployedModulePins
from records.report import Problem, Report
from records.results import StackResult
from records.runs import RunRow
from records.verdicts import Tier, Verdict


class NoRunTelemetry:
    """A `Telemetry` for where nobody watches."""

    async def run_ended(self, *, row: RunRow, report: Report | None) -> None:
        """Says nothing."""


class OpenTelemetryOfRuns:
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
