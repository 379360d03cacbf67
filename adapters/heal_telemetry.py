"""Telemetry of heals through OpenTelemetry: what came of each job, as a metric and a custom event.

Of a job it tells names, serials and counts. The sentences of the ledger stay there: they can hold Terraform's words.
"""

import logging
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from adapters import telemetry_names as names
from adapters.telemetry_events import Attributes, Events, event_logger, present, tell
from records.heal_ledger import HealEvent, HealRow, HealStep

_SHOWN_OF_A_JOB: Final = 12
_MOST_CHARACTERS: Final = 500
"""Of why a message is refused: it names every field that is wrong, and a message can have thousands of addresses."""


class NoHealTelemetry:
    """A `HealTelemetry` for where nobody watches."""

    async def heal_moved(self, *, row: HealRow) -> None:
        """Says nothing."""

    async def message_refused(self, *, why: str) -> None:
        """Says nothing."""


class OpenTelemetryOfHeals:
    """A `HealTelemetry` on the metrics and logs of the process, or of the meter provider and the logger that are given."""

    def __init__(self, *, meter_provider: MeterProvider | None = None, events: logging.Logger | None = None) -> None:
        meter = metrics.get_meter(names.SCOPE, meter_provider=meter_provider)
        self._heals = meter.create_counter(
            names.HEALS, unit="{heal}", description="Heals that have ended, by how, and by market."
        )
        self._duration = meter.create_histogram(
            names.HEAL_DURATION, unit="s", description="How long a heal took, from its queue to its end."
        )
        self._logger = event_logger(events)

    async def heal_moved(self, *, row: HealRow) -> None:
        await tell(f"heal {row.job.job_id[:_SHOWN_OF_A_JOB]}", self._logger, lambda events: self._tell(events, row))

    async def message_refused(self, *, why: str) -> None:
        event: Attributes = {names.HEAL_REFUSED_WHY: why[:_MOST_CHARACTERS]}
        await tell("a refused heal", self._logger, lambda events: events.send(names.HEAL_REFUSED_EVENT, event))

    def _tell(self, events: Events, row: HealRow) -> None:
        dimensions = {names.MARKET: row.job.market, names.HEAL_STEP: str(row.step)}
        self._heals.add(1, dimensions)
        seconds = _seconds_from_queued_to_end(row)
        if seconds is not None:
            self._duration.record(seconds, dimensions)
        events.send(names.HEAL_EVENT, _of_heal(row, seconds))


def _of_heal(row: HealRow, seconds: float | None) -> Attributes:
    return present(
        {
            names.HEAL_JOB_ID: row.job.job_id,
            names.PLAN_RUN_ID: row.run_id,
            names.MARKET: row.job.market,
            names.STACK: row.job.stack,
            names.HEAL_STEP: str(row.step),
            names.HEAL_REASON: None if row.reason is None else str(row.reason),
            names.HEAL_FINGERPRINT: row.job.fingerprint,
            names.HEAL_SERIAL: row.job.serial,
            names.HEAL_ATTEMPTS: sum(event.step is HealStep.BEGUN for event in _since_it_was_queued(row)),
            names.HEAL_APPROVALS: len(row.approvals),
            names.HEAL_DURATION_SECONDS: seconds,
        }
    )


def _since_it_was_queued(row: HealRow) -> tuple[HealEvent, ...]:
    """The steps of this message of the job: the same drift may have been healed before, as the same job."""
    start = max((place for place, event in enumerate(row.events) if event.step is HealStep.QUEUED), default=0)
    return row.events[start:]


def _seconds_from_queued_to_end(row: HealRow) -> float | None:
    """None where its end is not known. One machine's clock queued it and another's ended it: never less than nothing."""
    if not row.events:
        return None
    return max(0.0, (row.events[-1].at - row.job.queued_at).total_seconds())
