"""Packages that a test builds: of a small app with one dependency, from a folder of wheels, with the real Terraform."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import pytest

from scripts.package.archive import sha256_of
from scripts.package.build import MANIFEST, Built, Order, build
from scripts.package.terraform_release import read_pin
from tests.module_world import git
from tests.world.terraform_backend import TerraformNotInstalledError, find_terraform

DEPENDENCY: Final = "sample"
_METADATA: Final = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_ENTRY_POINTS: Final = "[console_scripts]\nsample = sample:main\n"


def the_pinned_terraform() -> Path:
    """The one on the machine, which a test that needs it is skipped without."""
    try:
        found = Path(find_terraform()).resolve()
    except TerraformNotInstalledError as missing:
        pytest.skip(f"needs the real Terraform: {missing}")
    if sha256_of(found) != read_pin().program_sha256:
        pytest.skip(f"{found} is not the Terraform that scripts/package/terraform.toml pins")
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """A checkout in small: what Functions needs, one module, and one that ``.funcignore`` leaves out. All is committed."""

    root: Path
    wheels: Path

    @property
    def pip_settings(self) -> dict[str, str]:
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": "/dev/null"}


def make_source(folder: Path) -> Source:
    source = Source(folder / "source", folder / "wheels")
    files = {
        ".funcignore": ".funcignore\ntests/\n*.md\n",
        "host.json": '{"version": "2.0"}\n',
        "function_app.py": "import sample\n",
        "drift/run.py": "",
        "tests/test_app.py": "",
        "docs/README.md": "",
    }
    for name, text in files.items():
        (source.root / name).parent.mkdir(parents=True, exist_ok=True)
        (source.root / name).write_text(text, encoding="utf-8")
    source.wheels.mkdir()
    wheel_file = source.wheels / "sample-1.0-py3-none-any.whl"
    with ZipFile(wheel_file, "w") as wheel:
        wheel.writestr("sample/__init__.py", "def main(): ...\n")
        for name, text in {
            "METADATA": _METADATA,
            "WHEEL": _WHEEL,
            "entry_points.txt": _ENTRY_POINTS,
            "RECORD": "",
        }.items():
            wheel.writestr(f"sample-1.0.dist-info/{name}", text)
    (source.root / "requirements.txt").write_text(
        f"sample==1.0 --hash=sha256:{sha256_of(wheel_file)}\n", encoding="utf-8"
    )
    git(source.root, "init", "--quiet")
    commit_all(source.root)
    return source


def commit_all(checkout: Path) -> str:
    """All that is there, but for what git ignores; its id."""
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "as it is")
    return git(checkout, "rev-parse", "HEAD")


def committed_copy(checkout: Path, folder: Path) -> str:
    """A checkout of its own with what is in the other one, as if all of it were committed; the id of that commit."""
    for name in git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if (checkout / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / name, folder / name)
    git(folder, "init", "--quiet")
    return commit_all(folder)


def quietly_built(order: Order) -> Built:
    return build(order, tell=lambda _: None)


def unpacked(package: Path, into: Path) -> Path:
    """As Functions may do it: `zipfile` sets no modes, so that no file has an executable bit."""
    with ZipFile(package) as archive:
        archive.extractall(into)
    return into


def manifest(package: Path) -> dict[str, Any]:
    with ZipFile(package) as archive:
        read: dict[str, Any] = json.loads(archive.read(MANIFEST))
    return read


def lock_text(source: str, version: str, *hashes: str) -> str:
    listed = "".join(f'    "{one}",\n' for one in hashes)
    return f'provider "{source}" {{\n  version = "{version}"\n  hashes = [\n{listed}  ]\n}}\n'


def zip_hash(file: Path) -> str:
    """As a registry gives it, and Terraform writes it to a lock file."""
    return f"zh:{hashlib.sha256(file.read_bytes()).hexdigest()}"
