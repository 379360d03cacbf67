"""No secret of a live plan is left anywhere, whether Terraform ends, fails, is stopped or is killed, or trueup itself is."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.clock import utc_now
from adapters.settings import load_settings
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import FolderStates
from assembly.estates import open_judged_estate
from drift.observing import StackObserver
from records.plan_checks import CheckReport, StackObservation
from tests.terraform.disk_estate import DiskEstate, disk_estate
from tests.terraform.leaks import contents, leaks, rendered
from tests.world.commands import Ended
from tests.world.sim_cloud import using_azsim

pytestmark = pytest.mark.terraform

DRIFTED: Final = "de/network"
REFUSED: Final = "fr/network"
SECRETS: Final = {
    "TF_VAR_password": "planted-in-a-variable",
    "TF_VAR_owner": "planted-in-a-tag",
    "ARM_CLIENT_SECRET": "planted-in-the-environment",
    "ARM_ACCESS_KEY": "planted-access-key-of-states",
    "ESTATE_ACCESS": "planted-in-the-app",
}
IN_THE_CONFIGURATION: Final = "planted-in-the-provider"
IN_THE_PORTAL: Final = "planted-in-the-portal"
IN_THE_ERROR: Final = "planted-in-the-error"
VARIABLES: Final = 'variable "password" {\n  sensitive = true\n}\nvariable "owner" {\n  sensitive = true\n}\n'
GROUP: Final = '  resource_group_name = "rg"\n'
MODULES: Final = {
    DRIFTED: using_azsim(client_secret=IN_THE_CONFIGURATION)
    + VARIABLES
    + f'resource "azsim_key_vault" "main" {{\n  name = "kv-de"\n{GROUP}  tags = {{ owner = var.owner }}\n}}\n'
    + 'resource "azsim_key_vault_secret" "password" {\n  name = "password"\n  key_vault_id = azsim_key_vault.main.id\n'
    + "  value = var.password\n}\n"
    + f'resource "azsim_storage_account" "main" {{\n  name = "stde"\n{GROUP}}}\n'
    + 'output "key" {\n  value = azsim_storage_account.main.primary_key\n  sensitive = true\n}\n',
    REFUSED: using_azsim(client_secret=IN_THE_CONFIGURATION)
    + VARIABLES
    + f'resource "azsim_key_vault" "main" {{\n  name = "kv-fr"\n{GROUP}  tags = {{ owner = var.owner }}\n}}\n',
}


HANGS: Final = """
import os, time
from tests.world.azsim.cloud_file import CloudFile
read = CloudFile.read
def hanging(self):
    while os.path.exists({stuck!r}):
        Path({reading!r}).touch()
        time.sleep(0.02)
    return read(self)
CloudFile.read = hanging
"""


@dataclass(frozen=True)
class Planted:
    estate: DiskEstate
    secrets: frozenset[str]

    def leaks_in(self, **texts: str) -> list[str]:
        """In these texts, and in all files but what was deployed: bundles are the configuration as it is."""
        bundles = self.estate.root / "bundles"
        files = contents(path for path in self.estate.files() if not path.is_relative_to(bundles))
        return leaks(self.secrets, {**files, **texts})

    def folders_left(self) -> list[Path]:
        return list(self.estate.work_folder.iterdir())


@pytest.fixture(scope="module")
def planted() -> Iterator[Planted]:
    with disk_estate() as estate:
        let_the_cloud_hang(estate)
        estate.deploy(MODULES, environment=SECRETS)
        before = estate.cloud.secrets()
        estate.cloud.change("azsim_key_vault_secret.password", value=IN_THE_PORTAL)
        estate.cloud.change("azsim_key_vault.kv-de", tags={"owner": "somebody"})
        estate.cloud.rotate_secret("azsim_storage_account.stde")
        estate.cloud.fail("azsim_key_vault.kv-fr", "read", f"AuthorizationFailed: the secret {IN_THE_ERROR} is wrong")
        texts = {*SECRETS.values(), IN_THE_CONFIGURATION, IN_THE_PORTAL, IN_THE_ERROR}
        yield Planted(estate, frozenset({*texts, *before, *estate.cloud.secrets()}))


@pytest.fixture(scope="module")
def checked(planted: Planted) -> Ended:
    return planted.estate.command.run("drift", "check", "--queue", environment=SECRETS)


def test_what_drifted_is_found_without_a_value_of_it(planted: Planted, checked: Ended) -> None:
    report = CheckReport.model_validate_json(checked.stdout)
    drifted, refused = report.results
    assert {finding.address: str(finding.kind) for finding in drifted.findings} == {
        "azsim_key_vault.main": "portal_drift",
        "azsim_key_vault_secret.password": "portal_drift",
        "azsim_storage_account.main": "stale_state",
    }
    assert {attribute.sensitive for finding in drifted.findings for attribute in finding.attributes} >= {True}
    assert any("AuthorizationFailed" in line for line in refused.diagnostics)
    assert planted.leaks_in(stdout=checked.stdout, stderr=checked.stderr, **rendered(report)) == []


def test_a_check_leaves_rows_and_reports_and_no_folder(planted: Planted, checked: Ended) -> None:
    assert checked.status == 2
    kept = {path.relative_to(planted.estate.root).parts[0] for path in planted.estate.root.rglob("*.json")}
    assert {"registry", "trackers"} < kept
    assert "azsim_key_vault_secret" in "".join(
        content.decode(errors="replace") for content in contents(planted.estate.files()).values()
    )
    assert planted.folders_left() == []


def let_the_cloud_hang(estate: DiskEstate) -> None:
    """Before anything is deployed, as its hash is locked: a provider whose reads wait while there is a file ``stuck``."""
    (launcher,) = estate.cloud.folder.glob("mirror/**/terraform-provider-*")
    before, serves, after = launcher.read_text(encoding="utf-8").partition("serve(")
    hangs = HANGS.format(stuck=str(estate.folder / "stuck"), reading=str(estate.folder / "reading"))
    launcher.write_text(before + hangs + serves + after, encoding="utf-8")


@pytest.fixture
def stuck(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cloud does not answer while this file is there."""
    file = planted.estate.folder / "stuck"
    (planted.estate.folder / "reading").unlink(missing_ok=True)
    file.touch()
    for name, value in {**SECRETS, **planted.estate.settings}.items():
        monkeypatch.setenv(name, value)
    yield file
    file.unlink(missing_ok=True)


async def observe(planted: Planted, **options: Any) -> StackObservation:
    estate, settings = planted.estate, load_settings()
    states = FolderStates(root=estate.root, container="tfstate")
    terraform = TerraformOptions(states=states, work_folder=estate.work_folder, grace_seconds=0.3, **options)
    async with open_judged_estate(estate.root, settings) as judged:
        observer = StackObserver(
            judge=judged.judge,
            records=judged.estate.records,
            planner=TerraformCli(terraform),
            bundle_max_bytes=1024**2,
            plan_limit_seconds=60,
            clock=utc_now,
        )
        return await observer.observe("de", "network")


def wait_for_plan(estate: DiskEstate) -> int:
    """The process of the `terraform plan` that is reading what hangs."""
    end = time.monotonic() + 30
    while not (estate.folder / "reading").exists():
        assert time.monotonic() < end, "no plan was begun"
        time.sleep(0.02)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "plan" in words and any(word.startswith(f"-out={estate.work_folder}") for word in words):
                return int(process.name)
    raise AssertionError("the plan is not at work")


async def test_a_plan_over_its_time_limit_leaves_nothing(
    planted: Planted, stuck: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = await observe(planted, command_limit_seconds=2.0)
    assert seen.plan is None
    assert "took longer than 2 s" in seen.diagnostics[0], seen.diagnostics
    assert planted.folders_left() == []
    assert planted.leaks_in(seen=seen.model_dump_json(), log=caplog.text) == []


async def test_a_terraform_that_is_killed_leaves_nothing(
    planted: Planted, stuck: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    observing = asyncio.create_task(observe(planted))
    os.killpg(await asyncio.to_thread(wait_for_plan, planted.estate), signal.SIGKILL)
    seen = await observing
    assert seen.plan is None
    assert "signal 9" in seen.diagnostics[0]
    assert planted.folders_left() == []
    assert planted.leaks_in(seen=seen.model_dump_json(), log=caplog.text) == []


def test_a_trueup_that_is_killed_has_its_folder_removed_by_its_watch(planted: Planted, stuck: Path) -> None:
    running = planted.estate.start("--market", "de", environment=SECRETS)
    wait_for_plan(planted.estate)
    (folder,) = planted.folders_left()
    assert leaks(planted.secrets, contents(path for path in folder.rglob("*.tf") if path.is_file())) != []
    running.kill()
    stuck.unlink()
    stdout, stderr = running.communicate(timeout=30)
    end = time.monotonic() + 30
    while planted.folders_left() and time.monotonic() < end:
        time.sleep(0.05)
    assert planted.folders_left() == []
    assert planted.leaks_in(stdout=stdout, stderr=stderr) == []
