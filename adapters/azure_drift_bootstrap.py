"""What plan checks and heals need beside an estate in Azure; apart from `adapters.drift_bootstrap` as `azure_bootstrap` is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from azure.storage.queue.aio import QueueServiceClient
from pydantic import SecretStr

from adapters import azure_heal_queue
from adapters.azure_bootstrap import AzureAccess, AzureEstate
from adapters.azure_checks import AzureCheckStore
from adapters.azure_heal_inbox import AzureHealInbox
from adapters.azure_heal_queue import AzureHealQueue
from adapters.azure_leases import AzureStackLeases
from adapters.azure_ledger import AzureHealLedger
from adapters.azure_runs import AzureRunStore
from adapters.azure_work import AzureWorkStore
from adapters.drift_bootstrap import DriftStores
from adapters.estate_account import StorageService, url_of_service
from adapters.managed_identity import sign_in_of
from adapters.policy_source import BlobPolicySource
from adapters.resource_graph import ResourceGraphChangeHistory
from adapters.settings import Settings
from adapters.table_names import PLAN_CHECK_RUNS_TABLE, PLAN_CHECK_WORK_TABLE
from adapters.terraform_environment import own_environment
from records.errors import SettingsError
from records.plan_checks import CheckRunRow, StackObservation
from records.ports import WorkStore
from records.resource_changes import ChangeHistory, NoChangeHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureDriftStores(DriftStores):
    """With what only a run that is spread over many machines needs."""

    check_work: WorkStore[StackObservation]


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
    async with (
        service,
        _change_history(settings, estate.access) as changes,
        sign_in_of(own_environment(), estate.access.limits) as sign_in,
    ):
        yield AzureDriftStores(
            checks=AzureCheckStore(tables),
            check_runs=AzureRunStore(tables, table=PLAN_CHECK_RUNS_TABLE, row=CheckRunRow),
            check_work=AzureWorkStore(tables, table=PLAN_CHECK_WORK_TABLE, outcome=StackObservation),
            ledger=AzureHealLedger(tables),
            queue=AzureHealQueue(service),
            inbox=AzureHealInbox(service),
            leases=AzureStackLeases(estate.access.account, container=settings.locks_container),
            policy=BlobPolicySource(
                estate.access.blobs, settings.config_container, beside_the_app=settings.policy_file
            ),
            changes=changes,
            sign_in=sign_in,
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
        return _with_identity(
            _queue_url(settings.results_account_url, StorageService.TABLE, "RESULTS_ACCOUNT_URL"), access
        )
    if settings.estate_connection_string:
        return _with_string(settings.estate_connection_string, access)
    return _with_identity(
        _queue_url(settings.estate_account_url or "", StorageService.BLOB, "ESTATE_ACCOUNT_URL"), access
    )


def _queue_url(url: str, of: StorageService, follows_from: str) -> str:
    return url_of_service(
        url, of=of, wanted=StorageService.QUEUE, setting="QUEUE_ACCOUNT_URL", follows_from=follows_from
    )


def _with_identity(account_url: str, access: AzureAccess) -> QueueServiceClient:
    return azure_heal_queue.connect_with_identity(account_url, access.identity(), access.limits)


def _with_string(connection_string: SecretStr, access: AzureAccess) -> QueueServiceClient:
    return azure_heal_queue.connect_with_string(connection_string.get_secret_value(), access.limits)
