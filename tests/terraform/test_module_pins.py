"""What is recorded of modules that the real Terraform fetched from a real git repository."""

import os
import subprocess
from pathlib import Path

import pytest

from adapters.module_pins import read_modules
from tests.module_world import git

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


def test_an_absent_commit_is_no_field_and_costs_no_record(library: Path, tmp_path: Path) -> None:
    root = initialised(library, tmp_path / "root")
    for folder in root.glob(".terraform/modules/*/.git"):
        folder.rename(folder.with_name("moved-away"))
    pins = read_modules(root)
    assert len(pins) == 11
    assert all("commit" not in pin.model_fields_set for pin in pins)
