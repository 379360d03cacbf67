"""``trueup adopt`` as a person and a script see it: what it takes, what it says, and what it exits with."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.estates import FolderEstate, entry, put_healthy_market, put_registry, put_state

ROOT = Path(__file__).parents[2]
PATTERN = r"(?P<market>.+)/(?P<stack>[^/]+)\.tfstate"
BY_PATTERN = ("--pattern", PATTERN, "--subscription", "de=s-de", "--subscription", "emea/fr=s-fr")


def trueup(
    estate: Path, command: str, *arguments: str, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ESTATE_", "RESULTS_"))}
    return subprocess.run(
        [sys.executable, "-m", "cli", command, "--estate", str(estate), *arguments],
        cwd=ROOT,
        env=inherited | {"REREAD_DELAY_SECONDS": "0"} | environment,
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def adopt(estate: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return trueup(estate, "adopt", *arguments, stdin=stdin)


def files(estate: Path) -> dict[str, bytes]:
    return {str(path.relative_to(estate)): path.read_bytes() for path in estate.rglob("*") if path.is_file()}


def adoptions(run: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {f"{one['market']}/{one['stack']}": one for one in json.loads(run.stdout)["adoptions"]}


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """Three states without records."""
    bare = FolderEstate(tmp_path / "estate")
    for market, stack in (("de", "app"), ("de", "network"), ("emea/fr", "app")):
        put_state(bare, market, stack)
    for container in (bare.containers.registry, bare.containers.trackers):
        (bare.root / container).mkdir()
    return bare.root


def test_it_shows_what_it_would_write_and_then_writes_it_and_then_has_nothing_to_do(estate: Path) -> None:
    before = files(estate)
    shown = adopt(estate, *BY_PATTERN)
    assert (shown.returncode, shown.stderr) == (2, "")
    assert "3 to adopt.\n" in shown.stdout
    assert '"key": "de/app.tfstate"' in shown.stdout
    assert shown.stdout.endswith(
        "Nothing was written. Run it again with --yes to write this. --format json shows every record.\n"
    )
    assert "\x1b" not in shown.stdout
    assert files(estate) == before
    written = adopt(estate, *BY_PATTERN, "--yes")
    assert (written.returncode, written.stderr) == (0, "")
    assert written.stdout.endswith("3 adopted.\n")
    assert trueup(estate, "reconcile", "--no-save").returncode == 0
    after = files(estate)
    again = adopt(estate, *BY_PATTERN, "--yes")
    assert (again.returncode, again.stdout) == (
        0, "All 3 are on record already: there is nothing to write.\n",
    )  # fmt: skip
    assert files(estate) == after


@pytest.mark.parametrize("file", ["docs/deploy.md", "docs/runbook.md", "commands/adopt.py"])
def test_the_pattern_that_is_documented_takes_markets_with_a_slash(file: str) -> None:
    documented = re.findall(r"--pattern '(\S+)' --subscription", (ROOT / file).read_text(encoding="utf-8"))
    assert documented == [PATTERN]


def test_a_wrong_pattern_names_the_states_without_a_place_and_writes_nothing(estate: Path) -> None:
    before = files(estate)
    run = adopt(estate, "--pattern", r"(?P<market>[^/]+)/(?P<stack>[^/]+)\.tfstate", "--subscription", "de=s", "--yes")
    assert run.returncode == 1
    assert "emea/fr/app.tfstate    the pattern does not match" in run.stdout
    assert "de/app.tfstate" not in run.stdout
    assert run.stdout.endswith(
        "Nothing was written: 1 of 3 have no place. Correct the pattern or the mapping, or use --exclude.\n"
    )
    as_json = adopt(estate, "--pattern", r"(?P<market>x)/(?P<stack>y)", "--yes", "--format", "json")
    answer = json.loads(as_json.stdout)
    assert (answer["written"], answer["adoptions"]) == (False, [])
    assert [one["blob"] for one in answer["unplaced"]] == [
        "de/app.tfstate",
        "de/network.tfstate",
        "emea/fr/app.tfstate",
    ]
    assert files(estate) == before


def test_a_pattern_that_calls_a_registered_state_otherwise_writes_nothing(estate: Path) -> None:
    put_registry(FolderEstate(estate), "de", {"app": entry("de", "app")})
    before = files(estate)
    swapped = (r"(?P<stack>[^/]+)/(?P<market>[^/]+)\.tfstate", "--exclude", "emea/*")
    run = adopt(estate, "--pattern", *swapped, "--subscription", "app=s", "--subscription", "network=s", "--yes")
    assert run.returncode == 1
    assert "it would be app/de, and the registry has it as de/app" in run.stdout
    assert files(estate) == before


def test_a_list_places_the_states_that_are_not_excluded(estate: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "places.csv"
    mapping.write_text(
        "key,market,stack,subscription_id\nde/app.tfstate,de,web,s-de\nde/network.tfstate,de,net,\n", encoding="utf-8"
    )
    run = adopt(estate, "--mapping", str(mapping))
    assert run.returncode == 1
    assert "emea/fr/app.tfstate    the list has no row for it" in run.stdout
    run = adopt(estate, "--mapping", str(mapping), "--exclude", "emea/*", "--yes", "--format", "json")
    assert run.returncode == 0
    found = adoptions(run)
    assert list(found) == ["de/net", "de/web"]
    assert found["de/web"] | {"tracker": None} == {
        "market": "de",
        "stack": "web",
        "blob": "de/app.tfstate",
        "adopting": "adopt",
        "why": None,
        "tier_before": None,
        "verdict_before": None,
        "tracker": None,
        "entry": found["de/net"]["entry"] | {"state": {"key": "de/app.tfstate"}},
        "failure": None,
        "verdict_after": "healthy",
    }
    assert found["de/web"]["tracker"] == json.loads((estate / "trackers/de/web.json").read_text(encoding="utf-8"))
    registry = json.loads((estate / "registry/de/subscription.json").read_text(encoding="utf-8"))
    assert registry["stacks"] == {one["stack"]: one["entry"] for one in found.values()}


def test_only_the_states_that_are_listed_are_adopted(estate: Path, tmp_path: Path) -> None:
    listed = tmp_path / "states.txt"
    listed.write_text("# the first\nde/app.tfstate\n", encoding="utf-8")
    assert list(adoptions(adopt(estate, *BY_PATTERN, "--states", str(listed), "--format", "json"))) == ["de/app"]
    run = adopt(estate, *BY_PATTERN, "--states", "-", "--format", "json", stdin="emea/fr/app.tfstate\n")
    assert list(adoptions(run)) == ["emea/fr/app"]


def test_a_market_without_a_subscription_is_named_with_the_ways_to_say_it(estate: Path) -> None:
    run = adopt(estate, "--pattern", PATTERN, "--subscription", "de=s-de", "--yes")
    assert (run.returncode, run.stdout) == (1, "")
    assert "which subscription is that of emea/fr: pass --subscription MARKET=ID" in " ".join(run.stderr.split())
    assert not list((estate / "registry").iterdir())


def test_what_is_left_alone_has_its_reason_and_the_rest_is_adopted(estate: Path) -> None:
    folder = FolderEstate(estate)
    put_registry(folder, "de", {"app": entry("de", "app", serial=41), "network": entry("de", "network")})
    folder.put("tfstate", "emea/fr/app.tfstate", b"{")
    run = adopt(estate, *BY_PATTERN, "--yes")
    assert run.returncode == 2
    assert "de/app: left alone\n  The state is 1 serial ahead of registry (42 against 41)" in run.stdout
    assert "trueup accept --market de --stack app" in " ".join(run.stdout.split())
    assert "emea/fr/app: left alone\n  The state cannot be read: " in run.stdout
    assert "tier 2, healthy  healthy" in run.stdout
    assert run.stdout.endswith("1 adopted, 2 left alone.\n")


def test_what_is_the_same_for_many_is_told_once(estate: Path) -> None:
    folder = FolderEstate(estate)
    for number in range(12):
        folder.put("tfstate", f"de/s{number:02}.tfstate", b"")
    run = adopt(estate, *BY_PATTERN)
    assert run.stdout.count("holds no state yet") == 1
    assert "de/s08, de/s09 and 2 more: left alone\n" in run.stdout


def test_a_write_that_fails_is_told_and_exits_with_1_and_the_other_markets_are_adopted(estate: Path) -> None:
    (estate / "trackers/emea").write_text("where a folder should be", encoding="utf-8")
    run = adopt(estate, *BY_PATTERN, "--yes")
    assert run.returncode == 1
    assert "emea/fr/app: not written\n  trackers/emea/fr/app.json: " in run.stdout
    assert run.stdout.endswith("2 adopted, 1 not healthy yet.\n")
    (estate / "trackers/emea").unlink()
    assert adopt(estate, *BY_PATTERN, "--yes").returncode == 0


def test_an_estate_without_a_state_has_nothing_to_adopt(estate: Path) -> None:
    run = adopt(estate, *BY_PATTERN, "--exclude", "*")
    assert (run.returncode, run.stdout) == (
        0, "There is no state to adopt: the container holds none, or all are left out.\n",
    )  # fmt: skip


WRONG = [
    pytest.param((), "pass --pattern or --mapping", id="no mapping at all"),
    pytest.param((*BY_PATTERN, "--mapping", "x"), "pass --pattern or --mapping", id="a pattern and a list"),
    pytest.param(("--pattern", "("), "no regular expression", id="a pattern that is none"),
    pytest.param(("--pattern", ""), "needs the groups", id="an empty pattern"),
    pytest.param((*BY_PATTERN, "--subscription", "de"), "MARKET=ID", id="a subscription of no market"),
    pytest.param((*BY_PATTERN, "--subscription", "de="), "MARKET=ID", id="a market of no subscription"),
    pytest.param((*BY_PATTERN, "--subscription", "de=other"), "de has two", id="two subscriptions of a market"),
    pytest.param((*BY_PATTERN, "--account-url", "https://x.example"), "--states", id="an account to be listed"),
    pytest.param((*BY_PATTERN, "--container", "No"), "--container", id="a container that is none"),
    pytest.param((*BY_PATTERN, "--container", "not-there"), "not-there", id="a container that is not there"),
    pytest.param((*BY_PATTERN, "--states", "not-there"), "No such file", id="a list that is not there"),
    pytest.param(("--mapping", "pyproject.toml"), "its first line should have key", id="a list that is none"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG)
def test_what_is_asked_for_wrongly_is_refused_and_nothing_is_written(
    estate: Path, arguments: tuple[str, ...], says: str
) -> None:
    before = files(estate)
    run = adopt(estate, *arguments, "--yes")
    assert (run.returncode, run.stdout) == (1, "")
    assert says in " ".join(run.stderr.replace("│", " ").split())
    assert "Traceback" not in run.stderr
    assert files(estate) == before


def test_a_healthy_estate_has_nothing_to_write(tmp_path: Path) -> None:
    folder = FolderEstate(tmp_path)
    put_healthy_market(folder, "de")
    assert adopt(tmp_path, "--pattern", PATTERN).returncode == 0
