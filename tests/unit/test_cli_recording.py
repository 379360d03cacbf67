"""The commands that write records, as a person at a terminal and a program in a pipe see them."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

import cli
from tests.estates import SERIAL, FolderEstate, entry, put_healthy_market, put_registry, put_state, put_tracker

WHO: Final = ("--by", "alice@example.com", "--reason", "hotfix INC-4711")
NETWORK: Final = ("--market", "de", "--stack", "network")


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.stdout)
        return answer


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs commands on an estate on disk, in this process."""

    estate: FolderEstate
    monkeypatch: pytest.MonkeyPatch

    def run(self, *arguments: str) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with self.monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["trueup", arguments[0], "--estate", str(self.estate.root), *arguments[1:]])
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out.getvalue(), err.getvalue())

    def record(self, container: str, blob: str) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.estate.root / container / blob).read_text(encoding="utf-8"))
        return record

    @property
    def rows(self) -> list[dict[str, Any]]:
        files = (self.estate.root / "tables" / "recordlog").rglob("*.json")
        return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(files)]


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("TF_BUILD", "GITHUB_ACTIONS", "ESTATE_ACCOUNT_URL", "ESTATE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REREAD_DELAY_SECONDS", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "estate").mkdir()
    return Terminal(FolderEstate(tmp_path / "estate"), monkeypatch)


class TestRecord:
    def test_a_first_deploy_makes_all_the_records_of_an_empty_estate(self, terminal: Terminal, tmp_path: Path) -> None:
        put_state(terminal.estate, "de", "network", 1)
        root = tmp_path / "root"
        root.mkdir()
        (root / ".terraform").mkdir()
        (root / "main.tf").write_text('resource "terraform_data" "x" {}\n', encoding="utf-8")
        (tmp_path / "de.tfvars").write_text("a = 1\n", encoding="utf-8")
        ended = terminal.run(
            "record", *NETWORK, "--bundle", str(root), "--var-file", str(tmp_path / "de.tfvars"),
            "--state-key", "de/network.tfstate", "--subscription-id", "s-de", "--release", "2026.11.3",
        )  # fmt: skip
        assert (ended.status, ended.stderr) == (0, "")
        assert ended.stdout.startswith("de/network: recorded\n")
        assert not any(line.endswith(" ") for line in ended.stdout.splitlines())
        tracker = terminal.record("trackers", "de/network.json")
        assert (terminal.estate.root / "bundles" / tracker["bundle"]["blob"]).is_file()
        assert terminal.run("reconcile", "--no-save").status == 0

    def test_its_answer_is_one_object(self, terminal: Terminal) -> None:
        put_healthy_market(terminal.estate, "de")
        ended = terminal.run("record", *NETWORK, "--format", "json")
        assert list(ended.answer) == ["schema_version", "market", "stack", "recording", "state", "tracker", "warnings"]
        assert (ended.answer["recording"], ended.answer["state"]["serial"]) == ("recorded", SERIAL)

    def test_without_a_bundle_it_says_what_that_costs(self, terminal: Terminal) -> None:
        put_healthy_market(terminal.estate, "de")
        assert "Without --bundle portal drift" in terminal.run("record", *NETWORK).stdout

    def test_a_failed_apply_that_moved_nothing_has_nothing_to_record(self, terminal: Terminal) -> None:
        put_healthy_market(terminal.estate, "de")
        ended = terminal.run("record", *NETWORK, "--outcome", "failed")
        assert (ended.status, terminal.rows) == (0, [])
        assert "nothing to record" in ended.stdout

    def test_a_pipelines_own_words_are_taken_from_its_environment(
        self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_healthy_market(terminal.estate, "de")
        for name, value in {
            "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "81234", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_SHA": "4f1c0de",
            "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "contoso/platform",
            "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "2026.11.3", "GITHUB_ACTOR": "alice",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        assert terminal.run("record", *NETWORK).status == 0
        tracker = terminal.record("trackers", "de/network.json")
        assert (tracker["release"], tracker["commit"], tracker["run_id"]) == ("2026.11.3", "4f1c0de", "81234.2")
        assert tracker["run_url"].startswith("https://github.com/contoso/platform/actions/runs/81234")
        assert {row["by"] for row in terminal.rows} == {"alice"}

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param(("--market", "DE", "--stack", "network"), "--market", id="a market that is no key"),
            pytest.param(("--market", "de", "--stack", "a/b"), "--stack", id="a stack that is no name"),
            pytest.param((*NETWORK, "--var-file", "x.tfvars"), "--bundle", id="a variable file without a bundle"),
            pytest.param((*NETWORK, "--state-workspace", "prod"), "--state-key", id="a workspace without a key"),
            pytest.param((*NETWORK, "--deployed-at", "yesterday"), "--deployed-at", id="no time"),
            pytest.param((*NETWORK, "--deployed-at", "2999-01-01T00:00:00Z"), "yet to come", id="a time to come"),
            pytest.param((*NETWORK, "--release", "x" * 257), "256 characters", id="a release that no record holds"),
            pytest.param((*NETWORK, "--release", "a\nb"), "one line", id="a release of two lines"),
            pytest.param((*NETWORK, "--bundle", "no-such-folder"), "no-such-folder", id="no folder to bundle"),
            pytest.param((*NETWORK, "--subscription-id", "s-fr"), "--subscription-id", id="another's subscription"),
            pytest.param(
                ("--market", "de", "--stack", "new"), "--state-key", id="a stack of which nothing says its state"
            ),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_written(
        self, terminal: Terminal, arguments: tuple[str, ...], says: str
    ) -> None:
        put_healthy_market(terminal.estate, "de")
        ended = terminal.run("record", *arguments)
        assert (ended.status, ended.stdout, terminal.rows) == (1, "", [])
        assert says in " ".join(ended.stderr.split())
        assert "Traceback" not in ended.stderr


class TestRepair:
    @pytest.fixture
    def behind(self, terminal: Terminal) -> Terminal:
        put_healthy_market(terminal.estate, "de")
        put_tracker(terminal.estate, "de", "network", serial=40)
        return terminal

    def test_it_shows_the_record_and_why_and_writes_nothing(self, behind: Terminal) -> None:
        ended = behind.run("repair")
        assert (ended.status, ended.stderr, behind.rows) == (2, "", [])
        assert "State and registry agree on serial 42; the tracker says 40." in ended.stdout
        assert '- "serial": 40' in ended.stdout
        assert '+ "serial": 42' in ended.stdout
        assert "--yes" in ended.stdout
        assert behind.record("trackers", "de/network.json")["serial"] == 40

    def test_with_yes_it_writes_it(self, behind: Terminal) -> None:
        ended = behind.run("repair", "--yes", "--by", "bob")
        assert ended.status == 0
        assert "Written. The stack is healthy." in ended.stdout
        assert behind.run("reconcile", "--no-save").status == 0
        assert [(row["by"], row["command"], row["status"]) for row in behind.rows] == [("bob", "repair", "written")]
        again = behind.run("repair")
        assert (again.status, again.stdout) == (0, "Nothing to repair: every stack is healthy or not deployed.\n")

    def test_its_answer_holds_both_versions_of_the_record(self, behind: Terminal) -> None:
        (correction,) = behind.run("repair", "--format", "json").answer["corrections"]
        assert (correction["before"]["serial"], correction["after"]["serial"], correction["written"]) == (40, 42, False)
        (correction,) = behind.run("repair", "--yes", "--format", "json").answer["corrections"]
        assert (correction["written"], correction["verdict_after"]) == (True, "healthy")

    def test_what_a_person_must_look_at_is_left_alone(self, behind: Terminal) -> None:
        put_state(behind.estate, "de", "app", 44)
        ended = behind.run("repair", "--yes")
        assert ended.status == 2
        assert "de/app: pipeline_drift, left alone" in ended.stdout
        assert "trueup accept --market de --stack app" in " ".join(ended.stdout.split())

    def test_a_market_that_cannot_be_read_is_named_and_the_others_mended(self, behind: Terminal) -> None:
        behind.estate.put("registry", "fr/subscription.json", b"{")
        ended = behind.run("repair", "--yes")
        assert ended.status == 2
        assert "fr: cannot be judged" in ended.stdout
        assert "Written. The stack is healthy." in ended.stdout

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param(("--market", "fr"), "no record names market fr", id="a market"),
            pytest.param(("--stack", "typo"), "no record names stack typo", id="a stack"),
        ],
    )
    def test_a_name_that_no_record_has_is_an_error(
        self, behind: Terminal, arguments: tuple[str, ...], says: str
    ) -> None:
        ended = behind.run("repair", *arguments)
        assert ended.status == 1
        assert says in ended.stderr

    def test_a_market_whose_record_cannot_be_written_does_not_cost_another(self, behind: Terminal) -> None:
        put_registry(behind.estate, "aa", {"app": entry("aa", "app", state={"key": "aa/app.tfstate"})})
        put_tracker(behind.estate, "aa", "app", serial=40)
        put_state(behind.estate, "aa", "app")
        file = behind.estate.root / "trackers" / "aa" / ".app.json.lock"
        file.mkdir()
        ended = behind.run("repair", "--yes")
        assert ended.status == 2
        assert "Not written." in ended.stdout
        assert behind.record("trackers", "de/network.json")["serial"] == 42


class TestAccept:
    @pytest.fixture
    def drifted(self, terminal: Terminal) -> Terminal:
        put_healthy_market(terminal.estate, "de")
        put_state(terminal.estate, "de", "network", 44)
        return terminal

    def test_the_state_is_the_truth_from_then_on(self, drifted: Terminal) -> None:
        ended = drifted.run("accept", *NETWORK, *WHO)
        assert (ended.status, ended.stderr) == (0, "")
        assert "Accepted. de/network is healthy." in ended.stdout
        (written,) = drifted.record("trackers", "de/network.json")["history"]
        assert (written["action"], written["by"], written["reason"]) == (
            "accept",
            "alice@example.com",
            "hotfix INC-4711",
        )
        assert {(row["kind"], row["reason"]) for row in drifted.rows} == {
            ("tracker", "hotfix INC-4711"), ("registry", "hotfix INC-4711"),
        }  # fmt: skip
        assert drifted.run("reconcile", "--no-save").status == 0

    def test_a_dry_run_shows_it_and_writes_nothing(self, drifted: Terminal) -> None:
        ended = drifted.run("accept", *NETWORK, *WHO, "--dry-run")
        assert (ended.status, drifted.rows) == (2, [])
        assert '+ "serial": 44' in ended.stdout

    def test_its_answer_is_one_object(self, drifted: Terminal) -> None:
        answer = drifted.run("accept", *NETWORK, *WHO, "--format", "json").answer
        assert (answer["verdict"], answer["verdict_after"], answer["written"]) == ("pipeline_drift", "healthy", True)
        again = drifted.run("accept", *NETWORK, *WHO, "--format", "json").answer
        assert (again["verdict"], again["written"]) == ("healthy", False)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param((*NETWORK, "--by", "alice"), "--reason", id="without a reason"),
            pytest.param((*NETWORK, "--by", "alice", "--reason", " "), "--reason", id="a reason that says nothing"),
            pytest.param((*NETWORK, "--by", "a" * 300, "--reason", "x"), "--by", id="a name that no record holds"),
            pytest.param((*NETWORK, *WHO, "--serial", "43"), "44 and not 43", id="a serial that nobody looked at"),
            pytest.param(("--market", "de", "--stack", "x", *WHO), "no record names this stack", id="no such stack"),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_written(
        self, drifted: Terminal, arguments: tuple[str, ...], says: str
    ) -> None:
        ended = drifted.run("accept", *arguments)
        assert (ended.status, drifted.rows) == (1, [])
        assert says in " ".join(ended.stderr.split())
