"""What can be had in the simulated cloud. Data only, so that a test can read it without the provider's libraries."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

JsonObject = dict[str, Any]
Shape = Literal["string", "number", "bool", "strings", "set of strings", "map of strings"]
Presence = Literal["required", "optional", "computed"]
Compute = Callable[[JsonObject], Any]

DEFAULT_SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000001"
OLD_VERSION: Final = "1.0.0"
NEW_VERSION: Final = "1.1.0"
"""Differs from the old one in the default of `azsim_storage_account.min_tls_version` alone."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. `default` is what the provider plans where the configuration is silent."""

    name: str
    shape: Shape = "string"
    presence: Presence = "optional"
    sensitive: bool = False
    forces_replacement: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Block:
    """A set of nested blocks."""

    name: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource type.

    `computed` are made on creation. `recomputed` are made again by an update of the attribute they are listed under.
    `on_read` are made at every read and are never in the cloud. `slow` takes `provisioning_seconds` to create and update.
    """

    name: str
    id: str
    attributes: tuple[Attribute, ...]
    blocks: tuple[Block, ...] = ()
    computed: Mapping[str, Compute] = field(default_factory=dict)
    recomputed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_read: Mapping[str, Compute] = field(default_factory=dict)
    slow: bool = False

    @property
    def type(self) -> str:
        return f"azsim_{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """Attributes and blocks, without the id."""
        return (*(attribute.name for attribute in self.attributes), *(block.name for block in self.blocks))

    @property
    def has_tags(self) -> bool:
        return "tags" in self.names

    @property
    def sensitive(self) -> frozenset[str]:
        return frozenset(attribute.name for attribute in self.attributes if attribute.sensitive)

    def defaults(self, version: str) -> JsonObject:
        defaults = {a.name: a.default for a in self.attributes if a.default is not None}
        if version != OLD_VERSION and "min_tls_version" in defaults:
            defaults["min_tls_version"] = "TLS1_2"
        return defaults

    def id_of(self, attributes: Mapping[str, Any], subscription: str) -> str:
        return self.id.format_map({"subscription": subscription, **attributes})


def new_secret() -> str:
    """Look like an access key of Azure, and like nothing else a test may grep for."""
    return base64.b64encode(os.urandom(48)).decode()


def _hex(length: int) -> str:
    return os.urandom(length).hex()


def _now(_: JsonObject) -> str:
    """To the nanosecond: two reads are never equal."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09}Z"


_GROUP: Final = "/subscriptions/{subscription}/resourceGroups/{resource_group_name}"
_NAMED: Final = (
    Attribute("name", presence="required", forces_replacement=True),
    Attribute("resource_group_name", presence="required", forces_replacement=True),
)
_PLACED: Final = (*_NAMED, Attribute("location", forces_replacement=True, default="westeurope"))
_TAGS: Final = Attribute("tags", "map of strings")

KINDS: Final = (
    Kind(
        "resource_group",
        "/subscriptions/{subscription}/resourceGroups/{name}",
        (
            Attribute("name", presence="required", forces_replacement=True),
            Attribute("location", forces_replacement=True, default="westeurope"),
            _TAGS,
        ),
    ),
    Kind(
        "network_security_rule",
        _GROUP
        + "/providers/Microsoft.Network/networkSecurityGroups/{network_security_group_name}/securityRules/{name}",
        (
            *_NAMED,
            Attribute("network_security_group_name", presence="required", forces_replacement=True),
            Attribute("access", presence="required"),
            Attribute("priority", "number", "required"),
            Attribute("direction", default="Inbound"),
            Attribute("protocol", default="Tcp"),
            Attribute("source_address_prefix", default="*"),
            Attribute("destination_port_ranges", "set of strings"),
            Attribute("description"),
        ),
    ),
    Kind(
        "key_vault",
        _GROUP + "/providers/Microsoft.KeyVault/vaults/{name}",
        (
            *_PLACED,
            Attribute("sku_name", default="standard"),
            Attribute("soft_delete_enabled", "bool", default=True),
            Attribute("purge_protection_enabled", "bool", default=False),
            Attribute("vault_uri", presence="computed"),
            _TAGS,
        ),
        computed={"vault_uri": lambda planned: f"https://{planned['name']}.vault.azure.net/"},
    ),
    Kind(
        "key_vault_secret",
        "{key_vault_id}/secrets/{name}",
        (
            Attribute("name", presence="required", forces_replacement=True),
            Attribute("key_vault_id", presence="required", forces_replacement=True),
            Attribute("value", presence="required", sensitive=True),
            Attribute("content_type"),
            Attribute("version", presence="computed"),
            _TAGS,
        ),
        computed={"version": lambda _: _hex(16)},
        recomputed={"value": ("version",)},
    ),
    Kind(
        "storage_account",
        _GROUP + "/providers/Microsoft.Storage/storageAccounts/{name}",
        (
            *_PLACED,
            Attribute("account_replication_type", default="LRS"),
            Attribute("min_tls_version", default="TLS1_0"),
            Attribute("primary_blob_endpoint", presence="computed"),
            Attribute("primary_key", presence="computed", sensitive=True),
            _TAGS,
        ),
        computed={
            "primary_blob_endpoint": lambda planned: f"https://{planned['name']}.blob.core.windows.net/",
            "primary_key": lambda _: new_secret(),
        },
    ),
    Kind(
        "virtual_network",
        _GROUP + "/providers/Microsoft.Network/virtualNetworks/{name}",
        (
            *_PLACED,
            Attribute("address_space", "set of strings", "required"),
            Attribute("dns_servers", "strings"),
            Attribute("guid", presence="computed"),
            _TAGS,
        ),
        blocks=(
            Block(
                "subnet",
                (
                    Attribute("name", presence="required"),
                    Attribute("address_prefixes", "strings", "required"),
                    Attribute("service_endpoints", "set of strings"),
                ),
            ),
        ),
        computed={"guid": lambda _: _hex(16)},
    ),
    Kind(
        "linux_web_app",
        _GROUP + "/providers/Microsoft.Web/sites/{name}",
        (
            *_PLACED,
            Attribute("https_only", "bool", default=False),
            Attribute("app_settings", "map of strings", sensitive=True),
            Attribute("default_hostname", presence="computed"),
            _TAGS,
        ),
        blocks=(
            Block(
                "connection_string",
                (
                    Attribute("name", presence="required"),
                    Attribute("type", presence="required"),
                    Attribute("value", presence="required", sensitive=True),
                ),
            ),
        ),
        computed={"default_hostname": lambda planned: f"{planned['name']}.azurewebsites.net"},
    ),
    Kind(
        "virtual_network_gateway",
        _GROUP + "/providers/Microsoft.Network/virtualNetworkGateways/{name}",
        (
            *_PLACED,
            Attribute("sku", default="VpnGw1"),
            Attribute("shared_key", sensitive=True),
            Attribute("provisioning_seconds", "number", default=2),
            _TAGS,
        ),
        slow=True,
    ),
    Kind(
        "hybrid_worker",
        _GROUP + "/providers/Microsoft.Automation/automationAccounts/automation/hybridRunbookWorkers/{name}",
        (*_NAMED, Attribute("group"), Attribute("last_seen_at", presence="computed")),
        on_read={"last_seen_at": _now},
    ),
)
KIND_OF: Final = MappingProxyType({kind.type: kind for kind in KINDS})

DATA_SOURCES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "azsim_client_config": ("client_id", "object_id", "subscription_id", "tenant_id"),
        "azsim_subscription": ("display_name", "quota_id", "subscription_id"),
    }
)
"""All attributes are computed strings; `subscription_id` is the provider's, the others are the cloud's."""

EMPTY_CLOUD: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "resources": {},
        "faults": {},
        "data_sources": {
            "azsim_client_config": {"client_id": "client-1", "object_id": "object-1", "tenant_id": "tenant-1"},
            "azsim_subscription": {"display_name": "trueup-test", "quota_id": "PayAsYouGo_2014-09-01"},
        },
    }
)
