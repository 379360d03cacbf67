"""The command line as a person and a pipeline see it: exit statuses, what goes where, and errors that say what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.estates import FolderEstate, entry, put_healthy_market, put_registry, put_state

ROOT = Path(__file__).parents[2]


def trueup(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ESTATE_", "RESULTS_"))}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env=inherited | {"REREAD_DELAY_SECONDS": "0"} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    estate = FolderEstate(tmp_path / "estate")
    for market in ("de", "emea/fr"):
        put_healthy_market(estate, market)
    return estate.root


@pytest.fixture
def drifted(healthy: Path) -> Path:
    put_state(FolderEstate(healthy), "de", "network", 44)
    return healthy


def test_all_healthy_exits_with_0(healthy: Path) -> None:
    run = trueup("reconcile", "--estate", str(healthy))
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("All 4 stacks in 2 markets agree\n")


def test_a_disagreement_exits_with_2_and_is_named(drifted: Path) -> None:
    run = trueup("reconcile", "--estate", str(drifted))
    assert (run.returncode, run.stderr) == (2, "")
    assert "de/network" in run.stdout
    assert "The state is 2 serials ahead of tracker and registry (44 against 42)" in run.stdout
    assert "docs/runbook.md#pipeline_drift" in run.stdout
    assert "\x1b" not in run.stdout


def test_json_is_the_documented_object(drifted: Path) -> None:
    run = trueup("reconcile", "--estate", str(drifted), "--format", "json", "--run-id", "r1")
    report = json.loads(run.stdout)
    assert list(report) == [
        "schema_version", "run_id", "started_at", "finished_at", "markets", "counts", "results", "problems",
        "unregistered_states", "pins",
    ]  # fmt: skip
    assert (report["schema_version"], report["run_id"], report["markets"]) == (1, "r1", 2)
    assert report["counts"] == {"healthy": 3, "pipeline_drift": 1}
    assert [(result["market"], result["stack"]) for result in report["results"]] == [
        ("de", "app"), ("de", "network"), ("emea/fr", "app"), ("emea/fr", "network"),
    ]  # fmt: skip
    assert list(report["results"][0]) == [
        "market", "stack", "subscription_id", "tier", "verdict", "severity", "odd_one_out", "serials", "serial_delta",
        "time_delta_seconds", "lineages", "masked_verdict", "notes", "first_seen_at", "healthy_since", "state_changed_at",
        "release", "commit", "owner", "summary", "remedy", "evidence",
    ]  # fmt: skip
    assert report["started_at"].endswith("Z")


@pytest.mark.parametrize("format_", ["table", "json", "markdown", "html"])
def test_every_format_goes_to_a_file_and_only_its_place_to_the_terminal(
    format_: str, drifted: Path, tmp_path: Path
) -> None:
    output = tmp_path / f"report.{format_}"
    run = trueup("reconcile", "--estate", str(drifted), "--format", format_, "--output", str(output))
    assert (run.returncode, run.stdout, run.stderr) == (2, "", f"The report is in {output}\n")
    assert "network" in output.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["estate", output.name]


def test_only_the_markets_asked_for_are_reconciled(drifted: Path) -> None:
    run = trueup("reconcile", "--estate", str(drifted), "--market", "emea/fr", "--format", "json")
    assert run.returncode == 0
    assert {result["market"] for result in json.loads(run.stdout)["results"]} == {"emea/fr"}


def test_since_when_is_kept_from_run_to_run(drifted: Path) -> None:
    def first_seen(as_of: str, *arguments: str) -> str | None:
        run = trueup("reconcile", "--estate", str(drifted), "--format", "json", "--as-of", as_of, *arguments)
        results = {result["stack"]: result for result in json.loads(run.stdout)["results"] if result["market"] == "de"}
        assert results["app"]["first_seen_at"] is None
        seen: str | None = results["network"]["first_seen_at"]
        return seen

    assert first_seen("2026-11-20T06:00:00Z", "--no-save") == "2026-11-20T06:00:00Z"
    assert first_seen("2026-11-21T06:00:00Z") == "2026-11-21T06:00:00Z"
    assert first_seen("2026-11-22T06:00:00Z") == "2026-11-21T06:00:00Z"


def test_a_run_id_used_again_is_the_same_run(drifted: Path) -> None:
    for _ in range(2):
        assert trueup("reconcile", "--estate", str(drifted), "--run-id", "nightly").returncode == 2
    files = [path.relative_to(drifted / "tables").parts for path in (drifted / "tables").rglob("*.json")]
    assert sorted(parts[:-1] for parts in files) == [
        ("reconcilepins",), ("reconcileresults", "de"), ("reconcileresults", "emea", "fr"), ("reconcileruns",),
    ]  # fmt: skip


def test_a_time_to_come_is_kept_from_the_results(healthy: Path) -> None:
    future = ("reconcile", "--estate", str(healthy), "--as-of", "2999-01-01T00:00:00Z")
    run = trueup(*future)
    assert run.returncode == 1
    assert "--no-save" in run.stderr
    assert trueup(*future, "--no-save").returncode == 0


def test_a_report_goes_through_a_link_and_to_what_is_no_file(healthy: Path, tmp_path: Path) -> None:
    link, target = tmp_path / "link.json", tmp_path / "target.json"
    target.touch()
    link.symlink_to(target)
    assert trueup("reconcile", "--estate", str(healthy), "--format", "json", "--output", str(link)).returncode == 0
    assert link.is_symlink()
    assert json.loads(target.read_text(encoding="utf-8"))["markets"] == 2
    run = trueup("reconcile", "--estate", str(healthy), "--format", "json", "--output", "/dev/stdout")
    assert json.loads(run.stdout)["markets"] == 2


def test_two_stacks_on_one_state_are_a_problem_though_their_records_agree(healthy: Path) -> None:
    stacks = {name: entry("de", "app") for name in ("app", "network")}
    put_registry(FolderEstate(healthy), "de", stacks)
    run = trueup("reconcile", "--estate", str(healthy), "--format", "json")
    report = json.loads(run.stdout)
    assert (run.returncode, report["counts"]) == (2, {"healthy": 4})
    assert [(problem["market"], problem["code"]) for problem in report["problems"]] == [("de", "shared_state")]
    assert trueup("reconcile", "--estate", str(healthy)).stdout.startswith(
        "All 4 stacks in 2 markets agree; 1 problem\n"
    )


def test_names_that_are_no_utf_8_are_a_problem_and_end_nothing(healthy: Path) -> None:
    for blob in (b"registry/x\xff/subscription.json", b"trackers/de/x\xff.json", b"tfstate/x\xff.tfstate"):
        path = Path(os.fsdecode(os.fsencode(healthy) + b"/" + blob))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{}")
    run = trueup("reconcile", "--estate", str(healthy), "--format", "json")
    report = json.loads(run.stdout)
    assert (run.returncode, report["counts"]) == (2, {"healthy": 4})
    assert [problem["code"] for problem in report["problems"]] == ["invalid_name", "invalid_name"]
    assert report["unregistered_states"] == ["x\\xff.tfstate"]


def test_the_version_is_told() -> None:
    assert trueup("--version").stdout.startswith("trueup 0.")


@pytest.mark.parametrize("format_", ["table", "json", "markdown", "html"])
def test_a_reader_that_has_read_enough_is_no_failure(format_: str, healthy: Path) -> None:
    command = [sys.executable, "-m", "cli", "reconcile", "--estate", str(healthy), "--no-save", "--format", format_]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.close()
        said = run.stderr.read()
    assert (run.returncode, said) == (141, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("reconcile",), "ESTATE_ACCOUNT_URL", id="no estate"),
        pytest.param(("reconcile", "--estate", "nowhere"), "no such folder", id="no such folder"),
        pytest.param(("reconcile", "--estate", "tests"), "registry", id="a folder that is no estate"),
        pytest.param(("reconcile", "--bogus"), "--bogus", id="an unknown option"),
        pytest.param(("reconcile", "--format", "pdf"), "pdf", id="an unknown format"),
        pytest.param(("reconcile", "--estate", "tests", "--as-of", "yesterday"), "--as-of", id="no time"),
        pytest.param(("reconcile", "--estate", "tests", "--run-id", "a/b"), "--run-id", id="no run id"),
        pytest.param(
            ("reconcile", "--estate", "tests", "--run-id", "daily-2026-11-25"),
            "service's runs",
            id="a run id of the service",
        ),
        pytest.param(("reconcile", "--estate", "tests", "--output", "nowhere/x"), "nowhere", id="an output in no folder"),
        pytest.param(("reconcile", "--estate", "tests", "--output", ""), "folder", id="an output that is a folder"),
        pytest.param(("heal",), "heal", id="an unknown command"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_done_exits_with_1_and_says_why(arguments: tuple[str, ...], says: str) -> None:
    run = trueup(*arguments)
    assert (run.returncode, run.stdout) == (1, "")
    assert says in run.stderr
    assert "Traceback" not in run.stderr


def test_an_unknown_market_is_named_with_those_that_there_are(healthy: Path) -> None:
    run = trueup("reconcile", "--estate", str(healthy), "--market", "fr")
    assert run.returncode == 1
    assert "fr" in run.stderr
    assert "emea/fr" in run.stderr


def test_a_wrong_setting_exits_with_1_and_is_named(healthy: Path) -> None:
    run = trueup("reconcile", "--estate", str(healthy), FAN_OUT_WIDTH="none")
    assert (run.returncode, run.stdout) == (1, "")
    assert "FAN_OUT_WIDTH" in run.stderr


def test_a_malformed_connection_string_is_not_repeated() -> None:
    run = trueup("reconcile", ESTATE_CONNECTION_STRING="AccountKey=hunter2")
    assert run.returncode == 1
    assert "ESTATE_CONNECTION_STRING" in run.stderr
    assert "hunter2" not in run.stderr


def test_help_has_an_example_that_works(healthy: Path, tmp_path: Path) -> None:
    text = " ".join(trueup("reconcile", "--help").stdout.split())
    assert "trueup reconcile --estate examples/estate --format html --output report.html" in text
    output = tmp_path / "report.html"
    run = trueup("reconcile", "--estate", str(healthy), "--format", "html", "--output", str(output))
    assert run.returncode == 0
    assert output.exists()


def test_a_pipe_that_cannot_encode_the_report_gets_utf_8(drifted: Path) -> None:
    put_state(FolderEstate(drifted), "de", "network", 40)
    run = trueup("reconcile", "--estate", str(drifted), PYTHONIOENCODING="cp1252")
    assert run.returncode == 2
    assert "−2 serials" in run.stdout  # noqa: RUF001 (a minus sign is what is printed)
