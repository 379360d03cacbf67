"""The cases that golden plans are recorded of: what was deployed, what happened then, and what is to be found in it.

The kinds are those of the table in drift.md. A case without findings is clean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.world.azsim.kinds import DEFAULT_SUBSCRIPTION, NEW_VERSION, OLD_VERSION
from tests.world.sim_cloud import SimCloud

Click = Callable[[SimCloud], object]

_G: Final = '  resource_group_name = "rg-de"\n'
_ACCOUNT_ID: Final = (
    f"/subscriptions/{DEFAULT_SUBSCRIPTION}/resourceGroups/rg-de/providers/Microsoft.Storage/storageAccounts/stde"
)


@dataclass(frozen=True, slots=True)
class Case:
    """`deployed` is applied, `click` happens, `planned` is planned, which is what was deployed where it is empty.

    `unfinished` is applied between the two, and is to fail; `commands` are run after it. `findings` are kinds by address;
    `carried_along` is what the apply would move or import; where a plan is `inconclusive`, for that reason, there is nothing to
    be found in it.
    """

    name: str
    says: str
    deployed: str
    findings: Mapping[str, str] = field(default_factory=dict)
    click: Click = lambda _: None
    planned: str = ""
    unfinished: str = ""
    commands: tuple[tuple[str, ...], ...] = ()
    plan_options: tuple[str, ...] = ()
    version: str = OLD_VERSION
    fails: bool = False
    inconclusive: str = ""
    carried_along: tuple[str, ...] = ()


def _vault(label: str = "main", more: str = "", name: str = "kv-de") -> str:
    return f'resource "azsim_key_vault" "{label}" {{\n  name = "{name}"\n{_G}{more}}}\n'


def _rule(label: str = "ssh", priority: int = 100, more: str = "") -> str:
    return (
        f'resource "azsim_network_security_rule" "{label}" {{\n  name = "ssh"\n{_G}'
        '  network_security_group_name = "hub"\n'
        f'  access = "Deny"\n  priority = {priority}\n{more}}}\n'
    )


def _account(more: str = "", name: str = "stde") -> str:
    return f'resource "azsim_storage_account" "main" {{\n  name = "{name}"\n{_G}{more}}}\n'


_SECRET: Final = (
    'resource "azsim_key_vault_secret" "password" {\n  name = "password"\n  key_vault_id = azsim_key_vault.main.id\n'
    '  value = "planted-password"\n}\n'
)
_KEY_IN_A_SECRET: Final = _SECRET.replace('"planted-password"', "azsim_storage_account.main.primary_key")
_WORKER: Final = f'resource "azsim_hybrid_worker" "main" {{\n  name = "worker"\n{_G}  group = "blue"\n}}\n'
_NETWORK: Final = f"""resource "azsim_virtual_network" "hub" {{
  name = "vnet-de"
{_G}  address_space = ["10.1.0.0/16", "10.0.0.0/16"]
  subnet {{
    name = "b"
    address_prefixes = ["10.0.1.0/24"]
    service_endpoints = ["Microsoft.Storage", "Microsoft.Sql"]
  }}
  subnet {{
    name = "a"
    address_prefixes = ["10.0.0.0/24"]
  }}
}}
"""
_APP: Final = f"""resource "azsim_linux_web_app" "app" {{
  name = "app-de"
{_G}  app_settings = {{ KEY = "planted-setting" }}
  connection_string {{
    name = "db"
    type = "SQLAzure"
    value = "planted-connection"
  }}
}}
"""
_SUBSCRIPTION: Final = 'data "azsim_subscription" "this" {}\n'
_TAGGED_BY_DATA: Final = "  tags = { subscription = data.azsim_subscription.this.display_name }\n"
_IGNORES_TAGS: Final = "  lifecycle {\n    ignore_changes = [tags]\n  }\n"
_TAGGED: Final = '  tags = { owner = "platform" }\n'
_TAGGED_BY_A_NEW_ACCOUNT: Final = (
    '  tags = { owner = "platform", store = azsim_storage_account.main.primary_blob_endpoint }\n'
)
_IGNORES_ACCESS: Final = "  lifecycle {\n    ignore_changes = [access]\n  }\n"
_CREATES_FIRST: Final = "  lifecycle {\n    create_before_destroy = true\n  }\n"
_FAILING_CHECK: Final = (
    'check "access" {\n  assert {\n    condition = azsim_network_security_rule.ssh.access == "Allow"\n'
    '    error_message = "closed"\n  }\n}\n'
)
_SENSITIVE_VARIABLE: Final = (
    'variable "owner" {\n  default = "planted-variable"\n  sensitive = true\n}\n'
    'output "owner" {\n  value = var.owner\n  sensitive = true\n}\n'
)


def _removed(destroy: str) -> str:
    return f"removed {{\n  from = azsim_storage_account.main\n  lifecycle {{\n    destroy = {destroy}\n  }}\n}}\n"


def _output(value: str) -> str:
    return f'output "sku" {{\n  value = "{value}"\n}}\n'


def _opened(cloud: SimCloud) -> object:
    return cloud.change("azsim_network_security_rule.ssh", access="Allow")


def _opened_and_refused(cloud: SimCloud) -> object:
    cloud.fail("azsim_key_vault.kv-de", "read", "AuthorizationFailed: the client has no access.")
    return _opened(cloud)


def _tagged(cloud: SimCloud) -> object:
    return cloud.tag_everything("cost-centre", "42")


_MOVED: Final = "moved {\n  from = azsim_network_security_rule.ssh\n  to = azsim_network_security_rule.renamed\n}\n"
_IMPORT: Final = f'import {{\n  to = azsim_storage_account.main\n  id = "{_ACCOUNT_ID}"\n}}\n'
_RULE: Final = "azsim_network_security_rule.ssh"
_RENAMED: Final = "azsim_network_security_rule.renamed"
_VAULT: Final = "azsim_key_vault.main"
_ACCOUNT: Final = "azsim_storage_account.main"
_PASSWORD: Final = "azsim_key_vault_secret.password"

CASES: Final = (
    Case("no_change", "nothing happened", _rule()),
    Case(
        "in_place_change",
        "somebody opened a rule, and the apply closes it",
        _rule(),
        {_RULE: "portal_drift"},
        _opened,
    ),
    Case(
        "deleted_outside",
        "somebody deleted a vault, and the apply makes it anew; what it computes is unknown until then",
        _vault(),
        {_VAULT: "portal_drift"},
        lambda cloud: cloud.delete("azsim_key_vault.kv-de"),
    ),
    Case(
        "click_forces_replacement",
        "a vault was made anew in another place; the apply deletes it: portal drift, destructive",
        _vault(),
        {_VAULT: "portal_drift"},
        lambda cloud: cloud.change("azsim_key_vault.kv-de", location="northeurope"),
    ),
    Case(
        "change_under_ignore_changes",
        "a policy set a tag where the configuration ignores tags",
        _vault(more=_IGNORES_TAGS),
        {_VAULT: "stale_state"},
        _tagged,
    ),
    Case(
        "change_partly_under_ignore_changes",
        "a tag that is ignored and a sku that is not: the apply undoes the sku only",
        _vault(more=_IGNORES_TAGS),
        {_VAULT: "portal_drift"},
        lambda cloud: cloud.change("azsim_key_vault.kv-de", tags={"a": "b"}, sku_name="premium"),
    ),
    Case(
        "computed_noise",
        "a computed attribute differs at every read",
        _WORKER,
        {"azsim_hybrid_worker.main": "stale_state"},
    ),
    Case(
        "computed_noise_and_a_click",
        "one resource with noise and a click: what is unknown after the apply is the noise, which drifted too",
        _WORKER,
        {"azsim_hybrid_worker.main": "portal_drift"},
        lambda cloud: cloud.change("azsim_hybrid_worker.worker", group="green"),
    ),
    Case(
        "computed_secret_rotated",
        "an account's key, sensitive and computed, was rotated",
        _account(),
        {_ACCOUNT: "stale_state"},
        lambda cloud: cloud.rotate_secret("azsim_storage_account.stde"),
    ),
    Case("output_only_change", "only an output differs", _vault() + _output("a"), planned=_vault() + _output("b")),
    Case("output_removed", "only an output is no longer there", _vault() + _output("a"), planned=_vault()),
    Case("data_source_removed", "a data source is no longer there", _vault() + _SUBSCRIPTION, planned=_vault()),
    Case(
        "data_source_moved",
        "what a data source says differs, and a tag is made of it",
        _SUBSCRIPTION + _vault(more=_TAGGED_BY_DATA),
        {_VAULT: "pending_change"},
        lambda cloud: cloud.move_data_source("azsim_subscription", display_name="renamed"),
    ),
    Case(
        "data_source_read_by_the_apply",
        "a rule drifted, so a data source that depends on it is read at the apply: the read is no finding",
        _rule() + _SUBSCRIPTION.replace("{}", "{\n  depends_on = [azsim_network_security_rule.ssh]\n}"),
        {_RULE: "portal_drift"},
        _opened,
    ),
    Case(
        "moved_block",
        "a resource has another address",
        _rule(),
        planned=_rule("renamed") + _MOVED,
        carried_along=(_RENAMED,),
    ),
    Case(
        "moved_block_and_a_click",
        "a resource has another address, and somebody opened it",
        _rule(),
        {_RENAMED: "portal_drift"},
        _opened,
        planned=_rule("renamed") + _MOVED,
        carried_along=(_RENAMED,),
    ),
    Case(
        "moved_block_and_ignored_drift",
        "a resource has another address, and its drift is ignored: stale, and moved all the same",
        _rule(more=_IGNORES_ACCESS),
        {_RENAMED: "stale_state"},
        _opened,
        planned=_rule("renamed", more=_IGNORES_ACCESS) + _MOVED,
        carried_along=(_RENAMED,),
    ),
    Case(
        "import_block",
        "what was made by hand is imported as it is",
        _vault(),
        click=lambda cloud: cloud.add("azsim_storage_account", name="stde", resource_group_name="rg-de"),
        planned=_vault() + _IMPORT + _account(),
        carried_along=(_ACCOUNT,),
    ),
    Case(
        "import_block_with_a_change",
        "what was made by hand is imported and changed",
        _vault(),
        {_ACCOUNT: "pending_change"},
        lambda cloud: cloud.add("azsim_storage_account", name="stde", resource_group_name="rg-de"),
        planned=_vault() + _IMPORT + _account('  account_replication_type = "GRS"\n'),
        carried_along=(_ACCOUNT,),
    ),
    Case(
        "removed_block_forgets",
        "a resource leaves the state and stays in the cloud: the action `forget`",
        _vault() + _account(),
        {_ACCOUNT: "unsafe"},
        planned=_vault() + _removed("false"),
    ),
    Case(
        "removed_block_destroys",
        "a resource leaves the state and the cloud: pending and destructive",
        _vault() + _account(),
        {_ACCOUNT: "pending_change"},
        planned=_vault() + _removed("true"),
    ),
    Case(
        "provider_upgrade",
        "a newer provider has another default",
        _account(),
        {_ACCOUNT: "pending_change"},
        lambda cloud: cloud.release(NEW_VERSION),
        version=NEW_VERSION,
    ),
    Case(
        "drift_and_pending_change_apart",
        "somebody opened a rule, and another resource is not deployed yet",
        _rule(),
        {_RULE: "portal_drift", _VAULT: "pending_change"},
        _opened,
        planned=_rule() + _vault(),
    ),
    Case(
        "drift_and_pending_change_on_one",
        "somebody opened a rule whose priority the configuration changes",
        _rule(),
        {_RULE: "mixed"},
        _opened,
        planned=_rule(priority=200),
    ),
    Case(
        "ignored_drift_and_a_pending_empty_value",
        "somebody opened a rule, which is ignored; the configuration gives it an empty description, which did not drift",
        _rule(more=_IGNORES_ACCESS),
        {_RULE: "mixed"},
        _opened,
        planned=_rule(more='  description = ""\n' + _IGNORES_ACCESS),
    ),
    Case(
        "tags_emptied",
        "somebody took the tags of a vault away, and the apply puts them back",
        _vault(more=_TAGGED),
        {_VAULT: "portal_drift"},
        lambda cloud: cloud.change("azsim_key_vault.kv-de", tags={}),
    ),
    Case(
        "tags_emptied_and_a_pending_tag",
        "the apply puts the tags back and adds one that is unknown until an account is there",
        _vault(more=_TAGGED),
        {_VAULT: "mixed", _ACCOUNT: "pending_change"},
        lambda cloud: cloud.change("azsim_key_vault.kv-de", tags={}),
        planned=_vault(more=_TAGGED_BY_A_NEW_ACCOUNT) + _account(),
    ),
    Case(
        "deleted_outside_and_a_pending_tag",
        "the apply makes the vault anew, with a tag more that is unknown until an account is there",
        _vault(more=_TAGGED),
        {_VAULT: "mixed", _ACCOUNT: "pending_change"},
        lambda cloud: cloud.delete("azsim_key_vault.kv-de"),
        planned=_vault(more=_TAGGED_BY_A_NEW_ACCOUNT) + _account(),
    ),
    Case(
        "drift_that_the_code_adopted",
        "somebody opened a rule, and the configuration says the same by now: nothing is to be done",
        _rule(),
        {_RULE: "stale_state"},
        _opened,
        planned=_rule().replace("Deny", "Allow"),
    ),
    Case(
        "drift_to_a_third_value",
        "priority 100 was clicked to 99 and the configuration wants 200: the apply changes what drifted, but reverts nothing",
        _rule(),
        {_RULE: "mixed"},
        lambda cloud: cloud.change("azsim_network_security_rule.ssh", priority=99),
        planned=_rule(priority=200),
    ),
    Case(
        "sensitive_attribute_drifted",
        "a secret's value was replaced, and with it its version, which is unknown after the apply",
        _vault() + _SECRET,
        {_PASSWORD: "portal_drift"},
        lambda cloud: cloud.rotate_secret("azsim_key_vault_secret.password"),
    ),
    Case(
        "sensitive_attribute_in_a_set",
        "a block of a set was deleted in which one attribute is sensitive: all of the set is",
        _APP,
        {"azsim_linux_web_app.app": "portal_drift"},
        lambda cloud: cloud.change("azsim_linux_web_app.app-de", connection_string=[]),
    ),
    Case(
        "sensitive_variable_and_output",
        "a tag is made of a sensitive variable, and somebody changed the tag",
        _SENSITIVE_VARIABLE + _vault(more="  tags = { owner = var.owner }\n"),
        {_VAULT: "portal_drift"},
        lambda cloud: cloud.change("azsim_key_vault.kv-de", tags={"owner": "somebody"}),
    ),
    Case(
        "deleted_outside_with_a_dependant",
        "an account was deleted; its new key is unknown, so the secret that holds it changes too, without drift of its own",
        _account() + _vault() + _KEY_IN_A_SECRET,
        {_ACCOUNT: "portal_drift", _PASSWORD: "pending_change"},
        lambda cloud: cloud.delete("azsim_storage_account.stde"),
    ),
    Case(
        "blocks_of_a_set_changed",
        "a subnet was changed and another deleted",
        _NETWORK,
        {"azsim_virtual_network.hub": "portal_drift"},
        lambda cloud: cloud.change(
            "azsim_virtual_network.vnet-de", subnet=[{"name": "a", "address_prefixes": ["10.0.9.0/24"]}]
        ),
    ),
    Case(
        "set_elements_moved",
        "the cloud gives its sets in another order",
        _NETWORK,
        click=lambda cloud: cloud.change(
            "azsim_virtual_network.vnet-de",
            address_space=["10.0.0.0/16", "10.1.0.0/16"],
            subnet=[
                {"name": "a", "address_prefixes": ["10.0.0.0/24"]},
                {
                    "name": "b",
                    "address_prefixes": ["10.0.1.0/24"],
                    "service_endpoints": ["Microsoft.Sql", "Microsoft.Storage"],
                },
            ],
        ),
    ),
    Case(
        "policy_tags_everything",
        "Azure Policy set a tag on all that has tags",
        _account() + _vault() + _NETWORK + _rule(),
        {_ACCOUNT: "portal_drift", _VAULT: "portal_drift", "azsim_virtual_network.hub": "portal_drift"},
        _tagged,
    ),
    Case(
        "one_of_many_instances",
        "one of the instances of a `for_each` was changed",
        _vault(more='  for_each = toset(["a", "b \\"quoted\\""])\n').replace(
            '"kv-de"', '"kv-${substr(each.key, 0, 1)}"'
        ),
        {'azsim_key_vault.main["b \\"quoted\\""]': "portal_drift"},
        lambda cloud: cloud.change("azsim_key_vault.kv-b", sku_name="premium"),
    ),
    Case(
        "tainted",
        "Terraform was told that a resource is broken: pending and destructive",
        _vault(),
        {_VAULT: "pending_change"},
        commands=(("taint", "azsim_key_vault.main"),),
    ),
    Case(
        "deposed_object",
        "a replacement made the new account and could not delete the old one, which is deposed",
        _account(_CREATES_FIRST),
        {_ACCOUNT: "pending_change"},
        lambda cloud: cloud.fail("azsim_storage_account.stde", "delete", "ScopeLocked"),
        planned=_account(_CREATES_FIRST, "stnew"),
        unfinished=_account(_CREATES_FIRST, "stnew"),
    ),
    Case("failing_check", "a check block fails: no finding", _rule() + _FAILING_CHECK),
    Case(
        "targeted_plan",
        "a plan of a part is not complete: inconclusive, whatever it holds",
        _rule() + _vault(),
        click=_opened,
        plan_options=("-target=azsim_network_security_rule.ssh",),
        inconclusive="incomplete",
    ),
    Case(
        "errored_plan",
        "the cloud refused one read: inconclusive, whatever it holds",
        _rule() + _vault(),
        click=_opened_and_refused,
        fails=True,
        inconclusive="errored",
    ),
)
