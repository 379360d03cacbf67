"""checkov on `infra/`: nothing is found, and what it is told not to look at says why."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.infra.stand_in import INFRA
from tests.world.commands import ROOT

CHECKOV: Final = ROOT / ".venv/checkov/bin/checkov"
SKIPPED: Final = re.compile(r"#\s*checkov:skip=(\w+)(?::(.*))?")
SHORTEST_REASON: Final = 30

pytestmark = pytest.mark.skipif(not CHECKOV.exists(), reason="needs checkov: make .venv/checkov/installed")


def checked(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [CHECKOV, "--directory", folder, "--framework", "terraform", "--skip-download", "--output", "json", "--quiet"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def test_checkov_finds_nothing_in_infra() -> None:
    found = checked(INFRA)
    assert [f"{each['check_id']} {each['resource']}" for each in found["results"]["failed_checks"]] == []
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 50


def test_every_exception_says_why() -> None:
    exceptions = [
        (path.name, rule, reason)
        for path in INFRA.rglob("*.tf")
        for rule, reason in SKIPPED.findall(path.read_text(encoding="utf-8"))
    ]
    assert exceptions
    assert [each for each in exceptions if len(each[2].strip()) < SHORTEST_REASON and "See CKV" not in each[2]] == []


def test_a_key_that_opens_the_estate_would_be_found(tmp_path: Path) -> None:
    folder = tmp_path / "infra"
    shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns(".terraform", "canary", "tests"))
    estate = folder / "estate.tf"
    text = estate.read_text(encoding="utf-8")
    opened = re.sub(r"shared_access_key_enabled( +)= false", r"shared_access_key_enabled\1= true", text)
    assert opened != text
    estate.write_text(opened, encoding="utf-8")
    found = checked(folder)
    assert ("CKV2_AZURE_40", "azurerm_storage_account.estate") in {
        (each["check_id"], each["resource"]) for each in found["results"]["failed_checks"]
    }
