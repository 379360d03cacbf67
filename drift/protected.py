"""One-way doors: changes that nobody can take back, so that no machine goes through them alone.

A policy may add to this list and takes nothing from it; a person who has looked may approve the single job.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drift.policy_rules import matches_any, matches_attribute
from records.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class OneWayDoor:
    """Types, and of these the actions or attributes that are meant; all where neither is named. ``why`` ends a sentence."""

    types: tuple[str, ...]
    why: str
    actions: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    def stands_before(self, finding: Finding) -> bool:
        if not matches_any(self.types, finding.type):
            return False
        if not self.actions and not self.attributes:
            return True
        return any(action in self.actions for action in finding.actions) or any(
            matches_attribute(self.attributes, change.path) for change in finding.attributes
        )


ONE_WAY_DOORS: Final = (
    # https://learn.microsoft.com/azure/storage/common/storage-account-recover: not once the name is taken again.
    OneWayDoor(
        types=(
            "azurerm_storage_account", "azurerm_storage_container", "azurerm_storage_share", "azurerm_storage_table",
            "azurerm_storage_queue", "azurerm_storage_blob", "azurerm_storage_data_lake_gen2_*", "azurerm_managed_disk",
            "azurerm_snapshot", "azurerm_netapp_volume", "azurerm_elastic_san_volume", "azurerm_*_virtual_machine",
            "azurerm_mssql_server", "azurerm_mssql_database", "azurerm_mssql_managed_*", "azurerm_mysql_flexible_*",
            "azurerm_postgresql_flexible_*", "azurerm_oracle_autonomous_database*", "azurerm_cosmosdb_*",
            "azurerm_mongo_cluster", "azurerm_redis_*", "azurerm_managed_redis", "azurerm_kusto_*", "azurerm_eventhub*",
            "azurerm_servicebus_*", "azurerm_iothub", "azurerm_app_configuration", "azurerm_search_service",
            "azurerm_container_registry", "azurerm_synapse_workspace", "azurerm_synapse_sql_pool",
            "azurerm_databricks_workspace", "azurerm_machine_learning_workspace", "azurerm_log_analytics_workspace",
            "azurerm_application_insights",
        ),
        actions=("create",),
        why="it holds data, and a new, empty one in its place can end every chance to recover the old one",
    ),
    OneWayDoor(
        types=("azurerm_key_vault", "azurerm_key_vault_*", "azurerm_recovery_services_vault", "azurerm_data_protection_*"),
        actions=("create",),
        why="it holds keys or backups that a new one does not have; recover the deleted one",
    ),
    OneWayDoor(
        types=("azurerm_resource_group", "azurerm_kubernetes_cluster"),
        actions=("create",),
        why="what was in it was deleted with it, and does not come back with it",
    ),
    OneWayDoor(
        types=("azurerm_dns_zone", "azurerm_private_dns_zone"),
        actions=("create",),
        why="its records were deleted with it, and a new public zone can have other name servers",
    ),
    OneWayDoor(
        types=("azurerm_user_assigned_identity",),
        actions=("create",),
        why="a new one has another principal, and the roles that were given to the old one do not come back with it",
    ),
    OneWayDoor(
        types=("azurerm_public_ip",),
        actions=("create",),
        why="a new one can have another address than the one that others let through",
    ),
    OneWayDoor(
        types=("azapi_resource",),
        actions=("create",),
        why="it can be of any type, also of one that holds data, and a new one is made empty",
    ),
    OneWayDoor(types=("azurerm_subscription",), why="a subscription is cancelled or renamed for everybody in it"),
    # https://learn.microsoft.com/dotnet/api/azure.resourcemanager.keyvault.models.keyvaultproperties.enablepurgeprotection
    OneWayDoor(
        types=("azurerm_key_vault", "azurerm_key_vault_managed_hardware_security_module"),
        attributes=("purge_protection_enabled", "soft_delete_retention_days"),
        why="what protects a vault from purging cannot be taken back",
    ),
    # https://learn.microsoft.com/azure/backup/backup-azure-immutable-vault-concept: Locked is irreversible.
    OneWayDoor(
        types=("azurerm_recovery_services_vault", "azurerm_data_protection_backup_vault", "azurerm_storage_account"),
        attributes=("immutability", "immutability_policy*"),
        why="immutability that is locked stays locked",
    ),
    OneWayDoor(types=("azurerm_storage_container_immutability_policy",), why="immutability that is locked stays locked"),
    OneWayDoor(
        types=("azurerm_kubernetes_cluster", "azurerm_kubernetes_cluster_node_pool"),
        attributes=("kubernetes_version", "orchestrator_version", "*.orchestrator_version"),
        why="a cluster that was upgraded does not go back",
    ),
    OneWayDoor(
        types=("azurerm_postgresql_flexible_server", "azurerm_mysql_flexible_server"),
        attributes=("version", "storage_mb", "storage*.size_gb"),
        why="a server's version and storage only grow",
    ),
    OneWayDoor(
        types=("azurerm_managed_disk", "azurerm_*_virtual_machine", "azurerm_kubernetes_cluster*"),
        attributes=("disk_size_gb", "*.disk_size_gb", "*os_disk_size_gb"),
        why="a disk only grows",
    ),
    OneWayDoor(
        types=("*_customer_managed_key",),
        why="what is encrypted with a key that is gone cannot be read",
    ),
    OneWayDoor(
        types=("*",),
        attributes=("customer_managed_key*", "*key_vault_key_id"),
        why="what is encrypted with a key that is gone cannot be read",
    ),
    OneWayDoor(
        types=("azurerm_key_vault_secret", "azurerm_key_vault_certificate"),
        attributes=("value", "value_wo*", "certificate*"),
        why="a secret that was rotated may have leaked, and the old one would be in use again",
    ),
    OneWayDoor(
        types=("*",),
        attributes=("*password", "*password_wo"),
        why="a password that was rotated may have leaked, and the old one would be in use again",
    ),
)  # fmt: skip


def doors_before(finding: Finding) -> Iterator[OneWayDoor]:
    return (door for door in ONE_WAY_DOORS if door.stands_before(finding))
