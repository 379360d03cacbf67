"""What the documents say of healing, held against the steps, the ledger, the levers and the places of the code."""

import importlib
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from pydantic import BaseModel

import cli
import drift.concluding
from adapters.azure_leases import LeaseTimes
from adapters.folder_heal_queue import FolderHealQueue
from adapters.folder_leases import FolderStackLeases
from adapters.folder_ledger import FolderHealLedger
from adapters.settings import Settings
from adapters.table_names import HEAL_LEVERS_TABLE
from drift.decide import APPROVABLE, job_id
from drift.healing import levers
from drift.healing.resuming import OF_OUR_OWN_MAKING
from drift.service.healing import QUEUE_CONNECTION
from drift.service.levers_http import ROUTES
from drift.service.starting import INSTANCES
from records.heal_ledger import (
    ENDED,
    TRANSITIONS,
    Approval,
    HealEvent,
    HealRow,
    HealStep,
    Lever,
    LeverUse,
    OwnLock,
)
from records.heals import MOST_TRIES, POISON_QUEUE, QUEUE, HealJob
from records.plan_checks import HoldReason
from records.verdicts import Verdict

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS: Final[Any] = typer.main.get_command(cli.app).commands["drift"].commands  # type: ignore[attr-defined]
"""Of Typer's own click, which has no types that can be named."""
ADVICE: Final = ["Look at", "Do", "Do not"]
ENDS_FOR_A_PERSON: Final = (HealStep.NOT_CONVERGED, HealStep.SUPERSEDED, HealStep.EXPIRED, HealStep.FAILED)
WORDS_OF_NUMBERS: Final = {5: "five", 7: "Seven"}
UNTRUE: Final = re.compile(
    r"[Ii]n this version|this version applies|comes with the next( version)?|[Aa] heal moves the serial(,|\.)"
)
NOON: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section_of(path: str, heading: str) -> str:
    """Down to the next heading of the same rank or a higher one."""
    rank = len(heading.split(" ", maxsplit=1)[0])
    (_, after) = text_of(path).split(f"\n{heading}\n")
    return re.split(rf"\n#{{1,{rank}}} ", after)[0]


def rows_of(text: str) -> list[list[str]]:
    """Of a table, without its header."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines][1:]


def words_of(text: str) -> list[str]:
    return re.findall(r"`([\w!]+)`", text)


def flat(text: str) -> str:
    return " ".join(text.split())


def part_2() -> str:
    return text_of("docs/runbook.md").split("\n# Part 2: portal drift\n")[1]


def a_job() -> HealJob:
    ground: dict[str, Any] = {"market": "de", "stack": "network", "lineage": "a", "serial": 1, "fingerprint": "f1" * 32}
    return HealJob(
        **ground,
        job_id=job_id(**ground),
        bundle_sha256="b1" * 32,
        addresses=("a.b",),
        queued_at=NOON,
        expires_at=NOON + timedelta(hours=2),
    )


class TestTheConcepts:
    PATH: Final = "docs/concepts.md"

    def test_have_each_step_and_what_may_follow_it(self) -> None:
        rows = rows_of(section_of(self.PATH, "### The steps"))
        documented = {words_of(row[0])[0]: words_of(row[2]) for row in rows}
        assert list(documented) == list(HealStep)
        for step in HealStep:
            assert documented[step] == [following for following in HealStep if following in TRANSITIONS[step]], step
        assert all(len(row) == 3 and row[1] for row in rows)

    def test_say_up_to_which_step_a_job_is_in_work(self) -> None:
        (last,) = re.findall(r"A job is in work up to `(\w+)`", section_of(self.PATH, "### The steps"))
        assert HealStep(last) is [step for step in HealStep if step not in ENDED][-1]

    @pytest.mark.parametrize(
        ("heading", "model"), [("### The message", HealJob), ("### The ledger", HealRow)], ids=["message", "row"]
    )
    def test_have_every_field(self, heading: str, model: type[BaseModel]) -> None:
        rows = rows_of(section_of(self.PATH, heading))
        assert [word for row in rows for word in words_of(row[0])] == list(model.model_fields)
        assert all(len(row) == 2 and row[1] for row in rows)

    @pytest.mark.parametrize(
        ("field", "model"), [("approvals", Approval), ("own_lock", OwnLock), ("events", HealEvent)], ids=str
    )
    def test_have_what_a_field_of_a_row_is_made_of(self, field: str, model: type[BaseModel]) -> None:
        (told,) = [row[1] for row in rows_of(section_of(self.PATH, "### The ledger")) if row[0] == f"`{field}`"]
        assert words_of(told) == list(model.model_fields)

    def test_have_every_lever_and_what_can_be_retried(self) -> None:
        rows = rows_of(section_of(self.PATH, "### Levers"))
        assert [words_of(row[0])[0] for row in rows] == list(Lever)
        (retried,) = [row[1] for row in rows if row[0] == f"`{Lever.RETRY}`"]
        assert set(words_of(retried)) == levers._RETRIED

    def test_have_the_numbers_of_the_code(self) -> None:
        breaker = flat(section_of(self.PATH, "### The breaker"))
        count, hours = (Settings.model_fields[name].default for name in ("breaker_count", "breaker_hours"))
        assert f"`breaker_count` ({count}) within `breaker_hours` ({hours})" in breaker
        lease = flat(section_of(self.PATH, "### One worker a stack"))
        assert "for a minute" in lease
        assert LeaseTimes().duration == 60
        assert f"renewed every {LeaseTimes().renewed_every:g} seconds" in lease
        poison = flat(section_of(self.PATH, "### Poison"))
        assert f"{WORDS_OF_NUMBERS[MOST_TRIES]} times in all" in poison
        assert f"`{POISON_QUEUE}`" in poison

    async def test_say_where_all_of_it_is_on_disk(self, tmp_path: Path) -> None:
        job = a_job()
        async with FolderStackLeases(tmp_path).held(market=job.market, stack=job.stack):
            await FolderHealLedger(tmp_path).put(row=HealRow(job=job, step=HealStep.QUEUED, run_id="1"), replaces=None)
            await FolderHealLedger(tmp_path).pull(use=LeverUse(lever=Lever.PAUSE, by="a", reason="b", at=NOON))
            await FolderHealQueue(tmp_path).send(job=job)
        section = section_of(self.PATH, "### What is stored")
        places = re.findall(r"`DIR/([^`]+)`", section)
        assert {f"tables/{HEAL_LEVERS_TABLE}", f"queues/{QUEUE}", f"queues/.{QUEUE}"} <= set(places)
        # The tables of checks are made by checks, and a poison queue by what is poison.
        for place in set(places) - {f"queues/{POISON_QUEUE}"}:
            there = place.format(market=job.market, stack=job.stack, job=job.job_id)
            assert (tmp_path / there).exists(), place


class TestTheRunbook:
    PATH: Final = "docs/runbook.md"

    def test_says_of_each_step_what_it_means(self) -> None:
        rows = rows_of(section_of(self.PATH, "## How far a heal has come"))
        assert [word for row in rows for word in words_of(row[0])] == list(HealStep)
        linked = {words_of(row[0])[0] for row in rows if f"(#{words_of(row[0])[0]})" in row[1]}
        assert linked == {HealStep.NOT_CONVERGED, HealStep.SUPERSEDED, HealStep.EXPIRED, HealStep.FAILED}

    @pytest.mark.parametrize("step", ENDS_FOR_A_PERSON)
    def test_says_of_each_bad_end_what_to_look_at_to_do_and_not_to_do(self, step: HealStep) -> None:
        assert step in ENDED
        meaning, *advice = section_of(self.PATH, f"## {step}").split("\n- **")
        assert len(meaning.strip()) > 0
        assert [item.split(":**")[0] for item in advice] == ADVICE

    @pytest.mark.parametrize("step", ENDS_FOR_A_PERSON)
    def test_offers_a_retry_only_where_one_is_taken(self, step: HealStep) -> None:
        (todo,) = re.findall(r"\n- \*\*Do:\*\*(.*?)\n- ", section_of(self.PATH, f"## {step}"), re.DOTALL)
        assert ("trueup drift retry" in flat(todo)) == (step in levers._RETRIED)

    @pytest.mark.parametrize("reason", HoldReason)
    def test_offers_an_approval_only_where_one_is_taken(self, reason: HoldReason) -> None:
        (todo,) = re.findall(r"\n- \*\*Do:\*\*(.*?)\n- \*\*", section_of(self.PATH, f"## {reason}"), re.DOTALL)
        assert ("`trueup drift approve JOB`" in flat(todo)) == (reason in APPROVABLE)

    def test_lists_what_can_be_approved(self) -> None:
        (paragraph,) = re.findall(r"\n(\w+ reasons can be approved:.*?)\.", part_2(), re.DOTALL)
        assert set(words_of(paragraph)) == APPROVABLE
        assert paragraph.split()[0] == WORDS_OF_NUMBERS[len(APPROVABLE)]

    def test_has_every_command_and_its_request(self) -> None:
        rows = rows_of(section_of(self.PATH, "## The commands"))
        documented = {row[0].strip("`").split()[2]: row[1].strip("`") for row in rows}
        assert set(documented) == set(COMMANDS)
        requests = set(documented.values()) - {"none"}
        assert requests == {f"{route.method} /api/{route.path}" for route in ROUTES}
        for lever in Lever:
            assert documented[lever].endswith(f"/{lever}")

    @pytest.mark.parametrize("lever", Lever)
    def test_has_an_example_of_each_lever_that_can_be_copied(self, lever: Lever) -> None:
        (block,) = re.findall(r"```sh\n(.*?)```", section_of(self.PATH, "## The commands"), re.DOTALL)
        (words,) = [words for line in block.splitlines() if (words := shlex.split(line))[2] == lever]
        options = {spelling for option in COMMANDS[lever].params for spelling in option.opts}
        used = {word for word in words if word.startswith("--")}
        assert {"--by", "--reason"} <= used <= options
        assert ("JOB" in words) == (lever not in {Lever.PAUSE, Lever.RESUME})

    def test_names_the_verdicts_that_a_heal_that_was_cut_off_can_leave(self) -> None:
        (named,) = re.findall(
            r"records\s+disagree because of it \(([^)]+)\)", section_of(self.PATH, "## A heal that was cut off")
        )
        assert set(words_of(named)) == OF_OUR_OWN_MAKING - {Verdict.HEALTHY}

    def test_names_loggers_that_there_are(self) -> None:
        loggers = re.findall(r"`(drift\.[\w.]+)`", part_2())
        assert len(set(loggers)) >= 3
        for logger in loggers:
            assert importlib.import_module(logger)._LOG.name == logger

    def test_tells_a_lock_of_our_own_by_the_words_of_the_hold(self) -> None:
        (words,) = re.findall(r"it says: \*([^*]+)\*", section_of(self.PATH, "## The lock that a dead worker left"))
        assert flat(words) in text_of("drift/healing/judging.py")

    def test_has_two_answers_to_two_kinds_of_drift_before_anything_else(self) -> None:
        introduction = text_of(self.PATH).split("\n# Part 1: pipeline drift\n")[0]
        lines = [line for line in introduction.splitlines() if line.startswith("|")]
        assert lines[0] == "| | pipeline drift | portal drift |"
        assert len(lines) > 4


class TestTheOthers:
    def test_readme_names_every_command(self) -> None:
        named = set(re.findall(r"trueup drift (\w+)", text_of("README.md")))
        assert named == set(COMMANDS)

    def test_changelog_names_every_command_and_every_place(self) -> None:
        text = text_of("CHANGELOG.md")
        assert set(COMMANDS) <= {word for span in re.findall(r"`([^`]+)`", text) for word in span.split()}
        places = (QUEUE, POISON_QUEUE, Settings.model_fields["locks_container"].default)
        for place in places:
            assert f"`{place}`" in text

    def test_adr_12_says_which_reasons_a_person_may_overrule_and_which_not(self) -> None:
        section = section_of("docs/adr/0012-deciding-a-heal.md", "## Approvals")
        (may,) = re.findall(r"- \*\*A person may overrule\*\*(.*?)\n- ", section, re.DOTALL)
        (may_not,) = re.findall(r"- \*\*Not\*\*(.*?)\n- ", section, re.DOTALL)
        assert set(words_of(may)) == APPROVABLE
        assert set(words_of(may_not)) == set(HoldReason) - APPROVABLE

    def test_adr_15_has_the_instances_and_the_limit_of_the_code(self) -> None:
        text = flat(text_of("docs/adr/0015-plan-checks.md"))
        assert set(re.findall(r"`(plan-checks[\w-]*)`", text)) == set(INSTANCES)
        assert f"and {drift.concluding._AUTHORS_LIMIT_SECONDS} for all subscriptions" in text

    def test_telemetry_has_the_trigger_that_plan_checks_have(self) -> None:
        used = {
            trigger
            for file in (ROOT / "drift" / "service").glob("*.py")
            for trigger in re.findall(r"Trigger\.([A-Z]+)", file.read_text(encoding="utf-8"))
        }
        (told,) = re.findall(r"\| `trueup\.plan_run\.trigger` \| text \| (.*) \|", text_of("docs/telemetry.md"))
        assert words_of(told) == sorted(name.lower() for name in used)

    def test_running_locally_names_the_connection_of_the_queues(self) -> None:
        assert f"`{QUEUE_CONNECTION}`" in text_of("docs/run-locally.md")

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
    def test_none_says_that_nothing_is_applied_yet_or_that_every_heal_moves_the_serial(self, document: Path) -> None:
        assert not UNTRUE.search(flat(document.read_text(encoding="utf-8")))

    @pytest.mark.parametrize(
        "text",
        [
            "In this version no heal is on record",
            "this version applies nothing",
            "the worker comes with the next version",
            "A heal moves the serial, so that",
        ],
    )
    def test_that_said_so_would_be_found(self, text: str) -> None:
        assert UNTRUE.search(text)
