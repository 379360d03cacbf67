"""`trueup drift heal` and its levers over an estate on disk, with the real stores and a Terraform that is played."""

import io
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

import assembly.drift_estates
import cli
import commands.drift_jobs
from adapters.folder_ledger import FolderHealLedger
from adapters.mapped_file import mapped
from records.errors import SettingsError
from records.heal_ledger import HealRow, HealStep
from records.heals import QUEUE
from records.registry import StateLocation
from records.terraform import Applied, Cause, DeployedRoot, FailedApply, MadePlan, NoAnswer, ReadT, Step
from records.tracker import Bundle
from tests.estates import CONTAINERS, FolderEstate, entry, put_registry, put_state, put_tracker
from tests.unit.planner_fake import PLANS, bundle_bytes, bundle_of

WHO: Final = ("--by", "alice@example.com", "--reason", "hotfix INC-4711")
SECRET: Final = "hunter2"
CLICK: Final = "de/network.tfstate"


@dataclass(slots=True)
class PlayedTerraform:
    """A `Planner` over a cloud in which one clicks: ``clicked`` are the keys of the states whose stacks have drifted."""

    folder: Path
    clicked: set[str] = field(default_factory=set)
    applied: list[str] = field(default_factory=list)
    breaks_with: Exception | None = None
    does_nothing: bool = False
    is_readable_after: bool = True

    @asynccontextmanager
    async def deployed(
        self, *, content: bytes, bundle: Bundle, state: StateLocation, subscription_id: str | None = None
    ) -> AsyncIterator[DeployedRoot]:
        if self.breaks_with:
            raise self.breaks_with
        yield _PlayedModule(self, state.key)


@dataclass(slots=True)
class _PlayedModule:
    terraform: PlayedTerraform
    key: str

    async def plan(self, *, lock_timeout_seconds: int | None = None) -> MadePlan | NoAnswer:
        if self.key in self.terraform.applied and not self.terraform.is_readable_after:
            return NoAnswer(step=Step.PLAN, cause=Cause.FAILED, message="Terraform gave no plan. Do something.")
        is_clicked = self.key in self.terraform.clicked
        json_file = self.terraform.folder / f"{self.key.replace('/', '-')}.json"
        json_file.write_bytes((PLANS / f"{'in_place_change' if is_clicked else 'no_change'}.json").read_bytes())
        return MadePlan(file=json_file, json_file=json_file, has_changes=is_clicked)

    async def read(self, plan: MadePlan, reader: Callable[[memoryview], ReadT]) -> ReadT:
        with mapped(plan.json_file) as document:
            return reader(document)

    async def apply(self, plan: MadePlan, *, lock_timeout_seconds: int) -> Applied | FailedApply:
        self.terraform.applied.append(self.key)
        if not self.terraform.does_nothing:
            self.terraform.clicked.discard(self.key)
        return Applied(most_writes=1)


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs `trueup drift …` on an estate on disk, in this process."""

    estate: FolderEstate
    terraform: PlayedTerraform
    monkeypatch: pytest.MonkeyPatch

    def run(self, command: str, *arguments: str) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with self.monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["trueup", "drift", command, "--estate", str(self.estate.root), *arguments])
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out.getvalue(), err.getvalue())

    def deploy(self, market: str, stack: str = "network") -> None:
        """A healthy stack, the only one of its market."""
        put_registry(self.estate, market, {stack: entry(market, stack)})
        self.estate.put(CONTAINERS.bundles, bundle_of(market, stack)["blob"], bundle_bytes(market, stack))
        put_tracker(self.estate, market, stack, bundle=bundle_of(market, stack))
        put_state(self.estate, market, stack)

    def queued(self) -> str:
        """Clicks, checks, and gives the job that is queued."""
        self.terraform.clicked.add(CLICK)
        [job_id] = self.run("check", "--queue", "--format", "json").answer["queued"]
        return str(job_id)

    def held(self, **settings: str) -> str:
        """Clicks, checks with these settings, and gives the job that is held."""
        self.terraform.clicked.add(CLICK)
        with self.monkeypatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(name, value)
            self.run("check", "--queue")
        [hold] = self.run("holds", "--format", "json").answer["holds"]
        return str(hold["job_id"])

    def tables(self) -> dict[str, str]:
        """Everything that is kept of heals, by file."""
        files = (self.estate.root / "tables" / "heals").rglob("*.json")
        return {str(file): file.read_text(encoding="utf-8") for file in files}


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Two markets, one stack each; nothing has drifted, and healing is on."""
    for name in ("TF_BUILD", "GITHUB_ACTIONS", "ESTATE_ACCOUNT_URL", "ESTATE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"REREAD_DELAY_SECONDS": "0", "NO_COLOR": "1", "HEAL_MODE": "on", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "estate").mkdir()
    (tmp_path / "plans").mkdir()
    terraform = PlayedTerraform(tmp_path / "plans")
    monkeypatch.setattr(assembly.drift_estates, "TerraformCli", lambda _: terraform)
    made = Terminal(FolderEstate(tmp_path / "estate"), terraform, monkeypatch)
    made.deploy("de")
    made.deploy("fr")
    return made


def steps_of(answer: Any) -> list[str]:
    return [moment["step"] or moment["lever"] for moment in answer["moments"]]


class TestHeal:
    def test_goes_from_click_to_verified_and_tells_each_job(self, terminal: Terminal) -> None:
        job_id = terminal.queued()
        ended = terminal.run("heal")
        assert (ended.status, ended.stderr, terminal.terraform.applied) == (0, "", [CLICK])
        row, note, _, summary = ended.stdout.splitlines()
        assert row == f"{job_id[:12]}  de/network  verified"
        assert note.startswith("  ")
        assert summary == "1 job: 1 verified"
        assert terminal.run("check").status == 0

    def test_with_an_empty_queue_has_nothing_to_do(self, terminal: Terminal) -> None:
        ended = terminal.run("heal")
        assert (ended.status, ended.stdout.startswith("No job was taken")) == (0, True)

    def test_without_queue_nothing_is_queued_and_a_check_says_so(self, terminal: Terminal) -> None:
        terminal.terraform.clicked.add(CLICK)
        checked = terminal.run("check", "--format", "json")
        assert (checked.status, checked.answer["queued"]) == (2, None)
        assert "`trueup drift check --queue` queues" in terminal.run("check").stdout
        assert terminal.run("heal", "--format", "json").answer["jobs"] == []

    def test_its_answer_is_one_object_of_rows(self, terminal: Terminal) -> None:
        job_id = terminal.queued()
        ended = terminal.run("heal", "--format", "json")
        assert list(ended.answer) == ["schema_version", "jobs", "refused", "problems"]
        [job] = ended.answer["jobs"]
        assert HealRow.model_validate(job).step is HealStep.VERIFIED
        assert (job["job"]["job_id"], ended.answer["refused"], ended.answer["problems"]) == (job_id, [], [])

    def test_tells_each_job_on_a_terminal_as_it_ends(self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal.queued()
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
        assert re.search(r"de/network  verified  \(\d+ s\)  The drift is undone", terminal.run("heal").stderr)

    def test_a_drift_that_stays_is_not_converged(self, terminal: Terminal) -> None:
        terminal.queued()
        terminal.terraform.does_nothing = True
        ended = terminal.run("heal")
        assert (ended.status, "1 job: 1 not_converged" in ended.stdout) == (2, True)
        assert "trueup drift history" in ended.stdout

    def test_what_is_held_now_is_held_and_said_where_to_look(self, terminal: Terminal) -> None:
        terminal.queued()
        terminal.run("pause", *WHO)
        ended = terminal.run("heal")
        assert (ended.status, terminal.terraform.applied) == (2, [])
        assert "held (paused)" in ended.stdout
        assert "→ What is held, why, and what to do: trueup drift holds" in ended.stdout

    def test_a_message_that_names_no_job_is_refused(self, terminal: Terminal) -> None:
        folder = terminal.estate.root / "queues" / QUEUE
        terminal.queued()
        (folder / "forged.json").write_text('{"schema_version": 1}', encoding="utf-8")
        ended = terminal.run("heal", "--format", "json")
        assert ended.status == 2
        [refused] = ended.answer["refused"]
        assert refused.startswith("it is no heal job of schema 1: ")
        assert [job["step"] for job in ended.answer["jobs"]] == ["verified"]
        assert terminal.run("heal").status == 0

    def test_what_cannot_be_verified_is_a_problem_and_comes_again(self, terminal: Terminal) -> None:
        terminal.queued()
        terminal.terraform.is_readable_after = False
        ended = terminal.run("heal")
        assert ended.status == 2
        assert "Went wrong, and comes again" in ended.stdout
        assert "· de/network: " in ended.stdout
        terminal.terraform.is_readable_after = True
        assert terminal.run("heal").status == 0
        assert terminal.terraform.applied == [CLICK]

    def test_without_terraform_the_run_has_failed(self, terminal: Terminal) -> None:
        terminal.queued()
        terminal.terraform.breaks_with = SettingsError("there is no Terraform: set TF_BINARY")
        ended = terminal.run("heal")
        assert (ended.status, "there is no Terraform: set TF_BINARY" in ended.stderr) == (1, True)
        terminal.terraform.breaks_with = None
        assert terminal.run("heal").status == 0

    def test_what_breaks_is_told_without_its_values(self, terminal: Terminal) -> None:
        terminal.queued()
        terminal.terraform.breaks_with = ValueError(f"the plan says {SECRET}")
        ended = terminal.run("heal")
        assert (ended.status, "de/network: broke with ValueError" in ended.stdout) == (2, True)
        assert SECRET not in ended.stdout + ended.stderr


class TestPauseAndResume:
    def test_a_paused_market_is_healed_once_that_is_over(self, terminal: Terminal) -> None:
        paused = terminal.run("pause", "--market", "de", *WHO)
        assert (paused.status, paused.stdout.splitlines()[0]) == (
            0, "Healing is paused in de, by alice@example.com",
        )  # fmt: skip
        assert "trueup drift resume --market de --by WHO --reason WHY" in paused.stdout
        terminal.held()
        told = terminal.run("holds").stdout
        assert re.search(r"^Healing is paused in de since .* UTC, by alice@example.com: hotfix INC-4711$", told, re.M)
        assert terminal.run("resume", "--market", "de", *WHO).stdout.startswith("The pause in de is over\n")
        terminal.queued()
        assert terminal.run("heal").status == 0

    def test_a_general_pause_is_of_every_market_and_stays_when_one_markets_ends(self, terminal: Terminal) -> None:
        assert "in all markets" in terminal.run("pause", *WHO).stdout
        terminal.run("pause", "--market", "fr", *WHO)
        resumed = terminal.run("resume", "--market", "fr", *WHO)
        assert re.search(r"Still in force: in all markets since .*: hotfix INC-4711", resumed.stdout)

    def test_what_is_not_paused_cannot_be_resumed(self, terminal: Terminal) -> None:
        ended = terminal.run("resume", "--market", "de", *WHO)
        assert (ended.status, ended.stderr) == (1, "trueup: healing is not paused in de\n")

    @pytest.mark.parametrize(
        ("market", "why"),
        [("dee", "no record names market dee; there are: de, fr"), ("DE", "segments of lower-case letters")],
    )
    def test_a_market_that_is_misspelt_is_refused(self, terminal: Terminal, market: str, why: str) -> None:
        ended = terminal.run("pause", "--market", market, *WHO)
        assert (ended.status, why in ended.stderr, terminal.tables()) == (1, True, {})

    def test_a_pause_works_also_where_the_records_cannot_be_listed(self, terminal: Terminal) -> None:
        registry = terminal.estate.root / CONTAINERS.registry
        registry.rename(registry.with_name("gone"))
        assert terminal.run("pause", "--market", "de", *WHO).status == 0

    def test_whoever_says_not_who_is_the_user_of_the_machine(self, terminal: Terminal) -> None:
        terminal.run("pause", "--reason", "x")
        [moment] = terminal.run("history", "--format", "json").answer["moments"]
        assert "@" in moment["by"]

    @pytest.mark.parametrize("lever", ["pause", "resume"])
    def test_a_reason_is_asked_for(self, terminal: Terminal, lever: str) -> None:
        ended = terminal.run(lever, "--by", "alice")
        assert (ended.status, "--reason" in ended.stderr, terminal.tables()) == (1, True, {})


class TestJobs:
    @pytest.mark.parametrize("who", [WHO, WHO[:2]], ids=["with a reason", "by name alone"])
    def test_an_approval_by_the_first_digits_lets_that_reason_pass(
        self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...]
    ) -> None:
        monkeypatch.setenv("BREAKER_COUNT", "1")
        terminal.queued()
        terminal.run("heal")
        job_id = terminal.held()
        told = terminal.run("holds").stdout
        assert f"trueup drift approve {job_id[:12]} --by WHO --reason WHY" in told
        approved = terminal.run("approve", job_id[:8], *who)
        assert approved.status == 0
        assert approved.stdout.startswith(f"de/network: job {job_id[:12]} is approved (oscillating) and queued\n")
        assert terminal.run("heal").status == 0
        assert terminal.terraform.applied == [CLICK, CLICK]

    def test_what_no_approval_overrules_is_refused_by_name(self, terminal: Terminal) -> None:
        job_id = terminal.held(HEAL_MODE="dry-run")
        ended = terminal.run("approve", job_id, *WHO)
        assert (ended.status, "docs/runbook.md#dry_run" in ended.stderr) == (1, True)

    def test_what_is_rejected_is_queued_by_no_check_until_it_is_retried(self, terminal: Terminal) -> None:
        job_id = terminal.held(HEAL_MODE="dry-run")
        assert terminal.run("reject", job_id.upper(), *WHO).stdout.startswith(
            f"de/network: job {job_id[:12]} is rejected\n"
        )
        checked = terminal.run("check", "--queue")
        assert f"`trueup drift retry {job_id[:12]}` takes that back." in " ".join(checked.stdout.split())
        assert terminal.run("holds").status == 2
        assert terminal.run("heal", "--format", "json").answer["jobs"] == []
        assert terminal.run("retry", job_id, *WHO).stdout.startswith(f"de/network: job {job_id[:12]} is queued again")
        assert terminal.run("heal").status == 0

    @pytest.mark.parametrize("lever", ["approve", "reject", "retry"])
    @pytest.mark.parametrize(
        ("job", "why"),
        [
            ("4f1c0de", "a job is named by the first 8 to 64 hexadecimal digits of its id"),
            ("not-a-job", "a job is named by the first 8 to 64 hexadecimal digits of its id"),
            ("4f1c0de5", "no job of this estate begins so; see `trueup drift holds`"),
        ],
    )
    def test_a_job_that_is_not_there_is_told(self, terminal: Terminal, lever: str, job: str, why: str) -> None:
        ended = terminal.run(lever, job, *WHO)
        assert (ended.status, why in " ".join(ended.stderr.split()), terminal.tables()) == (1, True, {})

    @pytest.mark.parametrize("lever", ["approve", "reject", "retry"])
    def test_of_an_id_that_nobody_knows_the_lever_says_so(self, terminal: Terminal, lever: str) -> None:
        ended = terminal.run(lever, "f" * 64, *WHO)
        assert (ended.status, f"job {'f' * 64} " in ended.stderr) == (1, True)

    async def test_digits_that_two_jobs_begin_with_are_not_enough(self, tmp_path: Path, terminal: Terminal) -> None:
        ledger = FolderHealLedger(terminal.estate.root)
        for last in "ab":
            job = {
                "job_id": f"{'4' * 63}{last}", "market": "de", "stack": "network", "lineage": "x", "serial": 1,
                "bundle_sha256": "0" * 64, "fingerprint": "0" * 64, "addresses": ("a.b",),
                "queued_at": "2026-11-25T06:00:00Z", "expires_at": "2026-11-25T07:00:00Z",
            }  # fmt: skip
            row = HealRow.model_validate({"job": job, "step": "held", "run_id": "r"})
            await ledger.put(row=row, replaces=None)
        stores = type("Stores", (), {"ledger": ledger, "checks": _NoChecks()})()
        with pytest.raises(Exception, match="2 jobs begin so, give more digits: 4444"):
            await commands.drift_jobs.find_job_id("44444444", stores)


class _NoChecks:
    async def sketches(self) -> AsyncIterator[Any]:
        nothing: tuple[Any, ...] = ()
        for one in nothing:
            yield one


class TestHolds:
    def test_are_not_known_where_no_stack_was_ever_checked(self, terminal: Terminal) -> None:
        ended = terminal.run("holds")
        assert (ended.status, ended.stdout) == (0, "No stack has been checked yet: run `trueup drift check`.\n")

    def test_are_none_where_nothing_waits(self, terminal: Terminal) -> None:
        terminal.run("check")
        ended = terminal.run("holds")
        assert (ended.status, ended.stdout) == (0, "Nothing is held\n")

    def test_say_what_waits_why_and_what_to_do(self, terminal: Terminal) -> None:
        job_id = terminal.held(HEAL_MODE="off")
        ended = terminal.run("holds")
        assert ended.status == 2
        head, why, step, job, address, _, summary = ended.stdout.splitlines()
        assert head.startswith("de/network  held (paused) because healing is switched off, since ")
        assert (why, step[:32]) == ("  The heal mode of de is off.", "  → docs/runbook.md#paused: Ask ")
        assert job == f"  job {job_id[:12]}, which no approval lets through"
        assert address == "  · azsim_network_security_rule.ssh"
        assert summary == "1 held: 1 paused; 0 can be approved"

    def test_are_of_the_markets_that_are_asked_for(self, terminal: Terminal) -> None:
        terminal.held(HEAL_MODE="off")
        terminal.run("pause", "--market", "de", *WHO)
        assert terminal.run("holds", "--market", "fr").stdout == "Nothing is held\n"
        answer = terminal.run("holds", "--market", "de", "--format", "json").answer
        assert list(answer) == ["schema_version", "pauses", "holds"]
        assert [pause["market"] for pause in answer["pauses"]] == ["de"]
        assert [(hold["stack"], hold["reason"], hold["can_be_approved"]) for hold in answer["holds"]] == [
            ("network", "paused", False)
        ]

    def test_a_market_that_nobody_knows_is_not_said_to_be_well(self, terminal: Terminal) -> None:
        ended = terminal.run("holds", "--market", "it")
        assert (ended.status, "no record names market it; there are: de, fr" in ended.stderr) == (1, True)


class TestHistory:
    def test_is_empty_at_first(self, terminal: Terminal) -> None:
        assert terminal.run("history").stdout == "Nothing has happened yet\n"

    def test_tells_each_step_and_each_lever_newest_first(self, terminal: Terminal) -> None:
        terminal.queued()
        terminal.run("pause", "--market", "de", *WHO)
        terminal.run("heal")
        terminal.run("resume", "--market", "de", *WHO)
        answer = terminal.run("history", "--format", "json").answer
        assert list(answer) == ["schema_version", "moments"]
        assert steps_of(answer) == ["resume", "held", "begun", "pause", "queued"]
        told = terminal.run("history").stdout
        assert "RESUME" in told
        assert "held (paused)" in told
        assert told.endswith("1 job, 3 steps, 2 uses of a lever\n")

    def test_is_of_the_markets_and_stacks_that_are_asked_for(self, terminal: Terminal) -> None:
        terminal.queued()
        terminal.run("pause", "--market", "fr", *WHO)
        terminal.run("pause", *WHO)
        of_de = terminal.run("history", "--market", "de", "--format", "json").answer
        assert steps_of(of_de) == ["pause", "queued"]
        of_another = terminal.run("history", "--stack", "app", "--format", "json").answer
        assert steps_of(of_another) == ["pause", "pause"]

    def test_of_a_market_that_nobody_knows_there_is_none(self, terminal: Terminal) -> None:
        assert terminal.run("history", "--market", "it").status == 1


@pytest.mark.parametrize(
    "command", ["check", "heal", "holds", "history", "pause", "resume", "approve", "reject", "retry"]
)
def test_every_command_says_what_its_exit_status_means_and_gives_an_example(terminal: Terminal, command: str) -> None:
    told = terminal.run(command, "--help").stdout
    assert "Exit status: 0" in told
    assert "Example: " in told
    # A check that has found something exits with 2, which would end the chain.
    assert "--queue &&" not in told
