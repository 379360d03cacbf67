"""Opens what plan checks need beside the estate: a run that only reads records must not fail for want of a queue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from azure.storage.queue.aio import QueueServiceClient
from pydantic import SecretStr

from adapters import azure_heal_queue
from adapters.account_urls import host_of
from adapters.azure_checks import AzureCheckStore
from adapters.azure_heal_queue import AzureHealQueue
from adapters.azure_ledger import AzureHealLedger
from adapters.azure_runs import AzureRunStore
from adapters.azure_tables import PLAN_CHECK_RUNS_TABLE, PLAN_CHECK_WORK_TABLE
from adapters.azure_work import AzureWorkStore
from adapters.bootstrap import AzureAccess, AzureEstate
from adapters.folder_blobs import FolderBlobStore
from adapters.folder_checks import FolderCheckStore
from adapters.folder_heal_queue import FolderHealQueue
from adapters.folder_ledger import FolderHealLedger
from adapters.folder_runs import FolderRunStore
from adapters.policy_source import BlobPolicySource
from adapters.resource_graph import NoChangeHistory, ResourceGraphChangeHistory
from adapters.settings import Settings
from adapters.terraform_cli import TerraformOptions
from adapters.terraform_environment import AzureStates, FolderStates
from records.drift_ports import CheckStore, HealLedger, HealQueue
from records.errors import SettingsError
from records.plan_checks import CheckRunRow, StackObservation
from records.policy_source import NoPolicy, PolicySource
from records.ports import RunStore, WorkStore
from records.resource_changes import ChangeHistory

_MIB: Final = 1024**2
_TABLE_HOST: Final = ".table."
_BLOB_HOST: Final = ".blob."
_QUEUE_HOST: Final = ".queue."
_EMULATOR: Final = "devstoreaccount1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftStores:
    """The open adapters of an estate's plan checks."""

    checks: CheckStore
    check_runs: RunStore[CheckRunRow]
    ledger: HealLedger
    queue: HealQueue
    policy: PolicySource
    changes: ChangeHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureDriftStores(DriftStores):
    """With what only a run that is spread over many machines needs."""

    check_work: WorkStore[StackObservation]


@asynccontextmanager
async def open_folder_drift_stores(root: Path, settings: Settings) -> AsyncIterator[DriftStores]:
    """Those beside an estate on disk."""
    yield DriftStores(
        checks=FolderCheckStore(root),
        check_runs=FolderRunStore(root, table=PLAN_CHECK_RUNS_TABLE, row=CheckRunRow),
        ledger=FolderHealLedger(root),
        queue=FolderHealQueue(root),
        policy=BlobPolicySource(
            FolderBlobStore(root),
            settings.config_container,
            beside_the_app=settings.policy_file,
            without_its_container=NoPolicy(),
        ),
        changes=NoChangeHistory(),
    )


@asynccontextmanager
async def open_azure_drift_stores(estate: AzureEstate, settings: Settings) -> AsyncIterator[AzureDriftStores]:
    """Those of an open estate in Azure, with the same clients and identity; closed before it is.

    Raises:
        SettingsError: the settings do not tell the queue's account.
    """
    tables = estate.access.tables
    try:
        service = _queue_service(settings, estate.access)
    except ValueError:
        raise SettingsError(
            "the queue's account is malformed: see QUEUE_ACCOUNT_URL and the connection strings (docs/configuration.md)"
        ) from None
    async with service, _change_history(settings, estate.access) as changes:
        yield AzureDriftStores(
            checks=AzureCheckStore(tables),
            check_runs=AzureRunStore(tables, table=PLAN_CHECK_RUNS_TABLE, row=CheckRunRow),
            check_work=AzureWorkStore(tables, table=PLAN_CHECK_WORK_TABLE, outcome=StackObservation),
            ledger=AzureHealLedger(tables),
            queue=AzureHealQueue(service),
            policy=BlobPolicySource(
                estate.access.blobs, settings.config_container, beside_the_app=settings.policy_file
            ),
            changes=changes,
        )


def terraform_options(settings: Settings, *, estate_folder: Path | None) -> TerraformOptions:
    """How Terraform is run on the estate in this folder, or in Azure where it is None.

    Raises:
        SettingsError: the settings do not tell the account of the states.
    """
    states = (
        AzureStates(account_name=_account_name(settings), container=settings.states_container)
        if estate_folder is None
        else FolderStates(root=estate_folder, container=settings.states_container)
    )
    return TerraformOptions(
        states=states,
        binary=settings.tf_binary,
        work_folder=settings.plan_work_folder,
        shared_providers=settings.provider_folder,
        also_passed=settings.tf_passed_variables or (),
        command_limit_seconds=settings.plan_limit_seconds,
        plan_json_max_bytes=settings.plan_json_max_mib * _MIB,
        bundle_max_bytes=settings.bundle_max_mib * _MIB,
    )


@asynccontextmanager
async def _change_history(settings: Settings, access: AzureAccess) -> AsyncIterator[ChangeHistory]:
    """With a connection string nobody has signed in who could ask."""
    if not settings.resource_graph or settings.estate_account_url is None:
        yield NoChangeHistory()
        return
    async with ResourceGraphChangeHistory(access.identity(), **access.limits.policy_options()) as history:
        yield history


def _queue_service(settings: Settings, access: AzureAccess) -> QueueServiceClient:
    if settings.queue_account_url:
        return _with_identity(settings.queue_account_url, access)
    if settings.results_connection_string:
        return _with_string(settings.results_connection_string, access)
    if settings.results_account_url:
        return _with_identity(_queue_url(settings.results_account_url, _TABLE_HOST, "RESULTS_ACCOUNT_URL"), access)
    if settings.estate_connection_string:
        return _with_string(settings.estate_connection_string, access)
    return _with_identity(_queue_url(settings.estate_account_url or "", _BLOB_HOST, "ESTATE_ACCOUNT_URL"), access)


def _queue_url(url: str, kind_of_host: str, setting: str) -> str:
    if kind_of_host not in url:
        raise SettingsError(f"set QUEUE_ACCOUNT_URL: it does not follow from {setting}")
    return url.replace(kind_of_host, _QUEUE_HOST, 1)


def _with_identity(account_url: str, access: AzureAccess) -> QueueServiceClient:
    return azure_heal_queue.connect_with_identity(account_url, access.identity(), access.limits)


def _with_string(connection_string: SecretStr, access: AzureAccess) -> QueueServiceClient:
    return azure_heal_queue.connect_with_string(connection_string.get_secret_value(), access.limits)


def _account_name(settings: Settings) -> str:
    """As Terraform's backend wants it: without the rest of the host, which must therefore be storage's own."""
    if settings.estate_account_url:
        host = host_of(settings.estate_account_url) or ""
        if _BLOB_HOST not in host:
            raise SettingsError("ESTATE_ACCOUNT_URL: Terraform's backend needs the account's own blob endpoint")
        return host.partition(".")[0]
    if settings.estate_connection_string is None:
        raise SettingsError("no estate: pass --estate DIR, or set ESTATE_ACCOUNT_URL (docs/configuration.md)")
    parts = [part.partition("=") for part in settings.estate_connection_string.get_secret_value().split(";")]
    by_name = {name.strip().lower(): value for name, _, value in parts}
    name = by_name.get("accountname") or (_EMULATOR if "usedevelopmentstorage" in by_name else None)
    if name is None:
        raise SettingsError("ESTATE_CONNECTION_STRING: it has no AccountName, which Terraform's backend needs")
    return name
