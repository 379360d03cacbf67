"""What is installed is what was locked, wherever it comes from: requirements have hashes, and pip is told to ask for them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path.name for path in ROOT.glob("requirements*.txt"))
INSTALLERS = ["Makefile", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/pipelines/*.yml"))]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def joined(path: str) -> list[str]:
    """Its lines, with those that a backslash continues."""
    return [" ".join(line.split()) for line in text_of(path).replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_is_one_version_and_has_hashes(file: str) -> None:
    requirements = [line for line in joined(file) if line and not line.startswith("#")]
    assert requirements
    loose = [
        line for line in requirements if not re.fullmatch(r"[\w.-]+==\S+( ; .+?)?( --hash=sha256:[0-9a-f]{64})+", line)
    ]
    assert loose == []


def test_every_requirements_file_is_compiled_by_make_lock() -> None:
    assert set(re.findall(r"--output-file (\S+)", " ".join(joined("Makefile")))) == set(FILES)
    (compiler,) = [line for line in joined("Makefile") if line.startswith("COMPILE :=")]
    assert "--generate-hashes" in compiler


@pytest.mark.parametrize("file", INSTALLERS)
def test_pip_installs_nothing_that_it_does_not_check(file: str) -> None:
    """Of the checkout itself there is no hash. What builds it is installed before, and not fetched for it."""
    called = r'\$\(INSTALL\)|"\$\{pip\[@\]\}"|^(?!INSTALL :=|pip=).*pip install'
    installs = [line for line in joined(file) if re.search(called, line)]
    assert len(installs) >= 2
    for line in installs:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line, line
        assert ("--requirement" in line) == ("--require-hashes" in line), line


def test_what_builds_trueup_is_locked_as_it_says_itself() -> None:
    build_system = tomllib.loads(text_of("pyproject.toml"))["build-system"]
    (required,) = build_system["requires"]
    name, _, oldest = required.partition(">=")
    assert f"echo '{required}' | $(COMPILE)" in text_of("Makefile")
    (locked,) = re.findall(rf"^{name}==(\d+)", text_of("requirements-build.txt"), re.MULTILINE)
    assert int(locked) >= int(oldest)
