"""An open estate, and what its plan checks and heals are made of."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from adapters.bootstrap import Estate, open_folder_estate
from adapters.clock import utc_now
from adapters.drift_bootstrap import (
    DriftStores,
    open_folder_drift_stores,
    terraform_options,
)
from adapters.own_name import own_name
from adapters.settings import Settings
from adapters.terraform_cli import TerraformCli
from assembly.estates import judge_of
from drift.concluding import Queueing
from drift.healing.delivering import Deliveries
from drift.healing.levers import Levers
from drift.healing.lock_watch import LockWatch
from drift.healing.worker import Healer
from drift.observing import StackObserver
from drift.policy import InvalidPolicy, Limits, Policy
from drift.policy_reading import read_policy
from drift.situation import Unread
from lanes.listing import known_markets
from recording.healed import HealedStackRecorder
from records.drift_ports import HealTelemetry
from records.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftEstate:
    """An open estate. ``folder`` is where it is, None in Azure."""

    folder: Path | None
    settings: Settings
    estate: Estate
    stores: DriftStores
    clock: Clock = utc_now

    @property
    def observer(self) -> StackObserver:
        """Sees stacks.

        Raises:
            SettingsError: the settings do not tell the account of the states.
        """
        settings = self.settings
        options = terraform_options(settings, estate_folder=self.folder, sign_in=self.stores.sign_in)
        return StackObserver(
            judge=judge_of(self.estate, settings, clock=self.clock),
            records=self.estate.records,
            planner=TerraformCli(options),
            bundle_max_bytes=settings.bundle_max_bytes,
            plan_limit_seconds=settings.plan_limit_seconds,
            clock=self.clock,
        )

    async def read_policy(self) -> Policy | InvalidPolicy | Unread:
        """The policy as it is now, under the settings."""
        return await read_policy(
            self.stores.policy,
            mode=self.settings.heal_mode,
            limits=Limits.model_validate(self.settings, from_attributes=True),
        )

    @property
    def expires_after(self) -> timedelta:
        return timedelta(minutes=self.settings.heal_expires_minutes)

    @property
    def queueing(self) -> Queueing:
        return Queueing(queue=self.stores.queue, expires_after=self.expires_after)

    def healer(self, telemetry: HealTelemetry) -> Healer:
        """The worker, for this process.

        Raises:
            SettingsError: as `observer`.
        """
        estate, stores = self.estate, self.stores
        return Healer(
            observer=self.observer,
            records=estate.records,
            ledger=stores.ledger,
            leases=stores.leases,
            recorder=HealedStackRecorder(records=estate.records, writer=estate.writer, log=estate.log),
            checks=stores.checks,
            read_policy=self.read_policy,
            telemetry=telemetry,
            lock_watch=LockWatch(records=estate.records, own_name=own_name(), clock=self.clock),
            lock_timeout_seconds=self.settings.lock_timeout_seconds,
            clock=self.clock,
        )

    def deliveries(self, telemetry: HealTelemetry) -> Deliveries:
        """The worker at the queue.

        Raises:
            SettingsError: as `observer`.
        """
        return Deliveries(healer=self.healer(telemetry), queue=self.stores.queue, clock=self.clock)

    async def known_markets(self) -> set[str]:
        """Every market that a registry record or a tracker names.

        Raises:
            StoreError: they cannot be listed.
        """
        return await known_markets(self.estate.records)

    @property
    def levers(self) -> Levers:
        stores = self.stores
        return Levers(
            ledger=stores.ledger,
            checks=stores.checks,
            queue=stores.queue,
            known_markets=self.known_markets,
            expires_after=self.expires_after,
            clock=self.clock,
        )


@asynccontextmanager
async def open_drift_estate(folder: Path | None, settings: Settings) -> AsyncIterator[DriftEstate]:
    """The estate in this folder, or the one in Azure that the settings name.

    Raises:
        SettingsError: there is no such folder, or the settings name no account.
    """
    async with AsyncExitStack() as stack:
        if folder:
            estate = await stack.enter_async_context(open_folder_estate(folder, settings))
            stores = await stack.enter_async_context(open_folder_drift_stores(folder, settings))
        else:
            # As in `assembly.estates`.
            from adapters.azure_bootstrap import open_azure_estate  # noqa: PLC0415
            from adapters.azure_drift_bootstrap import open_azure_drift_stores  # noqa: PLC0415

            in_azure = await stack.enter_async_context(open_azure_estate(settings))
            estate = in_azure
            stores = await stack.enter_async_context(open_azure_drift_stores(in_azure, settings))
        yield DriftEstate(folder=folder, settings=settings, estate=estate, stores=stores)
