"""The service's plan checks on an estate of their own in Azurite, from the timer on; Terraform is whatever planner is given."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy

import assembly.drift_estates
from adapters.table_names import HEALS_TABLE, PLAN_CHECK_RUNS_TABLE, PLAN_CHECK_WORK_TABLE, PLAN_CHECKS_TABLE
from drift.service.functions import CHECK_ON_SCHEDULE
from drift.service.starting import INSTANCES
from records.heals import QUEUE
from records.terraform import Planner
from tests.estates import entry, put_registry, put_state, put_tracker
from tests.service_world import InvocationContext, ServiceWorld, TraceContext, open_service_world
from tests.unit.planner_fake import bundle_bytes, bundle_of
from tests.world.azurite import Azurite
from tests.world.durable import DurableFaults, DurableHub, VirtualClock
from tests.world.durable_http import client_binding_json, serve_durable_http

TABLES: Final = (PLAN_CHECKS_TABLE, PLAN_CHECK_RUNS_TABLE, PLAN_CHECK_WORK_TABLE, HEALS_TABLE)
_WITH_EACH_WRITE: Final = "write"
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class CheckWorld:
    """``now`` is when a run begins and ends, as far as the app can tell: about the real time, by which a message expires."""

    world: ServiceWorld
    bundles: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def deploy(self, market: str, stacks: Iterable[str] = ("network",)) -> None:
        """A market all of whose stacks are healthy, each with a bundle."""
        estate, stacks = self.world.estate, tuple(stacks)
        put_registry(estate, market, {stack: entry(market, stack) for stack in stacks})
        for stack in stacks:
            bundle = bundle_of(market, stack)
            estate.put(self.bundles, bundle["blob"], bundle_bytes(market, stack))
            put_tracker(estate, market, stack, bundle=bundle)
            put_state(estate, market, stack)

    def hub(self, faults: DurableFaults | None = None) -> DurableHub:
        return DurableHub(self.world.host, clock=VirtualClock(self.now), faults=faults)

    async def tick(self, binding: str) -> None:
        """The timer fires."""
        context = InvocationContext(TraceContext())
        await self.world.host.functions[CHECK_ON_SCHEDULE](timer=None, client=binding, context=context)

    async def run(self, hub: DurableHub) -> None:
        """From the timer to the end, or to where a fault of the hub's stops it."""
        async with serve_durable_http(hub) as url:
            await self.tick(client_binding_json(url))
            await hub.run(INSTANCES[0])

    def rows(self) -> Rows:
        """All rows of the plan checks' tables, to be read and without what is another in each attempt to write them."""
        with TableServiceClient.from_connection_string(self.world.azurite.connection_string) as service:
            known = {table.name for table in service.list_tables()}
            return {
                table: [
                    {name: _as_text(value) for name, value in row.items() if name != _WITH_EACH_WRITE}
                    for row in service.get_table_client(table).list_entities()
                ]
                for table in TABLES
                if table in known
            }

    def checks(self) -> dict[str, dict[str, Any]]:
        """The latest check of each stack, as the table keeps it, by ``market/stack``."""
        latest = [row for row in self.rows()[PLAN_CHECKS_TABLE] if row["RowKey"].startswith("latest:")]
        kept = [json.loads(row["check"])["check"] for row in latest]
        return {f"{check['market']}/{check['stack']}": check for check in kept}

    def runs(self) -> dict[str, dict[str, Any]]:
        """What the table keeps of each run, by its id."""
        return {row["run_id"]: json.loads(row["row"]) for row in self.rows()[PLAN_CHECK_RUNS_TABLE]}

    def only_run(self) -> dict[str, Any]:
        (row,) = self.runs().values()
        return row

    def messages(self) -> list[dict[str, Any]]:
        with QueueServiceClient.from_connection_string(self.world.azurite.connection_string) as service:
            queue = service.get_queue_client(QUEUE, message_decode_policy=TextBase64DecodePolicy())
            with suppress(ResourceNotFoundError):
                return [json.loads(message.content) for message in queue.peek_messages(max_messages=32)]
        return []

    def later(self, *, minutes: int) -> None:
        """From now on it is so many minutes after the first run."""
        self.world.set_clock(self.now + timedelta(minutes=minutes))

    def forget(self) -> None:
        """Leaves the account as before the first check."""
        with TableServiceClient.from_connection_string(self.world.azurite.connection_string) as service:
            for table in TABLES:
                with suppress(ResourceNotFoundError):
                    service.delete_table(table)
        with (
            QueueServiceClient.from_connection_string(self.world.azurite.connection_string) as queues,
            suppress(ResourceNotFoundError),
        ):
            queues.delete_queue(QUEUE)


def _as_text(value: object) -> object:
    return gzip.decompress(value).decode() if isinstance(value, bytes) else value


@asynccontextmanager
async def open_check_world(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch, planner: Planner, **settings: str
) -> AsyncIterator[CheckWorld]:
    """An empty estate, the app with this planner in Terraform's place, and healing on."""
    bundles = f"bundles-{datetime.now(UTC):%H%M%S%f}"
    config = bundles.replace("bundles", "config")
    with_healing = {"HEAL_MODE": "on", "BUNDLES_CONTAINER": bundles, "CONFIG_CONTAINER": config, **settings}
    async with open_service_world(azurite, monkeypatch, **with_healing) as world:
        made = CheckWorld(world, bundles)
        for container in (bundles, config):
            world.estate.service.create_container(container)
        world.set_clock(made.now)
        monkeypatch.setattr(assembly.drift_estates, "TerraformCli", lambda _: planner)
        made.forget()
        try:
            yield made
        finally:
            await world.host.module.check_service.close()
            made.forget()
