"""The services of the Functions app, each open for as long as its block lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from adapters.azure_bootstrap import open_azure_estate
from adapters.azure_drift_bootstrap import AzureDriftStores, open_azure_drift_stores
from adapters.outcome_spool import OutcomeSpool
from adapters.settings import Settings
from assembly.drift_estates import DriftEstate
from assembly.estates import rules_of
from drift.service.healing import HealService
from drift.service.service import CheckService
from reconcile.service.schedule import Schedule
from reconcile.service.service import Service
from records.drift_ports import CheckTelemetry, HealTelemetry
from records.ports import Clock, Telemetry
from records.version import VERSION


@asynccontextmanager
async def open_service(
    settings: Settings, telemetry: Telemetry, schedule: Schedule, *, clock: Clock
) -> AsyncIterator[Service]:
    """Raises:
    SettingsError: the settings name no account.
    """
    async with open_azure_estate(settings) as estate:
        yield Service(
            records=estate.records,
            results=estate.results,
            runs=estate.runs,
            work=estate.work,
            pins=estate.pins,
            reports=estate.reports,
            telemetry=telemetry,
            new_spool=OutcomeSpool,
            rules=rules_of(settings),
            schedule=schedule,
            width=settings.fan_out_width,
            market_limit_seconds=settings.market_limit_seconds,
            runbook_url=settings.runbook_url,
            version=VERSION,
            clock=clock,
        )


@asynccontextmanager
async def open_check_service(
    settings: Settings, telemetry: CheckTelemetry, *, clock: Clock
) -> AsyncIterator[CheckService]:
    """Raises:
    SettingsError: the settings name no account, of the records, the states or the queue.
    """
    async with _open_drift(settings, clock) as (opened, stores):
        yield CheckService(
            records=opened.estate.records,
            observer=opened.observer,
            read_policy=opened.read_policy,
            changes=stores.changes,
            checks=stores.checks,
            ledger=stores.ledger,
            queueing=opened.queueing,
            runs=stores.check_runs,
            work=stores.check_work,
            telemetry=telemetry,
            width=settings.plan_check_width,
            plans_here=asyncio.Semaphore(settings.plans_per_instance),
            kept_for=timedelta(days=settings.retention_days),
            clock=clock,
        )


@asynccontextmanager
async def open_heal_service(
    settings: Settings, telemetry: HealTelemetry, *, clock: Clock
) -> AsyncIterator[HealService]:
    """Raises:
    SettingsError: as `open_check_service`.
    """
    async with _open_drift(settings, clock) as (opened, _):
        yield HealService(deliveries=opened.deliveries(telemetry), levers=opened.levers)


@asynccontextmanager
async def _open_drift(settings: Settings, clock: Clock) -> AsyncIterator[tuple[DriftEstate, AzureDriftStores]]:
    async with open_azure_estate(settings) as estate, open_azure_drift_stores(estate, settings) as stores:
        yield DriftEstate(folder=None, settings=settings, estate=estate, stores=stores, clock=clock), stores
