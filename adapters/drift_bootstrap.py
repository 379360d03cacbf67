"""Opens what plan checks and heals need beside the estate: a run that only reads records must not fail for want of a queue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.estate_account import account_name
from adapters.folder_blobs import FolderBlobStore
from adapters.folder_checks import FolderCheckStore
from adapters.folder_heal_inbox import FolderHealInbox
from adapters.folder_heal_queue import FolderHealQueue
from adapters.folder_leases import FolderStackLeases
from adapters.folder_ledger import FolderHealLedger
from adapters.folder_runs import FolderRunStore
from adapters.policy_source import BlobPolicySource
from adapters.settings import Settings
from adapters.table_names import PLAN_CHECK_RUNS_TABLE
from adapters.terraform_cli import TerraformOptions
from adapters.terraform_sign_in import OpenSignIn, by_itself
from adapters.terraform_states import AzureStates, FolderStates
from records.drift_ports import CheckStore, HealInbox, HealLedger, HealQueue, StackLeases
from records.plan_checks import CheckRunRow
from records.policy_source import NoPolicy, PolicySource
from records.ports import RunStore
from records.resource_changes import ChangeHistory, NoChangeHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftStores:
    """The open adapters of an estate's plan checks and heals, and how Terraform signs in for them."""

    checks: CheckStore
    check_runs: RunStore[CheckRunRow]
    ledger: HealLedger
    queue: HealQueue
    inbox: HealInbox
    leases: StackLeases
    policy: PolicySource
    changes: ChangeHistory
    sign_in: OpenSignIn = by_itself


@asynccontextmanager
async def open_folder_drift_stores(root: Path, settings: Settings) -> AsyncIterator[DriftStores]:
    """Those beside an estate on disk."""
    yield DriftStores(
        checks=FolderCheckStore(root),
        check_runs=FolderRunStore(root, table=PLAN_CHECK_RUNS_TABLE, row=CheckRunRow),
        ledger=FolderHealLedger(root),
        queue=FolderHealQueue(root),
        inbox=FolderHealInbox(root),
        leases=FolderStackLeases(root),
        policy=BlobPolicySource(
            FolderBlobStore(root),
            settings.config_container,
            beside_the_app=settings.policy_file,
            without_its_container=NoPolicy(),
        ),
        changes=NoChangeHistory(),
    )


def terraform_options(
    settings: Settings, *, estate_folder: Path | None, sign_in: OpenSignIn = by_itself
) -> TerraformOptions:
    """How Terraform is run on the estate in this folder, or in Azure where it is None.

    Raises:
        SettingsError: the settings do not tell the account of the states.
    """
    states = (
        AzureStates(account_name=account_name(settings), container=settings.states_container)
        if estate_folder is None
        else FolderStates(root=estate_folder, container=settings.states_container)
    )
    return TerraformOptions(
        states=states,
        binary=settings.tf_binary,
        work_folder=settings.plan_work_folder,
        shared_providers=settings.provider_folder,
        also_passed=settings.tf_passed_variables or (),
        sign_in=sign_in,
        command_limit_seconds=settings.plan_limit_seconds,
        plan_json_max_bytes=settings.plan_json_max_bytes,
        bundle_max_bytes=settings.bundle_max_bytes,
    )
