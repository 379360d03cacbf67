"""What Terraform itself says of `infra/`: its format, its types, its own tests; and how hard its pins are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from tests.infra.stand_in import INFRA, Module, copy_module

pytestmark = pytest.mark.terraform

AZURERM: Final = "4.79.0"
ROOTS: Final = tuple(
    sorted(lock.parent for lock in INFRA.rglob(".terraform.lock.hcl") if "providers" not in lock.parts)
)
MODULES: Final = tuple(sorted(INFRA.glob("modules/*")))


def name_of(folder: Path) -> str:
    return str(folder.relative_to(INFRA))


def test_there_are_roots_to_test() -> None:
    assert INFRA in ROOTS
    assert {folder.name for folder in MODULES} == {"function_app", "market_roles"}


def test_everything_is_formatted(infra: Module) -> None:
    infra.terraform("fmt", "-check", "-recursive", "-diff", str(INFRA))


def test_infra_is_valid(infra: Module) -> None:
    said = json.loads(infra.terraform("validate", "-json"))
    assert said["valid"]
    assert said["diagnostics"] == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_is_valid_by_itself(module: Path, cli_config: Path, tmp_path: Path) -> None:
    """A market's own pipeline calls `market_roles` without the rest."""
    said = json.loads(copy_module(module, tmp_path / "module", cli_config=cli_config).terraform("validate", "-json"))
    assert said["valid"], said["diagnostics"]


def test_a_misspelt_argument_is_terraform_s_own_error(cli_config: Path, tmp_path: Path) -> None:
    """Or the tests above would hold against anything."""
    module = copy_module(INFRA / "modules/market_roles", tmp_path / "module", cli_config=cli_config)
    text = (module.folder / "main.tf").read_text(encoding="utf-8")
    (module.folder / "main.tf").write_text(text.replace("principal_type ", "principle_type ", 1), encoding="utf-8")
    assert 'An argument named "principle_type" is not expected here' in module.terraform("validate", succeeds=False)


def test_terraform_s_own_tests_pass(cli_config: Path, tmp_path: Path) -> None:
    said = copy_module(INFRA, tmp_path / "infra", cli_config=cli_config).terraform("test", "-no-color")
    (passed,) = re.findall(r"^Success! (\d+) passed, 0 failed\.$", said, re.MULTILINE)
    assert int(passed) == sum(
        len(re.findall(r'^run "', path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in INFRA.glob("tests/*.tftest.hcl")
    )


@pytest.mark.parametrize("root", ROOTS, ids=name_of)
def test_a_lock_file_holds_the_real_provider_by_its_hashes(root: Path) -> None:
    lock = (root / ".terraform.lock.hcl").read_text(encoding="utf-8")
    assert re.findall(r'^provider "(.+)" {$', lock, re.MULTILINE) == ["registry.terraform.io/hashicorp/azurerm"]
    assert f'version     = "{AZURERM}"' in lock
    assert len(re.findall(r'"zh:[0-9a-f]{64}"', lock)) == 12


@pytest.mark.parametrize("root", ROOTS, ids=name_of)
def test_a_root_pins_azurerm_to_one_version(root: Path) -> None:
    assert required_version_of(root / "versions.tf") == ([AZURERM], [">= 1.11.4, < 2.0.0"])


def test_the_module_that_markets_call_leaves_the_pins_to_them() -> None:
    assert required_version_of(INFRA / "modules/market_roles/versions.tf") == (
        [">= 4.0.0, < 6.0.0"],
        [">= 1.9.0, < 2.0.0"],
    )
    assert required_version_of(INFRA / "modules/function_app/versions.tf") == ([AZURERM], [">= 1.11.4, < 2.0.0"])


def required_version_of(versions: Path) -> tuple[list[str], list[str]]:
    """What azurerm is pinned to, and Terraform."""
    text = versions.read_text(encoding="utf-8")
    return (
        re.findall(r'^ +version += "(.+)"', text, re.MULTILINE),
        re.findall(r'^ +required_version += "(.+)"', text, re.MULTILINE),
    )


def test_every_folder_with_terraform_pins_what_it_takes() -> None:
    folders = {path.parent for path in INFRA.rglob("*.tf") if ".terraform" not in path.parts}
    assert {path.parent for path in INFRA.rglob("versions.tf")} == folders


def test_the_example_of_variables_is_a_plan(infra: Module, tmp_path: Path) -> None:
    """With nothing beside it: every variable without a default is in it."""
    example = tmp_path / "example.tfvars"
    example.write_text((INFRA / "terraform.tfvars.example").read_text(encoding="utf-8"), encoding="utf-8")
    module = copy_module(INFRA, tmp_path / "infra", cli_config=infra.cli_config)
    assert "Plan: " in module.terraform("plan", "-input=false", "-no-color", f"-var-file={example}")


def test_every_variable_says_what_it_is() -> None:
    for path in INFRA.rglob("variables*.tf"):
        for variable in re.split(r"^variable ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            assert re.search(r"^  description += (\"|<<-EOT)", variable, re.MULTILINE), (
                f"{path}: {variable.splitlines()[0]}"
            )
