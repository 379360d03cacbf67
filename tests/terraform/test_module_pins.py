"""What is recorded of modules that the real Terraform fetched from a real git repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.module_pins import read_modules
from pins.firmness import pin_of
from records.tracker import MOST_CHARACTERS
from tests.module_world import git
from tests.world.commands import ROOT

pytestmark = pytest.mark.terraform

CALLS = """
module "kv" {
  source = "git::file://%(library)s//keyvault?ref=keyvault/v1.0.0"
}
module "again" {
  source = "git::file://%(library)s//keyvault?ref=keyvault/v1.0.0"
}
module "shallow" {
  source = "git::file://%(library)s//keyvault?ref=keyvault/v1.0.0&depth=1"
}
module "floating" {
  source = "git::file://%(library)s//keyvault?ref=main"
}
module "by_commit" {
  source = "git::file://%(library)s//keyvault?ref=%(commit)s"
}
module "own" {
  source = "./own"
}
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    (folder / "keyvault" / "roles").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "keyvault" / "main.tf").write_text('module "roles" {\n  source = "./roles"\n}\n', encoding="utf-8")
    (folder / "keyvault" / "roles" / "main.tf").write_text("", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "1")
    git(folder, "tag", "--annotate", "--message", "1", "keyvault/v1.0.0")
    (folder / "later.txt").write_text("", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "2")
    return folder


def initialised(library: Path, root: Path) -> Path:
    (root / "own").mkdir(parents=True)
    (root / "own" / "main.tf").write_text("", encoding="utf-8")
    # The root module is in a repository too, whose commit is none of a module's.
    git(root, "init", "--quiet")
    names = {"library": library, "commit": git(library, "rev-parse", "HEAD")}
    (root / "main.tf").write_text(CALLS % names, encoding="utf-8")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "root")
    subprocess.run(
        ["terraform", "init", "-input=false", "-no-color"], cwd=root, env=os.environ, check=True, capture_output=True
    )
    return root


def test_the_commit_of_each_ref_is_told_also_of_a_package_that_terraform_copied(library: Path, tmp_path: Path) -> None:
    root = initialised(library, tmp_path / "root")
    tagged, head = git(library, "rev-parse", "keyvault/v1.0.0^{commit}"), git(library, "rev-parse", "HEAD")
    assert {module.name: module.commit for module in read_modules(root)} == {
        "again": tagged,
        "again.roles": None,
        "by_commit": head,
        "by_commit.roles": None,
        "floating": head,
        "floating.roles": None,
        "kv": tagged,
        "kv.roles": None,
        "own": None,
        "shallow": tagged,
        "shallow.roles": None,
    }


def test_a_name_that_is_a_tag_and_a_branch_is_the_branch_with_depth_alone(library: Path, tmp_path: Path) -> None:
    tagged, head = git(library, "rev-parse", "keyvault/v1.0.0^{commit}"), git(library, "rev-parse", "HEAD")
    git(library, "branch", "keyvault/v1.0.0")
    commits = {module.name: module.commit for module in read_modules(initialised(library, tmp_path / "root"))}
    assert {name: commits[name] for name in ("again", "kv", "shallow")} == {
        "again": tagged,
        "kv": tagged,
        "shallow": head,
    }


def test_an_absent_commit_is_no_field_and_costs_no_record(library: Path, tmp_path: Path) -> None:
    root = initialised(library, tmp_path / "root")
    for folder in root.glob(".terraform/modules/*/.git"):
        folder.rename(folder.with_name("moved-away"))
    pins = read_modules(root)
    assert len(pins) == 11
    assert all("commit" not in pin.model_fields_set for pin in pins)


def test_the_bundle_of_the_working_directory_is_recorded_with_the_commit_of_each_ref(
    library: Path, tmp_path: Path
) -> None:
    estate, root = tmp_path / "estate", tmp_path / "root"
    state = estate / "tfstate" / "de" / "platform.tfstate"
    state.parent.mkdir(parents=True)
    root.mkdir()
    (root / "main.tf").write_text(
        f'terraform {{\n  backend "local" {{\n    path = "{state}"\n  }}\n}}\n\n'
        f'module "kv" {{\n  source = "git::file://{library}//keyvault?ref=keyvault/v1.0.0"\n}}\n',
        encoding="utf-8",
    )
    record = (
        sys.executable, "-m", "cli", "record", "--market", "de", "--stack", "platform", "--estate", str(estate),
        "--bundle", ".", "--subscription-id", "s-de",
    )  # fmt: skip
    for command in (
        ("terraform", "init", "-input=false"),
        ("terraform", "apply", "-input=false", "-auto-approve"),
        record,
    ):
        subprocess.run(
            command, cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True
        )
    tracker = json.loads((estate / "trackers" / "de" / "platform.json").read_text(encoding="utf-8"))
    commits = {module["name"]: module.get("commit") for module in tracker["modules"]}
    assert commits == {"kv": git(library, "rev-parse", "keyvault/v1.0.0^{commit}"), "kv.roles": None}


def test_a_source_that_is_too_long_for_a_tracker_is_cut_and_costs_no_record(tmp_path: Path) -> None:
    sources = {
        "cut": f"git::https://example.com/modules//{'a' * 3_000}?ref=v1.0.0",
        "cut_in_its_version": f"git::https://example.com/modules//{'a' * 2003}?ref=v1.2.34",
        "short": "git::https://example.com/modules?ref=v1.0.0",
        "masked": f"git::https://{'s3cr3t' * 1_000}@example.com/{'a' * 3_000}",
    }
    manifest = tmp_path / ".terraform" / "modules" / "modules.json"
    manifest.parent.mkdir(parents=True)
    modules = [{"Key": name, "Source": source, "Dir": f".terraform/modules/{name}"} for name, source in sources.items()]
    manifest.write_text(json.dumps({"Modules": modules}), encoding="utf-8")
    pins = {pin.name: pin.source for pin in read_modules(tmp_path)}
    assert pins["short"] == sources["short"]
    assert pins["masked"] == f"git::https://***@example.com/{'a' * 3_000}"[: MOST_CHARACTERS - 1] + "…"
    for name in ("cut", "cut_in_its_version"):
        assert (len(pins[name]), pins[name][-1]) == (MOST_CHARACTERS, "…")
        assert sources[name].startswith(pins[name][:-1])
        assert pin_of(pins[name], None).is_loose
