"""The house's rules that import-linter cannot hold: what the doors may do, and where the environment is read."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOORS = [
    ROOT / "cli.py",
    ROOT / "function_app.py",
    *sorted(file for folder in ("commands", "assembly") for file in (ROOT / folder).glob("*.py")),
]
RULES = [
    "reconcile.judgement", "reconcile.compare", "reconcile.state_age", "reconcile.wording",
    "drift.classify", "drift.conditions", "drift.decide", "drift.differences", "drift.masking", "drift.policy_rules",
    "pins.address", "pins.calls", "pins.constraints", "pins.firmness", "pins.library", "pins.refs", "pins.versions",
    "recording.trackers", "recording.entries", "recording.corrections", "recording.unfinished", "recording.adoption",
]  # fmt: skip
OUTSIDE = ["azure", "aiohttp", "requests", "socket", "subprocess", "os"]
ALLOWED = {
    "function_app.py": ["azure.functions", "azure.durable_functions"],
    "deployed_modules.py": ["pins.calls"],
    "pin_audits.py": ["pins.calls", "pins.library", "pins.refs"],
}
"""What an audit of pins is put together of is between two readings: of the calls, and of what the library has of them."""
LAYERS = ["records", "answering", "lanes", "pins", "reconcile", "recording", "drift"]


def imports_of(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def forbidden_in_a_door(source: str, allowed: list[str]) -> list[str]:
    """What a door imports and may not: a rule, a vendor's client, a process, the environment."""
    return [name for name in imports_of(source) if is_under(name, [*RULES, *OUTSIDE]) and not is_under(name, allowed)]


def is_under(name: str, packages: list[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def reads_the_environment(source: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("door", DOORS, ids=lambda path: str(path.name))
def test_a_door_binds_and_holds_no_rule(door: Path) -> None:
    assert forbidden_in_a_door(door.read_text(encoding="utf-8"), ALLOWED.get(door.name, [])) == []


@pytest.mark.parametrize("door", DOORS, ids=lambda path: str(path.name))
def test_a_door_decides_nothing_by_verdict_or_serial(door: Path) -> None:
    names = {
        node.attr for node in ast.walk(ast.parse(door.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)
    }
    assert names.isdisjoint({"verdict", "severity", "serial", "lineage", "tier"})


@pytest.mark.parametrize(
    "planted",
    [
        "from reconcile.judgement import judge",
        "import azure.storage.blob",
        "from azure.identity.aio import DefaultAzureCredential",
        "import subprocess",
        "from os import environ",
        "def f():\n    import os",
    ],
)
def test_a_planted_violation_is_found(planted: str) -> None:
    assert forbidden_in_a_door(planted, [])


def test_only_adapters_read_the_environment() -> None:
    files = [*DOORS, *(file for layer in LAYERS for file in (ROOT / layer).rglob("*.py"))]
    assert len(files) > 20
    assert [file.name for file in files if reads_the_environment(file.read_text(encoding="utf-8"))] == []
    assert reads_the_environment("import os\nos.environ['X']")


def test_no_folder_shadows_the_sdk() -> None:
    assert not (ROOT / "azure").exists()


def test_no_module_has_outgrown_its_name() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for folder in (
            "records",
            "answering",
            "lanes",
            "pins",
            "reconcile",
            "recording",
            "drift",
            "adapters",
            "assembly",
            "commands",
            "bench",
        )
        for file in (ROOT / folder).rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert long == {}
