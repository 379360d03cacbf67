"""A package is built with the real pip and Terraform, unpacked as in Functions, and a stack is planned with what is in it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts.package.build import CLI_CONFIG, PROGRAM, PROVIDERS, Built, Order
from scripts.package.python_dependencies import PLACE
from tests.module_world import git
from tests.packaging.packages import (
    DEPENDENCY,
    lock_text,
    make_source,
    manifest,
    quietly_built,
    the_pinned_terraform,
    unpacked,
    zip_hash,
)
from tests.terraform.checked_estate import Checked, data, rule
from tests.terraform.disk_estate import DiskEstate, disk_estate
from tests.world.commands import CommandLine
from tests.world.sim_cloud import SOURCE, using_azsim

pytestmark = pytest.mark.terraform

CLICKED, WITHOUT_PROVIDERS = "de/network", "de/data"
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
"""Who asks a registry all the same gets an error at once."""


@dataclass(frozen=True)
class Packaged:
    """A package with what the estate's bundles lock, and the app's folder in which it is unpacked."""

    estate: DiskEstate
    order: Order
    built: Built
    app: Path

    @property
    def settings(self) -> dict[str, str]:
        """Those that the app gets; the mirror that the stacks were deployed with is not among them."""
        config = {"TF_BINARY": str(self.app / PROGRAM), "TF_CLI_CONFIG_FILE": str(self.app / CLI_CONFIG)}
        return {**self.estate.settings, **NOWHERE, **config}


@pytest.fixture(scope="module")
def packaged() -> Iterator[Packaged]:
    terraform = the_pinned_terraform()
    with disk_estate(packed=True) as estate, pytest.MonkeyPatch.context() as patch:
        estate.deploy({CLICKED: rule("ssh"), WITHOUT_PROVIDERS: data("one")})
        estate.cloud.change("azsim_network_security_rule.ssh", access="Allow")
        source = make_source(estate.folder)
        for name, value in source.pip_settings.items():
            patch.setenv(name, value)
        app = estate.folder / "wwwroot"
        order = Order(
            source=source.root,
            output=estate.folder / "dist",
            estates=(estate.root,),
            mirrors=(estate.cloud.folder / "mirror",),
            terraform=terraform,
            app_folder=str(app),
        )
        built = quietly_built(order)
        yield Packaged(estate, order, built, unpacked(built.file, app))


def names(package: Path) -> list[str]:
    with ZipFile(package) as archive:
        return archive.namelist()


def test_it_holds_the_app_its_dependencies_terraform_and_the_providers(packaged: Packaged) -> None:
    assert names(packaged.built.file) == [
        f"{PLACE}/sample-1.0.dist-info/METADATA",
        f"{PLACE}/sample-1.0.dist-info/WHEEL",
        f"{PLACE}/sample-1.0.dist-info/entry_points.txt",
        f"{PLACE}/sample/__init__.py",
        "drift/run.py",
        "function_app.py",
        "host.json",
        "requirements.txt",
        f"{PROVIDERS}/{SOURCE}/terraform-provider-azsim_1.0.0_linux_amd64.zip",
        PROGRAM,
        CLI_CONFIG,
        "trueup-package.json",
    ]


def test_it_says_what_went_in_with_the_hash_of_each(packaged: Packaged) -> None:
    said = manifest(packaged.built.file)
    (wheel,) = (packaged.estate.folder / "wheels").iterdir()
    (provider,) = (packaged.estate.cloud.folder / "mirror" / SOURCE).glob("*.zip")
    digests = [zip_hash(file).removeprefix("zh:") for file in (wheel, provider)]
    assert said["dependencies"] == [{"name": DEPENDENCY, "version": "1.0", "sha256": digests[0]}]
    assert said["providers"] == [{"source": SOURCE, "version": "1.0.0", "sha256": digests[1]}]
    assert said["terraform"]["version"] == "1.11.4"
    assert (said["commit"], said["changed"]) == (git(packaged.order.source, "rev-parse", "HEAD"), [])


def test_its_checksum_is_what_sha256sum_takes(packaged: Packaged) -> None:
    folder = packaged.built.file.parent
    done = subprocess.run(["sha256sum", "--check", f"{packaged.built.file.name}.sha256"], cwd=folder, check=False)
    assert done.returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["trueup-0.1.0.zip", "trueup-0.1.0.zip.sha256"]


def test_a_stack_is_planned_with_it_alone_though_its_executable_bits_are_lost(packaged: Packaged) -> None:
    assert not os.access(packaged.app / PROGRAM, os.X_OK)
    checked = Checked(
        CommandLine(packaged.settings, options=("--estate", str(packaged.estate.root))).run("drift", "check")
    )
    assert checked.names == [WITHOUT_PROVIDERS, CLICKED]
    assert [finding["kind"] for finding in checked.of(CLICKED)["findings"]] == ["portal_drift"]
    assert [result["diagnostics"] for result in checked.report["results"]] == [[], []]


def test_a_provider_that_is_not_in_it_is_asked_for_nowhere_else(packaged: Packaged, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(using_azsim("2.0.0"), encoding="utf-8")
    done = subprocess.run(
        [packaged.order.terraform or "", "init", "-no-color", "-backend=false"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": str(packaged.app / CLI_CONFIG)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    assert "no available releases match the given constraints 2.0.0" in " ".join(done.stderr.split())


def test_terraform_takes_its_zip_by_the_hash_that_a_registry_gives(packaged: Packaged, tmp_path: Path) -> None:
    """A lock file that was written on another platform has no other for this one."""
    (package,) = packaged.app.rglob("terraform-provider-azsim_*.zip")
    (tmp_path / "main.tf").write_text(using_azsim(), encoding="utf-8")
    lock = tmp_path / ".terraform.lock.hcl"
    for digest, status in ((zip_hash(package), 0), (f"zh:{'0' * 64}", 1)):
        lock.write_text(lock_text(SOURCE, "1.0.0", digest), encoding="utf-8")
        done = subprocess.run(
            [packaged.order.terraform or "", "init", "-no-color", "-backend=false", "-lockfile=readonly"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": str(packaged.app / CLI_CONFIG)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == status, done.stderr


@pytest.mark.slow
def test_the_same_is_built_again_byte_for_byte(packaged: Packaged, tmp_path: Path) -> None:
    copy = shutil.copytree(packaged.order.source, tmp_path / "elsewhere")
    for path in copy.rglob("*"):
        path.chmod(path.stat().st_mode & ~stat.S_IRWXO)
    again = quietly_built(replace(packaged.order, source=copy, output=tmp_path / "dist"))
    assert again.file.read_bytes() == packaged.built.file.read_bytes()


@pytest.mark.slow
def test_what_is_not_as_it_was_committed_goes_in_where_that_is_asked_for_and_it_says_so(
    packaged: Packaged, tmp_path: Path
) -> None:
    copy = shutil.copytree(packaged.order.source, tmp_path / "changed")
    (copy / "drift/run.py").write_text("RAN = True\n", encoding="utf-8")
    (copy / "drift/added.py").touch()
    git(copy, "add", "drift/added.py")
    (copy / "docs/README.md").write_text("is not packed", encoding="utf-8")
    (copy / "secret.env").write_text("TOKEN=1", encoding="utf-8")
    order = replace(packaged.order, source=copy, output=tmp_path / "dist", with_changes=True)
    package = quietly_built(order).file
    assert {*names(package)} - {*names(packaged.built.file)} == {"drift/added.py"}
    with ZipFile(package) as archive:
        assert archive.read("drift/run.py") == b"RAN = True\n"
    said = manifest(package)
    assert said["changed"] == ["drift/added.py", "drift/run.py"]
    assert said["commit"] == manifest(packaged.built.file)["commit"]
    again = quietly_built(replace(order, output=tmp_path / "again")).file
    assert again.read_bytes() == package.read_bytes()
