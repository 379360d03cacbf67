"""A tag that is moved after two markets were deployed from it: real git, Terraform, `trueup record` and `trueup pins`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.module_world import git
from tests.world.commands import ROOT

pytestmark = pytest.mark.terraform

TAG = "avm-res-keyvault-vault/v0.10.2"


def make_library(folder: Path) -> Path:
    (folder / "keyvault").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "1")
    git(folder, "tag", "--annotate", "--message", "1", TAG)
    return folder


def commit(library: Path, text: str) -> str:
    (library / "keyvault" / "main.tf").write_text(
        f'resource "terraform_data" "this" {{\n  input = "{text}"\n}}\n', encoding="utf-8"
    )
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message", text)
    return git(library, "rev-parse", "HEAD")


def deploy(estate: Path, library: Path, root: Path, market: str) -> None:
    state = estate / "tfstate" / market / "platform.tfstate"
    state.parent.mkdir(parents=True)
    root.mkdir(parents=True)
    (root / "main.tf").write_text(
        f'terraform {{\n  backend "local" {{\n    path = "{state}"\n  }}\n}}\n\n'
        f'module "kv" {{\n  source = "git::file://{library}//keyvault?ref={TAG}"\n}}\n',
        encoding="utf-8",
    )
    for command in (("init",), ("apply", "-auto-approve")):
        subprocess.run(
            ["terraform", *command, "-input=false", "-no-color"],
            cwd=root,
            env=os.environ,
            check=True,
            capture_output=True,
        )
    recorded = trueup(
        "record", "--market", market, "--stack", "platform", "--estate", str(estate), "--bundle", str(root),
        "--subscription-id", f"s-{market}",
    )  # fmt: skip
    assert recorded.returncode == 0, recorded.stderr


def trueup(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )


def audit(*arguments: str) -> tuple[int, dict[str, Any]]:
    run = trueup("pins", *arguments, "--format", "json")
    assert run.stderr == ""
    return run.returncode, json.loads(run.stdout)


def test_a_moved_tag_is_found_by_the_library_at_once_and_without_it_once_another_market_deploys(tmp_path: Path) -> None:
    library, estate, code = make_library(tmp_path / "library"), tmp_path / "estate", tmp_path / "code"
    (code / ".git").mkdir(parents=True)
    estate.mkdir()
    deploy(estate, library, code / "de", "de")
    deploy(estate, library, code / "fr", "fr")
    first = git(library, "rev-parse", f"{TAG}^{{commit}}")
    tracker = json.loads((estate / "trackers" / "de" / "platform.json").read_text(encoding="utf-8"))
    assert [module["commit"] for module in tracker["modules"]] == [first]
    everything = (str(code), "--estate", str(estate))
    assert audit(*everything, "--library", str(library))[0] == 0

    second = commit(library, "2")
    git(library, "tag", "--force", TAG)
    status, found = audit(*everything, "--library", str(library))
    (moved,) = found["moved_tags"]
    assert (status, moved["tag"], moved["now"]) == (2, TAG, second)
    assert [(one["commit"], one["stacks"]) for one in moved["recorded"]] == [(first, ["de/platform", "fr/platform"])]
    assert [f"{place['path']}:{place['line']}" for place in moved["places"]] == ["de/main.tf:8", "fr/main.tf:8"]
    assert audit(*everything)[0] == 0

    deploy(estate, library, code / "it", "it")
    status, found = audit(*everything)
    (moved,) = found["moved_tags"]
    assert (status, moved["now"]) == (2, None)
    assert {one["commit"]: one["stacks"] for one in moved["recorded"]} == {
        first: ["de/platform", "fr/platform"],
        second: ["it/platform"],
    }
    reconciled = json.loads(trueup("reconcile", "--estate", str(estate), "--format", "json", "--no-save").stdout)
    assert reconciled["counts"] == {"healthy": 3}
    assert [one["tag"] for one in reconciled["pins"]["moved_tags"]] == [TAG]


def test_the_bundle_of_a_deploy_is_audited_as_the_folder_was(tmp_path: Path) -> None:
    library, estate = make_library(tmp_path / "library"), tmp_path / "estate"
    estate.mkdir()
    deploy(estate, library, tmp_path / "code", "de")
    (bundle,) = (estate / "bundles").rglob("*.zip")
    status, found = audit(str(bundle))
    assert status == 0
    assert [(call["name"], call["line"], call["pinned_to"]) for call in found["calls"]] == [("kv", 8, TAG)]
