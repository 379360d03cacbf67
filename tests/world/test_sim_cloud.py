"""Proofs that the simulated cloud and its provider behave as Azure's do, through plans and applies of the real Terraform."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.world.azsim.cloud_file import CloudFile
from tests.world.azsim.kinds import KINDS, NEW_VERSION
from tests.world.sim_cloud import NoSuchResourceError, SimCloud, id_in_state, make_sim_cloud, using_azsim
from tests.world.terraform_backend import TerraformFailedError, TerraformStack, TerraformWorld

GROUP = '  resource_group_name = "rg-de"\n'
RULE = f"""
resource "azsim_network_security_rule" "ssh" {{
  name = "ssh"
{GROUP}  network_security_group_name = "hub"
  access   = "Deny"
  priority = 100
}}
"""
STORAGE = f"""
resource "azsim_storage_account" "main" {{
  name = "stde"
{GROUP}}}
"""
GATEWAY = f"""
resource "azsim_virtual_network_gateway" "slow" {{
  name = "gw"
{GROUP}  provisioning_seconds = 20
}}
"""
EVERYTHING = (
    RULE
    + STORAGE
    + f"""
data "azsim_client_config" "me" {{}}
data "azsim_subscription" "this" {{}}
resource "azsim_resource_group" "main" {{
  name = "rg-de"
  tags = {{ owner = data.azsim_client_config.me.object_id }}
}}
resource "azsim_key_vault" "main" {{
  name = "kv-de"
{GROUP}  tags = {{ env = "test" }}
}}
resource "azsim_key_vault" "deleted" {{
  name = "kv-deleted"
{GROUP}}}
resource "azsim_key_vault" "replaced" {{
  name = "kv-replaced"
{GROUP}}}
resource "azsim_key_vault_secret" "password" {{
  name         = "password"
  key_vault_id = azsim_key_vault.main.id
  value        = "planted-password"
}}
resource "azsim_virtual_network" "hub" {{
  name = "vnet-de"
{GROUP}  address_space = ["10.1.0.0/16", "10.0.0.0/16"]
  subnet {{
    name             = "a"
    address_prefixes = ["10.0.0.0/24"]
  }}
  subnet {{
    name              = "b"
    address_prefixes  = ["10.0.1.0/24"]
    service_endpoints = ["Microsoft.Storage", "Microsoft.Sql"]
  }}
}}
resource "azsim_linux_web_app" "app" {{
  name = "app-de"
{GROUP}  app_settings = {{ KEY = "planted-setting" }}
  connection_string {{
    name  = "db"
    type  = "SQLAzure"
    value = "planted-connection"
  }}
}}
resource "azsim_hybrid_worker" "main" {{
  name = "worker"
{GROUP}}}
"""
)


@dataclass(frozen=True, slots=True)
class Stack:
    """A root module, and the cloud that it is deployed to."""

    terraform: TerraformStack
    cloud: SimCloud

    def deploy(self, main_tf: str) -> None:
        self.write(main_tf)
        self.terraform.init()
        self.terraform.apply()

    def write(self, main_tf: str, version: str = "1.0.0") -> None:
        self.terraform.write(using_azsim(version, client_secret="planted-client-secret") + main_tf)

    @property
    def plan_file(self) -> Path:
        return self.terraform.folder / "plan"

    def plan(self) -> Plan:
        self.terraform.plan(lock=False, out=self.plan_file)
        return Plan(self.terraform.show_plan(self.plan_file))


@dataclass(frozen=True, slots=True)
class Plan:
    shown: dict[str, Any]

    def drift(self, address: str) -> dict[str, Any]:
        return _change(self.shown.get("resource_drift", []), address)

    def change(self, address: str) -> dict[str, Any]:
        return _change(self.shown["resource_changes"], address)

    @property
    def drifted(self) -> set[str]:
        return {one["address"] for one in self.shown.get("resource_drift", [])}

    @property
    def changed(self) -> set[str]:
        return {one["address"] for one in self.shown["resource_changes"] if one["change"]["actions"] != ["no-op"]}


def _change(changes: list[dict[str, Any]], address: str) -> dict[str, Any]:
    (found,) = [one["change"] for one in changes if one["address"] == address]
    return dict(found)


def changed_attributes(change: dict[str, Any]) -> set[str]:
    before, after, unknown = change["before"], change["after"], change["after_unknown"]
    return {name for name in before if name in unknown or before[name] != after.get(name)}


def make_stack(world: TerraformWorld, folder: Path, *, packed: bool = False) -> Stack:
    cloud = make_sim_cloud(folder / "cloud", packed=packed)
    key = f"{uuid.uuid4()}/network.tfstate"
    return Stack(world.stack(folder / "stack", key=key, environment=cloud.environment), cloud)


@pytest.fixture
def stack(terraform_world: TerraformWorld, tmp_path: Path) -> Stack:
    return make_stack(terraform_world, tmp_path)


@pytest.fixture
def cloud(tmp_path: Path) -> SimCloud:
    return make_sim_cloud(tmp_path / "cloud")


@dataclass(frozen=True, slots=True)
class Clicked:
    """Everything deployed once, planned, then clicked in at many places at once and planned again."""

    stack: Stack
    state: dict[str, Any]
    untouched: Plan
    wrote_nothing: bool
    rotated: str
    plan: Plan


@pytest.fixture(scope="module")
def clicked(terraform_world: TerraformWorld, tmp_path_factory: pytest.TempPathFactory) -> Clicked:
    stack = make_stack(terraform_world, tmp_path_factory.mktemp("clicked"))
    cloud = stack.cloud
    stack.deploy(EVERYTHING)
    deployed = cloud.bytes()
    untouched = stack.plan()
    wrote_nothing = cloud.bytes() == deployed
    cloud.change("azsim_network_security_rule.ssh", access="Allow", priority=99)
    cloud.change("azsim_virtual_network.vnet-de", subnet=[{"name": "a", "address_prefixes": ["10.0.9.0/24"]}])
    cloud.change("azsim_linux_web_app.app-de", connection_string=[], app_settings=None)
    cloud.change("azsim_key_vault.kv-replaced", location="northeurope")
    cloud.delete("azsim_key_vault.kv-deleted")
    cloud.rotate_secret("azsim_storage_account.stde")
    rotated = cloud.rotate_secret("azsim_key_vault_secret.password")
    cloud.tag_everything("cost-centre", "42")
    cloud.move_data_source("azsim_client_config", object_id="object-2")
    return Clicked(stack, stack.terraform.state_pull(), untouched, wrote_nothing, rotated, stack.plan())


@pytest.mark.terraform
class TestOnePlan:
    def test_a_plan_of_what_is_deployed_changes_nothing_and_writes_nothing(self, clicked: Clicked) -> None:
        assert clicked.untouched.changed == set()
        assert clicked.wrote_nothing

    def test_noise_is_drift_that_no_change_answers(self, clicked: Clicked) -> None:
        assert clicked.untouched.drifted == {"azsim_hybrid_worker.main"}
        assert changed_attributes(clicked.untouched.drift("azsim_hybrid_worker.main")) == {"last_seen_at"}
        assert clicked.plan.change("azsim_hybrid_worker.main")["actions"] == ["no-op"]

    def test_a_click_is_drift_and_the_change_that_undoes_it(self, clicked: Clicked) -> None:
        drift = clicked.plan.drift("azsim_network_security_rule.ssh")
        change = clicked.plan.change("azsim_network_security_rule.ssh")
        assert (drift["before"], drift["after"]) == (change["after"], change["before"])
        assert changed_attributes(drift) == {"access", "priority"}
        assert change["actions"] == ["update"]

    def test_a_resource_that_was_deleted_is_made_anew(self, clicked: Clicked) -> None:
        assert clicked.plan.drift("azsim_key_vault.deleted")["actions"] == ["delete"]
        assert clicked.plan.change("azsim_key_vault.deleted")["actions"] == ["create"]

    def test_a_click_on_what_cannot_be_changed_in_place_is_a_replacement(self, clicked: Clicked) -> None:
        assert clicked.plan.drift("azsim_key_vault.replaced")["actions"] == ["update"]
        change = clicked.plan.change("azsim_key_vault.replaced")
        assert change["actions"] == ["delete", "create"]
        assert change["replace_paths"] == [["location"]]

    def test_a_policy_tags_all_that_has_tags(self, clicked: Clicked) -> None:
        assert clicked.plan.drift("azsim_key_vault.main")["after"]["tags"] == {"env": "test", "cost-centre": "42"}
        assert clicked.plan.change("azsim_key_vault.main")["after"]["tags"] == {"env": "test"}
        assert clicked.plan.change("azsim_storage_account.main")["after"]["tags"] is None
        assert "tags" not in clicked.plan.drift("azsim_network_security_rule.ssh")["after"]

    def test_a_sensitive_value_is_in_clear_and_marked(self, clicked: Clicked) -> None:
        drift = clicked.plan.drift("azsim_key_vault_secret.password")
        assert (drift["before"]["value"], drift["after"]["value"]) == ("planted-password", clicked.rotated)
        assert drift["before_sensitive"]["value"] is True
        change = clicked.plan.change("azsim_key_vault_secret.password")
        assert change["before_sensitive"]["value"] is change["after_sensitive"]["value"] is True

    def test_a_secret_with_another_value_gets_a_version_that_is_known_after_the_apply(self, clicked: Clicked) -> None:
        assert "version" in changed_attributes(clicked.plan.drift("azsim_key_vault_secret.password"))
        assert clicked.plan.change("azsim_key_vault_secret.password")["after_unknown"] == {"version": True}

    def test_a_computed_secret_that_was_rotated_stays_as_it_is(self, clicked: Clicked) -> None:
        assert changed_attributes(clicked.plan.drift("azsim_storage_account.main")) == {"primary_key", "tags"}
        assert changed_attributes(clicked.plan.change("azsim_storage_account.main")) == {"tags"}

    def test_a_sensitive_attribute_within_a_set_hides_the_whole_set(self, clicked: Clicked) -> None:
        drift = clicked.plan.drift("azsim_linux_web_app.app")
        assert drift["before_sensitive"] == {"app_settings": True, "connection_string": True}
        assert changed_attributes(drift) == {"app_settings", "connection_string", "tags"}

    def test_blocks_and_sets_are_restored_whole(self, clicked: Clicked) -> None:
        drift = clicked.plan.drift("azsim_virtual_network.hub")
        assert changed_attributes(drift) == {"subnet", "tags"}
        assert drift["before"]["address_space"] == ["10.0.0.0/16", "10.1.0.0/16"]
        assert clicked.plan.change("azsim_virtual_network.hub")["after"]["subnet"] == drift["before"]["subnet"]

    def test_a_data_source_that_moved_reaches_what_is_made_of_it(self, clicked: Clicked) -> None:
        assert clicked.plan.drift("azsim_resource_group.main")["before"]["tags"] == {"owner": "object-1"}
        assert clicked.plan.change("azsim_resource_group.main")["after"]["tags"] == {"owner": "object-2"}

    @pytest.mark.parametrize(
        ("address", "resource"),
        [
            ("azsim_key_vault.main", "azsim_key_vault.kv-de"),
            ("azsim_key_vault_secret.password", "azsim_key_vault_secret.password"),
        ],
    )
    def test_an_address_leads_to_the_id_in_the_cloud(self, clicked: Clicked, address: str, resource: str) -> None:
        assert id_in_state(clicked.state, address) == clicked.stack.cloud.id_of(resource)

    def test_all_that_is_secret_in_the_cloud_is_known(self, clicked: Clicked) -> None:
        account_key = clicked.stack.cloud.attributes("azsim_storage_account.stde")["primary_key"]
        assert clicked.stack.cloud.secrets() == {account_key, clicked.rotated}


@pytest.mark.terraform
class TestApplies:
    def test_the_apply_that_heals_leaves_serial_and_cloud_as_they_were(self, stack: Stack) -> None:
        stack.deploy(RULE)
        serial, deployed = stack.terraform.serial(), stack.cloud.bytes()
        stack.cloud.change("azsim_network_security_rule.ssh", access="Allow")
        assert stack.plan().changed == {"azsim_network_security_rule.ssh"}
        stack.terraform.apply(plan_file=stack.plan_file)
        assert stack.terraform.serial() == serial
        assert stack.cloud.bytes() == deployed

    def test_moved_import_and_removed_blocks(self, stack: Stack) -> None:
        stack.deploy(RULE + STORAGE)
        unmanaged = stack.cloud.add("azsim_key_vault", name="kv-by-hand", resource_group_name="rg-de")
        before = stack.cloud.bytes()
        imported = f'resource "azsim_key_vault" "imported" {{\n  name = "kv-by-hand"\n{GROUP}}}\n'
        stack.write(
            RULE.replace('"ssh" {', '"renamed" {')
            + "moved {\n  from = azsim_network_security_rule.ssh\n  to = azsim_network_security_rule.renamed\n}\n"
            + f'import {{\n  to = azsim_key_vault.imported\n  id = "{unmanaged}"\n}}\n{imported}'
            + "removed {\n  from = azsim_storage_account.main\n  lifecycle {\n    destroy = false\n  }\n}\n"
        )
        plan = stack.plan()
        assert {one["address"]: one["change"]["actions"] for one in plan.shown["resource_changes"]} == {
            "azsim_key_vault.imported": ["no-op"],
            "azsim_network_security_rule.renamed": ["no-op"],
            "azsim_storage_account.main": ["forget"],
        }
        stack.terraform.apply(plan_file=stack.plan_file)
        assert stack.cloud.bytes() == before
        assert stack.terraform.run("state", "list").split() == [
            "azsim_key_vault.imported",
            "azsim_network_security_rule.renamed",
        ]

    def test_a_provider_with_another_default_is_a_change_without_drift(self, stack: Stack) -> None:
        stack.deploy(STORAGE)
        stack.cloud.release(NEW_VERSION)
        stack.write(STORAGE, NEW_VERSION)
        stack.terraform.run("init", "-upgrade")
        plan = stack.plan()
        assert plan.drifted == set()
        assert changed_attributes(plan.change("azsim_storage_account.main")) == {"min_tls_version"}

    def test_a_packed_provider_is_unpacked_into_the_cache(
        self, terraform_world: TerraformWorld, tmp_path: Path
    ) -> None:
        packed = make_stack(terraform_world, tmp_path, packed=True)
        cache = tmp_path / "cache"
        cache.mkdir()
        environment = {**packed.terraform.environment, "TF_PLUGIN_CACHE_DIR": str(cache)}
        Stack(replace(packed.terraform, environment=environment), packed.cloud).deploy(RULE)
        (cached,) = cache.rglob("terraform-provider-*")
        assert cached.is_file()
        assert cached.resolve().is_relative_to(cache)

    def test_what_the_cloud_refuses_is_an_error_with_its_words(self, stack: Stack) -> None:
        stack.cloud.add(
            "azsim_network_security_rule",
            name="ssh",
            resource_group_name="rg-de",
            network_security_group_name="hub",
        )
        with pytest.raises(TerraformFailedError, match="already exists"):
            stack.deploy(RULE)
        stack.cloud.delete("azsim_network_security_rule.ssh")
        stack.terraform.apply()
        stack.cloud.fail("azsim_network_security_rule.ssh", "read", "AuthorizationFailed")
        with pytest.raises(TerraformFailedError, match="AuthorizationFailed"):
            stack.plan()
        stack.cloud.recover()
        assert stack.plan().changed == set()

    @pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
    def test_terraform_ends_in_the_middle_of_a_slow_create(self, stack: Stack, kill: signal.Signals) -> None:
        stack.write(GATEWAY)
        stack.terraform.init()
        with subprocess.Popen(
            [stack.terraform.executable, "apply", "-auto-approve"],
            cwd=stack.terraform.folder,
            env=dict(stack.terraform.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        ) as applying:
            begun = stack.cloud.wait_until_provisioning()
            os.killpg(applying.pid, kill)
            said, _ = applying.communicate(timeout=15)
        assert applying.returncode != 0
        assert stack.cloud.provisioning() == [begun]
        resources = stack.terraform.run("state", "list").split()
        if kill == signal.SIGINT:
            assert "was cancelled" in said
            assert resources == ["azsim_virtual_network_gateway.slow"]
        else:
            assert resources == []

    def test_two_stacks_are_applied_to_one_cloud_at_once(self, terraform_world: TerraformWorld, stack: Stack) -> None:
        folder = stack.terraform.folder.with_name("other")
        other = Stack(
            terraform_world.stack(folder, key=f"{uuid.uuid4()}/a.tfstate", environment=stack.cloud.environment),
            stack.cloud,
        )
        many = 'resource "azsim_key_vault" "main" {{\n  count = 15\n  name = "{}-${{count.index}}"\n' + GROUP + "}}\n"
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(one.deploy, many.format(name)) for name, one in (("a", stack), ("b", other))]
        assert [one.result() for one in done] == [None, None]
        assert len(stack.cloud.snapshot()) == 30


def add_one(file: CloudFile, name: str) -> None:
    with file.edit() as content:
        content["resources"][name] = {}


class TestClicks:
    def test_writers_at_once_lose_nothing(self, cloud: SimCloud) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: add_one(cloud.file, str(number)), range(100)))
        assert len(cloud.file.read()["resources"]) == 100

    def test_an_edit_that_fails_or_changes_nothing_leaves_the_file_alone(self, cloud: SimCloud) -> None:
        before = cloud.file.path.stat()
        with pytest.raises(NoSuchResourceError):
            cloud.change("azsim_key_vault.missing", sku_name="premium")
        cloud.recover()
        assert cloud.file.path.stat() == before

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
    def test_a_resource_of_any_kind_can_be_added_and_deleted(self, cloud: SimCloud, kind: Any) -> None:
        before = cloud.bytes()
        required = {attribute.name: "x" for attribute in kind.attributes if attribute.presence == "required"}
        added = cloud.add(kind.type, **required)
        assert added.startswith("/subscriptions/") or kind.name == "key_vault_secret"
        assert set(cloud.attributes(f"{kind.type}.x")) == set(kind.names)
        cloud.delete(added)
        assert cloud.bytes() == before

    @pytest.mark.parametrize(
        "click",
        [
            lambda cloud: cloud.change("azsim_key_vault.kv", sku="premium"),
            lambda cloud: cloud.move_data_source("azsim_subscription", name="x"),
        ],
        ids=["a resource", "a data source"],
    )
    def test_an_attribute_that_does_not_exist_is_a_mistake_of_the_test(
        self, cloud: SimCloud, click: Callable[[SimCloud], None]
    ) -> None:
        cloud.add("azsim_key_vault", name="kv", resource_group_name="rg")
        with pytest.raises(AssertionError):
            click(cloud)

    def test_a_name_that_is_in_two_subscriptions_is_not_enough(self, cloud: SimCloud) -> None:
        cloud.add("azsim_key_vault", name="kv", resource_group_name="rg")
        other = cloud.add("azsim_key_vault", name="kv", resource_group_name="rg", subscription="other")
        with pytest.raises(NoSuchResourceError):
            cloud.id_of("azsim_key_vault.kv")
        assert cloud.id_of(other) == other
