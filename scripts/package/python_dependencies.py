"""What requirements.txt pins, installed where Functions looks for it, for the Linux that the app runs on.

pip decides by the Python that runs it which lines of requirements.txt count (PEP 508), also where it installs for another;
so the package is for the minor version of Python that builds it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.package.archive import Entry
from scripts.package.errors import PackageError

PLACE: Final = ".python_packages/lib/site-packages"
"""Where the Python worker of Functions looks, below the app's folder."""
_PLATFORMS: Final = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_SUPPORTED: Final = ((3, 11), (3, 13))
_LEFT_OUT: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""pip's notes on this installation, of paths on this machine."""


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """A distribution that is in the package; ``sha256`` is its wheel's."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Installed:
    """Files to pack, and what they are of."""

    files: list[Entry]
    dependencies: list[Dependency]


def python_version() -> str:
    """The minor version that the app must run, ``3.11``.

    Raises:
        PackageError: Functions has no such Python.
    """
    oldest, newest = _SUPPORTED
    if not oldest <= sys.version_info[:2] <= newest:
        raise PackageError(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} builds the package, and Functions runs 3.{oldest[1]} to "
            f"3.{newest[1]}. Build with one of these: make package PYTHON=python3.11 in a checkout without .venv."
        )
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def install_dependencies(requirements: Path, into: Path) -> Installed:
    """Wheels alone: nothing is built here, and no code of a dependency runs.

    pip takes its own settings: where wheels come from is PIP_INDEX_URL, PIP_FIND_LINKS and PIP_NO_INDEX. What they are is said
    by the hashes in requirements.txt, each of which it checks.

    Raises:
        PackageError: pip did not do it, or a line has no hash, or a wheel another one.
    """
    target, report = into / "site-packages", into / "report.json"
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run(  # noqa: S603 (the Python that runs this)
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-compile",
            "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp", *platforms,
            "--target", str(target), "--report", str(report), "--requirement", str(requirements),
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise PackageError(
            f"{requirements}: pip could not install it for Linux: {_error(done.stderr)} Each line must be a version that has "
            "wheels, with the hashes that `make lock` writes. A wheel of another hash is not what was locked: ask where it is "
            "from."
        )
    return Installed(sorted(_files(target), key=lambda entry: entry.name), sorted(_reported(report)))


def _error(stderr: str) -> str:
    """All from pip's first error on: which requirements it means is in the lines after that."""
    lines = stderr.splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("ERROR")]
    return " ".join(" ".join(lines[errors[0] if errors else -1 :]).split())


def _files(target: Path) -> Iterator[Entry]:
    for path in target.rglob("*"):
        below = path.relative_to(target)
        is_note = below.parent.suffix == ".dist-info" and path.name in _LEFT_OUT
        if path.is_file() and below.parts[0] != "bin" and not is_note:
            yield Entry(f"{PLACE}/{below.as_posix()}", path)


def _reported(report: Path) -> Iterator[Dependency]:
    for one in json.loads(report.read_text("utf-8"))["install"]:
        yield Dependency(
            name=one["metadata"]["name"],
            version=one["metadata"]["version"],
            sha256=one["download_info"]["archive_info"]["hashes"]["sha256"],
        )
