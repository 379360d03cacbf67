"""A run of the service over any number of markets, simulated: the real orchestrators and activities on records in memory.

What is measured is what Durable Functions keeps: the events and payloads of each orchestration's history. Run as
``python -m bench.orchestrating MARKETS WIDTH``, it prints them as JSON.
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from adapters.blob_store import BlobPlace
from adapters.outcome_spool import OutcomeSpool
from adapters.record_reader import BlobRecordReader, Containers
from adapters.run_telemetry import NoRunTelemetry
from reconcile.market import Rules
from reconcile.service.schedule import FiredSchedule
from reconcile.service.service import Service
from records.engine import RunRequest
from records.results import Run
from records.runs import RunRow, Trigger
from tests.estates import registry_bytes
from tests.fakes import MemoryBlobStore, MemoryMarketWorkStore, MemoryPinStore, MemoryResultStore
from tests.service_world import AppHost, import_app
from tests.world.durable import DurableHub, InstanceMeasures

NOW: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
RUN_ID: Final = "daily-2026-11-25"
CONTAINERS: Final = Containers()


@dataclass(slots=True)
class CountedReports:
    """A `ReportStore` that keeps how large each report is."""

    sizes_bytes: dict[str, int] = field(default_factory=dict)

    async def save_report(
        self, *, names: Sequence[str], chunks: Iterable[str], media_type: str, started_at: datetime
    ) -> None:
        size_bytes = sum(len(chunk.encode()) for chunk in chunks)
        self.sizes_bytes |= dict.fromkeys(names, size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a run left in the task hub: ``instances`` are the estate's orchestration and its lanes."""

    row: RunRow
    instances: Sequence[InstanceMeasures]
    most_at_once: int

    def figures(self) -> dict[str, int | str]:
        return {
            "status": str(self.row.status),
            "markets": self.row.markets,
            "problems": self.row.problem_count,
            "orchestrations": len(self.instances),
            "most_at_once": self.most_at_once,
            "largest_history_events": self.largest_history_events,
            "largest_payload_bytes": self.largest_payload_bytes,
            "largest_context_bytes": self.largest_context_bytes,
        }

    @property
    def largest_history_events(self) -> int:
        return max(max(instance.generation_event_counts) for instance in self.instances)

    @property
    def largest_payload_bytes(self) -> int:
        return max(instance.largest_payload_bytes for instance in self.instances)

    @property
    def largest_context_bytes(self) -> int:
        return max(instance.largest_body_bytes for instance in self.instances)


async def simulate(markets: Iterable[str], *, width: int) -> Simulation:
    """Runs the estate to its end. Each market has one stack that was never deployed."""
    blobs = MemoryBlobStore(CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states)
    for market in markets:
        record = registry_bytes(market, {"network": {"state": {"key": f"{market}/network.tfstate"}}})
        blobs.put(BlobPlace(container=CONTAINERS.registry, name=f"{market}/subscription.json"), record)
    kept = MemoryResultStore()
    service = Service(
        records=BlobRecordReader(blobs, CONTAINERS),
        results=kept,
        runs=kept,
        work=MemoryMarketWorkStore(),
        pins=MemoryPinStore(),
        reports=CountedReports(),
        telemetry=NoRunTelemetry(),
        new_spool=OutcomeSpool,
        rules=Rules(in_flight_minutes=60, reread_delay_seconds=0, retention_days=400),
        schedule=FiredSchedule(),
        width=width,
        market_limit_seconds=300,
        runbook_url=None,
        version="simulated",
        clock=lambda: NOW,
    )
    module = import_app()
    # The app opens a service at its first use: here it finds the one above.
    vars(module)["open_service"] = lambda *_, **__: nullcontext(service)
    hub = DurableHub(AppHost(module))
    request = RunRequest(run=Run(run_id=RUN_ID, started_at=NOW), trigger=Trigger.TIMER)
    await hub.start("reconcile_estate", RUN_ID, json.dumps(request.to_json()))
    await hub.run(RUN_ID)
    row = await kept.run(run_id=RUN_ID)
    assert row is not None
    return Simulation(
        row=row, instances=hub.measures(), most_at_once=hub.most_activities_at_once.get("reconcile_market", 0)
    )


def named(count: int) -> list[str]:
    """Names as a large estate has them."""
    return [f"region-{number % 40:02d}/business-unit-{number % 7}/market-{number:05d}" for number in range(count)]


if __name__ == "__main__":
    market_count, width = map(int, sys.argv[1:])
    print(json.dumps(asyncio.run(simulate(named(market_count), width=width)).figures()))
