"""The estate of examples/estate through the real command line: what its README says of each stack is what is reported.

`UPDATE_GOLDEN=1` writes the golden report anew.
"""

import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from records.verdicts import NEEDS_NOBODY, Tier, Verdict

ROOT = Path(__file__).parents[2]
ESTATE = ROOT / "examples" / "estate"
BUILDER = ROOT / "examples" / "build_estate.py"
GOLDEN = Path(__file__).with_name("example_estate.json")
AS_OF = "2026-11-24T06:00:00Z"
NOT_COPIED = shutil.ignore_patterns("tables")
NO_TIER = "\N{EN DASH}"
BUILD_LIMIT_SECONDS = 300

JsonObject = dict[str, Any]


class Row(NamedTuple):
    """What the README's table says of a stack, without its story."""

    stack: str
    tier: str
    verdict: str
    odd_one_out: str


def row_of(result: JsonObject) -> Row:
    tier = NO_TIER if result["tier"] is None else str(result["tier"])
    return Row(f"{result['market']}/{result['stack']}", tier, result["verdict"], result["odd_one_out"])


def trueup(estate: Path, *, format_: str = "json", as_of: str = AS_OF) -> str:
    arguments = ["--estate", str(estate), "--as-of", as_of, "--run-id", "demo", "--no-save", "--format", format_]
    run = subprocess.run(
        [sys.executable, "-m", "cli", "reconcile", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ.get("PATH", os.defpath), "REREAD_DELAY_SECONDS": "0"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (run.returncode, run.stderr) == (2, "")
    return run.stdout


def rows_of(estate: Path) -> list[Row]:
    return [row_of(result) for result in json.loads(trueup(estate))["results"]]


def copy_estate(target: Path, *, source: Path = ESTATE) -> Path:
    """A copy whose files all have the time at which the estate is looked at: git keeps none."""
    shutil.copytree(source, target, ignore=NOT_COPIED)
    at = datetime.fromisoformat(AS_OF).timestamp()
    for file in target.rglob("*"):
        os.utime(file, (at, at))
    return target


def without_file_times(report: JsonObject) -> JsonObject:
    for result in report["results"]:
        for evidence in result["evidence"].values():
            evidence |= {name: "normalised" for name in ("etag", "last_modified") if evidence[name] is not None}
    return report


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    return copy_estate(tmp_path / "estate")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> JsonObject:
    printed: JsonObject = json.loads(trueup(copy_estate(tmp_path_factory.mktemp("report") / "estate")))
    return printed


@pytest.fixture(scope="module")
def readme() -> str:
    return (ESTATE / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def documented(readme: str) -> dict[Row, str]:
    """The README's rows, each with its story."""
    lines = [line for line in readme.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {Row(*(cell.strip("`") for cell in row[:4])): row[4] for row in cells}


def test_every_verdict_and_every_tier_is_shown(report: JsonObject) -> None:
    assert {result["verdict"] for result in report["results"]} == set(Verdict)
    assert {result["tier"] for result in report["results"]} >= set(Tier)


def test_the_report_is_the_golden_one(report: JsonObject) -> None:
    printed = json.dumps(without_file_times(report), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(printed, encoding="utf-8", newline="\n")
    assert printed == GOLDEN.read_text(encoding="utf-8")


def test_results_are_sorted_by_market_and_stack(report: JsonObject) -> None:
    names = [(result["market"], result["stack"]) for result in report["results"]]
    assert names == sorted(names)
    assert len(names) == len(set(names))


def test_each_row_of_the_readme_is_what_is_reported(report: JsonObject, documented: dict[Row, str]) -> None:
    reported = [row_of(result) for result in report["results"]]
    assert list(documented) == [row for row in reported if row in documented]


def test_what_the_readme_leaves_out_is_healthy_by_three_records(
    report: JsonObject, readme: str, documented: dict[Row, str]
) -> None:
    others = [result for result in report["results"] if row_of(result) not in documented]
    assert {row_of(result)[1:] for result in others} == {("1", "healthy", "none")}
    assert not any(result["notes"] for result in others)
    assert f"The other {len(others)} stacks are healthy in tier 1." in readme
    assert len(others) + sum(row.verdict == Verdict.HEALTHY for row in documented) > len(report["results"]) / 2


def test_a_story_names_the_notes_and_the_masked_verdict(report: JsonObject, documented: dict[Row, str]) -> None:
    for result in report["results"]:
        story = documented.get(row_of(result), "")
        for word in filter(None, [*result["notes"], result["masked_verdict"]]):
            assert f"`{word}`" in story, result["stack"]


def test_the_readme_names_what_is_no_stack(report: JsonObject, readme: str) -> None:
    assert [problem["market"] for problem in report["problems"]] == ["emea/it"]
    assert report["unregistered_states"] == ["pt/network.tfstate", "uk/dns.tfstate"]
    for name in ["emea/it", *report["unregistered_states"]]:
        assert f"`{name}`" in readme.split("Beside the stacks")[1]


def test_the_readmes_command_is_the_one_that_is_tested(readme: str) -> None:
    assert f"trueup reconcile --estate examples/estate --as-of {AS_OF} --no-save" in readme


def test_no_verdict_depends_on_a_files_time(estate: Path, report: JsonObject) -> None:
    expected = [row_of(result) for result in report["results"]]
    # From this year on: a file cannot have been checked out before its content was there, which in tier 3 was in 2025.
    earliest, latest = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2026, 2040))
    for seed in (1, 2):
        chance = random.Random(seed)
        for file in sorted(estate.rglob("*")):
            at = chance.uniform(earliest, latest)
            os.utime(file, (at, at))
        assert rows_of(estate) == expected


def test_a_lock_that_has_grown_old_masks_nothing(estate: Path) -> None:
    results = json.loads(trueup(estate, as_of="2026-11-25T06:00:00Z"))["results"]
    app = next(result for result in results if (result["market"], result["stack"]) == ("de", "app"))
    assert (app["verdict"], app["masked_verdict"], app["notes"]) == ("pipeline_drift", None, ["stale_lock"])


@pytest.mark.parametrize("format_", ["table", "markdown", "html"])
def test_every_format_names_each_market(format_: str, estate: Path, report: JsonObject) -> None:
    printed = trueup(estate, format_=format_)
    needing = [result for result in report["results"] if result["verdict"] not in NEEDS_NOBODY]
    names = {result["market"]: f"{result['market']}/{result['stack']}" for result in needing}
    names |= {problem["market"]: problem["blob"] for problem in report["problems"]}
    assert len(names) == report["markets"] == 9
    for name in names.values():
        assert name in printed


def test_the_encrypted_state_opens_as_opentofus_do(readme: str) -> None:
    stored = json.loads((ESTATE / "tfstate/emea/fr/keyvault.tfstate").read_bytes())
    assert list(stored) == ["serial", "lineage", "meta", "encrypted_data", "encryption_version"]
    assert stored["encryption_version"] == "v0"
    ((provider, encoded),) = stored["meta"].items()
    assert provider.startswith("key_provider.pbkdf2.")
    meta = json.loads(base64.b64decode(encoded))
    passphrase = b"an example and no secret"
    assert f"`{passphrase.decode()}`" in readme
    salt = base64.b64decode(meta["salt"])
    key = hashlib.pbkdf2_hmac(meta["hash_function"], passphrase, salt, meta["iterations"], meta["key_length"])
    sealed = base64.b64decode(stored["encrypted_data"])
    state = json.loads(AESGCM(key).decrypt(sealed[:12], sealed[12:], None))
    assert state["terraform_version"] == "1.11.4"
    assert (state["serial"], state["lineage"]) == (stored["serial"], stored["lineage"])


def test_the_builder_does_not_overwrite_an_estate(estate: Path) -> None:
    run = subprocess.run([sys.executable, BUILDER, estate], capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 2
    assert "would be overwritten" in run.stderr


@pytest.mark.slow
@pytest.mark.terraform
@pytest.mark.timeout(BUILD_LIMIT_SECONDS)
@pytest.mark.skipif(shutil.which("terraform") is None, reason="needs the real Terraform")
def test_the_builder_builds_the_same_estate_again(tmp_path: Path, report: JsonObject) -> None:
    subprocess.run([sys.executable, BUILDER, tmp_path / "built"], check=True, timeout=BUILD_LIMIT_SECONDS)
    built = json.loads(trueup(copy_estate(tmp_path / "estate", source=tmp_path / "built")))
    assert [row_of(result) for result in built["results"]] == [row_of(result) for result in report["results"]]
