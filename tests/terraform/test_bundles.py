"""Bundles of root modules that the real Terraform deployed, planned elsewhere once all they came from is gone."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.bundle_unpacking import unpack_bundle
from adapters.bundle_zip import pack_bundle
from adapters.terraform_backend import AzurermBackend, read_backend
from records.bundles import PackedBundle
from tests.world.terraform_backend import TerraformStack, TerraformWorld

pytestmark = pytest.mark.terraform

MAX_BYTES = 1024**2

HERE = """
resource "terraform_data" "here" {
  input = "${path.module} ${path.root}"
}
"""
GIT_MODULES = """
module "hub" {
  source = "git::file://%s//hub?ref=v1.0.0"
}
"""
LOCAL_MODULE = """
module "vault" {
  source = "./modules/vault"
}
"""
VARIABLES = """
variable "market" {}
variable "size" {}
variable "region" {}
resource "terraform_data" "values" {
  input = "${var.market} ${var.size} ${var.region}"
}
"""


def write(top: Path, tree: dict[str, str]) -> None:
    for name, content in tree.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def repository(folder: Path, tree: dict[str, str]) -> Path:
    """A git repository with one commit, tagged v1.0.0."""
    write(folder, tree)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    for arguments in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "Modules"), ("tag", "v1.0.0")):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    return folder


def unpacked(bundle: PackedBundle, stack: TerraformStack, into: Path) -> TerraformStack:
    """The same stack, as it is in its bundle."""
    unpack_bundle(bundle.content, into, sha256=bundle.sha256, max_bytes=MAX_BYTES)
    return replace(stack, folder=into / (bundle.root or ""))


def init_and_plan(stack: TerraformStack) -> tuple[bool, str]:
    """Whether a plan of what is there has changes, and what `init` and `plan` wrote."""
    backend = {"storage_account_name": stack.account.name, "container_name": stack.container, "key": stack.key}
    options = [f"-backend-config={name}={value}" for name, value in backend.items()]
    said = stack.run("init", "-input=false", "-lockfile=readonly", *options)
    plan = stack.plan("-input=false", lock=False)
    return plan.has_changes, said + plan.text


def inputs(stack: TerraformStack) -> dict[str, str]:
    """What the resources of the state were given, by module."""
    resources = stack.state_pull()["resources"]
    return {
        f"{resource.get('module', '')}.{resource['name']}".lstrip("."): resource["instances"][0]["attributes"]["input"][
            "value"
        ]
        for resource in resources
    }


def deploy(
    world: TerraformWorld, folder: Path, tree: dict[str, str], *, name: str, variables: Sequence[str] = ()
) -> TerraformStack:
    stack = world.stack(folder, key=f"de/{name}.tfstate", container="bundles")
    write(folder, tree)
    stack.init()
    stack.apply(*variables)
    return stack


def test_local_nested_and_git_modules_are_planned_without_changes_once_their_sources_are_gone(
    terraform_world: TerraformWorld, tmp_path: Path
) -> None:
    firewall = repository(tmp_path / "git/firewall", {"main.tf": HERE, "rules.json": "[]"})
    network = repository(
        tmp_path / "git/network",
        {
            ".gitignore": "*.json\n",
            "common/main.tf": HERE,
            "hub/main.tf": HERE + 'module "common" { source = "../common" }\n'
            f'module "firewall" {{ source = "git::file://{firewall}?ref=v1.0.0" }}\n',
        },
    )
    tree = {
        "main.tf": HERE + LOCAL_MODULE + GIT_MODULES % network,
        "modules/vault/main.tf": HERE + 'module "roles" { source = "./roles" }\n',
        "modules/vault/roles/main.tf": HERE,
        ".gitignore": ".terraform/\n",
    }
    stack = deploy(terraform_world, tmp_path / "deployed", tree, name="modules")
    assert inputs(stack) == {
        "here": ". .",
        "module.vault.here": "modules/vault .",
        "module.vault.module.roles.here": "modules/vault/roles .",
        "module.hub.here": ".terraform/modules/hub/hub .",
        "module.hub.module.common.here": ".terraform/modules/hub/common .",
        "module.hub.module.firewall.here": ".terraform/modules/hub.firewall .",
    }
    bundle = pack_bundle(stack.folder, max_bytes=MAX_BYTES)
    assert {pin.name: pin.source for pin in bundle.modules} == {
        "hub": f"git::file://{network}//hub?ref=v1.0.0",
        "hub.common": "../common",
        "hub.firewall": f"git::file://{firewall}?ref=v1.0.0",
        "vault": "./modules/vault",
        "vault.roles": "./roles",
    }
    shutil.rmtree(tmp_path / "git")
    shutil.rmtree(stack.folder)
    elsewhere = unpacked(bundle, stack, tmp_path / "elsewhere")
    has_changes, said = init_and_plan(elsewhere)
    assert not has_changes, said
    assert "Downloading" not in said
    assert pack_bundle(elsewhere.folder, max_bytes=MAX_BYTES).sha256 == bundle.sha256


def test_a_module_outside_the_root_module_and_one_behind_a_link_are_where_they_were(
    terraform_world: TerraformWorld, tmp_path: Path
) -> None:
    repo = tmp_path / "repo"
    write(repo, {"modules/y/main.tf": HERE, "modules/y/data.txt": "y", "modules/other/main.tf": "not even HCL"})
    write(tmp_path, {"srv/z/main.tf": HERE})
    (repo / "stacks/network").mkdir(parents=True)
    (repo / "stacks/network/linked").symlink_to("../../modules/y")
    calls = f"""
module "y" {{ source = "../../modules/y" }}
module "linked" {{ source = "./linked" }}
module "z" {{ source = "{tmp_path}/srv/z" }}
"""
    stack = deploy(terraform_world, repo / "stacks/network", {"main.tf": HERE + calls}, name="outside")
    assert inputs(stack)["module.linked.here"] == inputs(stack)["module.y.here"] == "../../modules/y ."
    bundle = pack_bundle(stack.folder, max_bytes=MAX_BYTES)
    assert bundle.root == "stacks/network"
    shutil.rmtree(repo)
    shutil.rmtree(tmp_path / "srv")
    elsewhere = unpacked(bundle, stack, tmp_path / "elsewhere")
    has_changes, said = init_and_plan(elsewhere)
    assert not has_changes, said
    assert not (tmp_path / "elsewhere/modules/other").exists()


def test_variable_files_are_loaded_by_a_plain_plan_with_the_precedence_they_had(
    terraform_world: TerraformWorld, tmp_path: Path
) -> None:
    tree = {
        "main.tf": VARIABLES,
        "terraform.tfvars": 'market = "1"\nsize = "1"\nregion = "1"\n',
        "zzz.auto.tfvars": 'market = "2"\nsize = "2"\nregion = "2"\n',
        "env/de.tfvars": 'market = "3"\nsize = "3"\n',
        "env/last.json": '{"market": "4"}',
    }
    given = [tmp_path / "deployed/env/de.tfvars", tmp_path / "deployed/env/last.json"]
    options = [f"-var-file={path}" for path in given]
    stack = deploy(terraform_world, tmp_path / "deployed", tree, name="variables", variables=options)
    assert inputs(stack) == {"values": "4 3 2"}
    bundle = pack_bundle(stack.folder, variable_files=given, max_bytes=MAX_BYTES)
    has_changes, said = init_and_plan(unpacked(bundle, stack, tmp_path / "elsewhere"))
    assert not has_changes, said
    without = pack_bundle(stack.folder, max_bytes=MAX_BYTES)
    assert init_and_plan(unpacked(without, stack, tmp_path / "without"))[0]


def test_no_state_plan_or_key_of_a_deploy_is_in_its_bundle(terraform_world: TerraformWorld, tmp_path: Path) -> None:
    secret = "hunter2-in-the-state"
    stack = deploy(
        terraform_world,
        tmp_path / "deployed",
        {"main.tf": 'variable "password" {}\nresource "terraform_data" "a" { input = var.password }\n'},
        name="secrets",
        variables=[f"-var=password={secret}"],
    )
    stack.plan(f"-var=password={secret}", out=stack.folder / "out.bin")
    write(
        stack.folder,
        {
            "shown.json": stack.run("show", "-json", "out.bin"),
            "state.json": stack.run("show", "-json"),
            "pulled": stack.run("state", "pull"),
        },
    )
    assert all(secret in (stack.folder / name).read_text("utf-8") for name in ("shown.json", "state.json", "pulled"))
    bundle = pack_bundle(stack.folder, max_bytes=MAX_BYTES)
    unpack_bundle(bundle.content, tmp_path / "into", sha256=bundle.sha256, max_bytes=MAX_BYTES)
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["backend.tf", "main.tf"]


def test_the_backend_that_terraform_wrote_is_read_with_its_workspace(
    terraform_world: TerraformWorld, tmp_path: Path
) -> None:
    stack = terraform_world.stack(tmp_path, key="de/hub.tfstate", container="bundles", workspace="prod")
    stack.write(HERE)
    stack.init()
    assert read_backend(stack.folder) == AzurermBackend(
        storage_account_name=stack.account.name, container="bundles", key="de/hub.tfstate", workspace="prod"
    )
