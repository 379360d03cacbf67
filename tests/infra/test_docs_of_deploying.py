"""What docs/deploy.md has a user type, held against `infra/`, the Makefile and the commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.infra.stand_in import INFRA, Module, copy_module
from tests.world.commands import ROOT

DEPLOY: Final = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
BLOCKS: Final = {
    "sh": "\n".join(re.findall(r"^```sh\n(.*?)^```", DEPLOY, re.MULTILINE | re.DOTALL)),
    "hcl": "\n".join(re.findall(r"^```hcl\n(.*?)^```", DEPLOY, re.MULTILINE | re.DOTALL)),
}


def declared(kind: str, pattern: str) -> set[str]:
    return {
        name
        for path in INFRA.glob(pattern)
        for name in re.findall(rf'^{kind} "(\w+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def test_every_shell_block_is_shell() -> None:
    checked = subprocess.run(["bash", "-n"], input=BLOCKS["sh"], encoding="utf-8", capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_variables_and_outputs_are_there() -> None:
    assert {"package"} <= set(re.findall(r"-var (\w+)=", BLOCKS["sh"])) <= declared("variable", "variables*.tf")
    outputs = set(re.findall(r"`?terraform (?:-chdir=infra )?output (?:-json )?(\w+)", DEPLOY))
    assert {"principal_ids", "api_url"} <= outputs <= declared("output", "outputs*.tf")


def test_each_variable_of_the_example_is_explained() -> None:
    example = (INFRA / "terraform.tfvars.example").read_text(encoding="utf-8")
    set_in_the_example = set(re.findall(r"^(?:# )?(\w+) +=", example, re.MULTILINE))
    explained = set(re.findall(r"^\| `(\w+)` \|", DEPLOY, re.MULTILINE))
    assert explained | {"package"} == set_in_the_example <= declared("variable", "variables*.tf")


def test_what_is_set_in_the_first_week_are_variables() -> None:
    for name in ("heal_mode", "markets", "time_zone"):
        assert f"`{name}" in DEPLOY
        assert name in declared("variable", "variables*.tf")


def test_the_package_is_made_by_a_target_that_is_there() -> None:
    (arguments,) = set(re.findall(r"^make package (\w+)=\S+", BLOCKS["sh"], re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^package:", makefile, re.MULTILINE)
    assert f"$({arguments}:" in makefile


def test_an_app_has_as_many_functions_as_are_said() -> None:
    duties = (INFRA / "duties.tf").read_text(encoding="utf-8").split("functions = {")[1].split("switched_off")[0]
    names = re.findall(r'"[a-z_]+"', duties)
    assert f"all {len(names)} functions" in DEPLOY


def test_apps_and_groups_are_named_as_infra_names_them() -> None:
    assert set(re.findall(r"--name (contosotf-\w+)", BLOCKS["sh"])) <= {
        f"contosotf-{duty}" for duty in ("reconcile", "plan", "apply")
    } | {"contosotf-deploy"}
    assert set(re.findall(r"--account-name (\w+)", BLOCKS["sh"])) == {"contosotfestate", "contosotfdeploy", "tfde"}
    assert 'name     = "rg-${var.name}"' in (INFRA / "resource_group.tf").read_text(encoding="utf-8")


@pytest.mark.terraform
def test_a_market_s_pipeline_can_call_the_module_as_shown(infra: Module, tmp_path: Path) -> None:
    source = re.search(r'source = "(git::\S+)"', BLOCKS["hcl"])
    assert source
    assert "//infra/modules/market_roles?ref=v" in source[1]
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.tf").write_text(
        BLOCKS["hcl"].replace(source[1], str(INFRA / "modules/market_roles")), encoding="utf-8"
    )
    (root / "providers.tf").write_text('provider "azurerm" {\n  features {}\n}\n', encoding="utf-8")
    module = copy_module(root, tmp_path / "market", cli_config=infra.cli_config)
    assert "Plan: 1 to add" in module.terraform("plan", "-input=false", "-no-color")
