"""The package as it is deployed: built by `make package`'s command with all dependencies, and run with nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

import function_app
from scripts.package.build import CLI_CONFIG, PROGRAM, PROVIDERS, Order
from tests.packaging.packages import (
    committed_copy,
    make_source,
    manifest,
    quietly_built,
    the_pinned_terraform,
    unpacked,
)
from tests.packaging.registry import registry_of
from tests.terraform.checked_estate import rule
from tests.terraform.disk_estate import DiskEstate, disk_estate
from tests.world.commands import ROOT
from tests.world.sim_cloud import SOURCE

pytestmark = [pytest.mark.slow, pytest.mark.terraform]

STACK = "de/network"
_IN_THE_APP = """
import asyncio, json, sys
from pathlib import Path
app, estate = map(Path, sys.argv[1:])
sys.path += [str(app), str(app / ".python_packages/lib/site-packages")]
import function_app
from adapters.settings import load_settings
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import FolderStates
from records.tracker import parse_tracker

settings = load_settings()
tracker = parse_tracker((estate / "trackers/de/network.json").read_bytes(), market="de", stack="network", subscription_id=None)
states = FolderStates(root=estate, container="tfstate")
cli = TerraformCli(TerraformOptions(states=states, binary=settings.tf_binary, work_folder=settings.plan_work_folder))

async def plan():
    content = (estate / "bundles" / tracker.bundle.blob).read_bytes()
    async with cli.deployed(content=content, bundle=tracker.bundle, state=tracker.state) as module:
        return repr(await module.plan())

print(json.dumps({
    "functions": sorted(function.get_function_name() for function in function_app.app.get_functions()),
    "from_elsewhere": sorted(
        name for name, module in sys.modules.items()
        if getattr(module, "__file__", None) and "site-packages" in module.__file__
        and not module.__file__.startswith(str(app))
    ),
    "plan": asyncio.run(plan()),
}))
"""


@pytest.fixture(scope="module")
def estate() -> Iterator[DiskEstate]:
    with disk_estate(packed=True) as made:
        made.deploy({STACK: rule("ssh")})
        made.cloud.change("azsim_network_security_rule.ssh", access="Allow")
        yield made


def test_the_functions_are_found_and_a_stack_is_planned_with_the_package_alone(estate: DiskEstate) -> None:
    app, output = estate.folder / "wwwroot", estate.folder / "dist"
    commit = committed_copy(ROOT, estate.folder / "checkout")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "scripts.package", "--estate", str(estate.root), "--app-folder", str(app)),
            *("--mirror", str(estate.cloud.folder / "mirror"), "--terraform", str(the_pinned_terraform())),
            *("--output", str(output)),
        ],
        cwd=estate.folder / "checkout",
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, "")
    (package,) = output.glob("*.zip")
    unpacked(package, app)
    assert f"TF_BINARY={app / PROGRAM}\n" in built.stdout
    assert f"of commit {commit}\n" in built.stdout
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _IN_THE_APP, str(app), str(estate.root)],
        cwd=estate.folder,
        env={
            "PATH": "/nowhere",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "PLAN_WORK_FOLDER": str(estate.work_folder),
            "TF_BINARY": str(app / PROGRAM),
            "TF_CLI_CONFIG_FILE": str(app / CLI_CONFIG),
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["functions"] == sorted(function.get_function_name() for function in function_app.app.get_functions())
    assert said["from_elsewhere"] == []
    assert "has_changes=True" in said["plan"]

    pins = {line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line}
    names = {line.partition("==")[0] for line in pins if "sys_platform" not in line}
    assert {one["name"].lower().replace("_", "-") for one in manifest(package)["dependencies"]} == names
    tops = {path.name for path in app.iterdir()}
    assert not tops & {"tests", "scripts", "infra", "docs", "bench", "cli.py", "commands", "local.settings.json"}
    assert sum(path.stat().st_size for path in app.rglob("*") if path.is_file()) < 800_000_000


def test_a_provider_comes_from_its_registry_where_no_mirror_has_it(
    estate: DiskEstate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real Terraform, which checks the signature; what it brought is checked against the bundle's lock file."""
    (package,) = (estate.cloud.folder / "mirror" / SOURCE).glob("*.zip")
    source = make_source(tmp_path)
    order = Order(
        source=source.root, output=tmp_path / "dist", estates=(estate.root,), terraform=the_pinned_terraform()
    )
    with registry_of(package, "1.0.0", tmp_path) as registry:
        for name, value in {**source.pip_settings, **registry.settings}.items():
            monkeypatch.setenv(name, value)
        built = quietly_built(order)
    assert f"/{package.name}" in registry.asked
    with ZipFile(built.file) as archive:
        assert archive.read(f"{PROVIDERS}/{SOURCE}/{package.name}") == package.read_bytes()
