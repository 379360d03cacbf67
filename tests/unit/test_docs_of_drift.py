"""What the documents say of plan checks, held against the words, models, tables and functions of the code."""

import json
import re
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel

from adapters.azure_checks import SKETCHES_PARTITION
from adapters.marked_yaml import read_marked_yaml
from adapters.settings import Settings
from adapters.table_names import (
    HEAL_LEVERS_TABLE,
    HEALS_TABLE,
    PLAN_CHECK_RUNS_TABLE,
    PLAN_CHECK_WORK_TABLE,
    PLAN_CHECKS_TABLE,
)
from adapters.terraform_cli import TerraformOptions
from drift.conditions import CONDITIONS, FLEET_AT_LEAST, RESOURCES_ALWAYS_ALLOWED
from drift.decide import APPROVABLE
from drift.fleet import OTHERS_COUNT_FOR
from drift.policy import FreezeWindow, KillSwitch, Limits, MarketMode, Policy, Protected, parse_policy
from drift.policy_rules import Rule, RuleAction
from drift.service.functions import CHECK_ON_SCHEDULE, PLAN_CHECKS
from drift.service.starting import INSTANCES
from records.faults import RecordKind
from records.findings import AttributeChange, Finding, FindingKind
from records.heals import POISON_QUEUE, QUEUE, HealMode
from records.plan_checks import CheckReport, Decision, HoldReason, StackCheck
from records.policy_source import POLICY_BLOB, MarkedValues
from records.verdicts import Note, Verdict

ROOT: Final = Path(__file__).parents[2]
PART_1: Final = "# Part 1: pipeline drift"
PART_2: Final = "# Part 2: portal drift"
TABLES: Final = (PLAN_CHECKS_TABLE, PLAN_CHECK_RUNS_TABLE, PLAN_CHECK_WORK_TABLE, HEALS_TABLE, HEAL_LEVERS_TABLE)
PARTS_OF_THE_JSON: Final[dict[str, type[BaseModel]]] = {
    "report": CheckReport,
    "check": StackCheck,
    "finding": Finding,
    "attribute": AttributeChange,
}
RUNBOOKS_ADVICE: Final = ["Look at", "Do", "Do not"]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section_of(text: str, heading: str) -> str:
    """Down to the next heading of the same rank or a higher one."""
    rank = len(heading.split(" ", maxsplit=1)[0])
    (_, after) = text.split(f"\n{heading}\n")
    return re.split(rf"\n#{{1,{rank}}} ", after)[0]


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def words_of(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


def parts_of_the_runbook() -> tuple[str, str]:
    introduction, rest = text_of("docs/runbook.md").split(f"\n{PART_1}\n")
    assert introduction.startswith("# Runbook\n")
    part_1, part_2 = rest.split(f"\n{PART_2}\n")
    return part_1, part_2


def titles(text: str) -> list[str]:
    return re.findall(r"^##+ (.+)$", text, re.MULTILINE)


class TestTheRunbook:
    def test_has_a_section_for_each_reason_in_the_order_of_the_decision(self) -> None:
        _, part_2 = parts_of_the_runbook()
        assert [title for title in titles(part_2) if title in set(HoldReason)] == list(HoldReason)

    @pytest.mark.parametrize("reason", HoldReason)
    def test_says_of_each_reason_what_to_look_at_to_do_and_not_to_do(self, reason: HoldReason) -> None:
        section = section_of(text_of("docs/runbook.md"), f"## {reason}")
        meaning, *advice = section.split("\n- **")
        assert len(meaning.strip()) > 0
        assert [item.split(":**")[0] for item in advice] == RUNBOOKS_ADVICE

    def test_never_conflates_the_two_kinds_of_drift(self) -> None:
        part_1, part_2 = parts_of_the_runbook()
        assert {*Verdict, *Note} <= set(titles(part_1))
        assert {*Verdict, *Note}.isdisjoint(titles(part_2))
        assert set(HoldReason).isdisjoint(titles(part_1))
        assert "`trueup drift" not in part_1
        # What mends a record is no answer to portal drift.
        assert not re.search(r"trueup (accept|adopt|repair)", part_2)

    def test_says_what_each_decision_means(self) -> None:
        section = section_of(text_of("docs/runbook.md"), "## Clean, heal and hold")
        assert re.findall(r"^- \*\*`(\w+)`\*\*", section, re.MULTILINE) == list(Decision)

    def test_says_what_each_record_with_a_problem_means(self) -> None:
        rows = table_rows(section_of(text_of("docs/runbook.md"), "## Problems of a check run"))
        documented = {word for row in rows for word in words_of(row[0])}
        # A state that cannot be read is its stack's alone.
        assert documented == set(RecordKind) - {RecordKind.STATE}


class TestTheConcepts:
    def test_have_the_reasons_in_their_order_and_which_an_approval_can_overrule(self) -> None:
        rows = table_rows(section_of(text_of("docs/concepts.md"), "### The decision"))[1:]
        documented = [(*words_of(row[0]), row[2]) for row in rows]
        assert documented == [(reason, "yes" if reason in APPROVABLE else "no") for reason in HoldReason]
        assert [condition.__name__ for condition in CONDITIONS] == list(HoldReason)
        assert all(len(row) == 3 and row[1] for row in rows)

    def test_name_the_limits_that_no_setting_moves(self) -> None:
        rows = {row[0].strip("`"): row[1] for row in table_rows(text_of("docs/concepts.md"))}
        assert f"{RESOURCES_ALWAYS_ALLOWED} are always" in rows[HoldReason.BLAST_RADIUS]
        assert f"in {FLEET_AT_LEAST} at least" in rows[HoldReason.FLEET_WIDE]
        fleet = section_of(text_of("docs/concepts.md"), "### The fleet")
        hours = OTHERS_COUNT_FOR.total_seconds() / 3600
        assert f"last {hours:g} hours" in " ".join(fleet.split())

    def test_have_each_kind_of_finding(self) -> None:
        rows = table_rows(section_of(text_of("docs/concepts.md"), "### What a plan shows"))[1:]
        assert {words_of(row[2])[0] for row in rows} == set(FindingKind)

    def test_name_each_decision(self) -> None:
        introduction = section_of(text_of("docs/concepts.md"), "## Portal drift").split("\n### ")[0]
        assert set(Decision) <= set(words_of(introduction))

    @pytest.mark.parametrize(("part", "model"), PARTS_OF_THE_JSON.items(), ids=PARTS_OF_THE_JSON)
    def test_have_every_field_of_the_json(self, part: str, model: type[BaseModel]) -> None:
        tables = section_of(text_of("docs/concepts.md"), "### The checks as JSON").split("\n| field of ")[1:]
        (table,) = [one for one in tables if re.match(rf"(the|an?) {part} \|", one)]
        rows = table_rows(table.split("\n\n")[0])
        assert [word for row in rows for word in words_of(row[0])] == in_their_order(model)

    def test_list_the_values_that_the_fields_can_have(self) -> None:
        rows = {row[0]: row[1] for row in table_rows(section_of(text_of("docs/concepts.md"), "### The checks as JSON"))}
        assert words_of(rows["`kind`"]) == list(FindingKind)
        assert words_of(rows["`decision`"]) == list(Decision)

    def test_name_all_that_is_stored(self) -> None:
        rows = table_rows(section_of(text_of("docs/concepts.md"), "### What is stored"))[1:]
        queues = (f"queue `{QUEUE}`", f"queue `{POISON_QUEUE}`")
        locks = f"container `{Settings.model_fields['locks_container'].default}`"
        assert [row[0] for row in rows] == [*(f"table `{table}`" for table in TABLES), *queues, locks]
        assert all(len(row) == 3 and row[2] for row in rows)
        what = {row[0]: row[1] for row in rows}
        assert f"`{SKETCHES_PARTITION}`" in what[f"table `{PLAN_CHECKS_TABLE}`"]


def in_their_order(model: type[BaseModel]) -> list[str]:
    """As the JSON has them: of a report the problems come last (`drift.render.json`)."""
    return sorted(model.model_fields, key=lambda name: model is CheckReport and name == "problems")


class TestTheExampleOfAPolicy:
    def text(self) -> str:
        (text,) = re.findall(r"```yaml\n(.*?)```", text_of("docs/concepts.md"), re.DOTALL)
        return str(text)

    def policy(self) -> Policy:
        marked = read_marked_yaml(self.text().encode())
        assert isinstance(marked, MarkedValues), marked
        policy = parse_policy(marked.values, marked.lines)
        assert isinstance(policy, Policy), policy
        return policy

    def test_is_valid_and_a_misspelt_one_is_not(self) -> None:
        self.policy()
        marked = read_marked_yaml(self.text().replace("heal_mode:", "heel_mode:").encode())
        assert isinstance(marked, MarkedValues)
        assert not isinstance(parse_policy(marked.values, marked.lines), Policy)

    def test_has_every_field_that_there_is(self) -> None:
        policy = self.policy()
        given: dict[type[BaseModel], set[str]] = {}
        models = [policy, policy.kill_switch, policy.protected, policy.limits]
        for model in (*models, *policy.heal_mode_by_market, *policy.freeze_windows, *policy.rules):
            assert model is not None
            given.setdefault(type(model), set()).update(model.model_fields_set)
        for kind in (Policy, KillSwitch, Protected, Limits, MarketMode, FreezeWindow, Rule):
            assert set(kind.model_fields) == given[kind], kind.__name__

    def test_has_every_action_of_a_rule_and_names_every_mode(self) -> None:
        assert {rule.do for rule in self.policy().rules} == set(RuleAction)
        (comment,) = re.findall(r"^heal_mode: .*# (.*)$", self.text(), re.MULTILINE)
        assert all(re.search(rf"\b{mode}\b", comment) for mode in HealMode)

    def test_is_as_careful_as_no_policy_at_all(self) -> None:
        assert self.policy().heal_mode is Policy().heal_mode
        assert self.policy().limits == Limits()

    def test_is_found_where_the_code_looks(self) -> None:
        section = section_of(text_of("docs/concepts.md"), "### The policy")
        assert f"`{POLICY_BLOB}`" in section
        assert f"`{Settings.model_fields['config_container'].default}`" in section


class TestHosting:
    SECTION: Final = "## Plan checks"

    def test_names_the_functions(self) -> None:
        rows = table_rows(section_of(text_of("docs/hosting.md"), self.SECTION))[1:]
        functions = PLAN_CHECKS.functions
        activities = (functions.plan_run, functions.read_page, functions.check_item, functions.finish_run)
        kinds = dict.fromkeys((*activities, functions.fail_run), "activity")
        kinds |= {functions.run: "orchestrator", functions.lane: "orchestrator", CHECK_ON_SCHEDULE: "timer"}
        assert {row[0].strip("`"): row[1] for row in rows} == kinds

    def test_has_the_app_that_plans_take_no_more_than_it_plans(self) -> None:
        section = section_of(text_of("docs/hosting.md"), self.SECTION)
        ((path, value),) = re.findall(r"AzureFunctionsJobHost__(\w+)=(\d+)", section)
        setting = json.loads(text_of("host.json"))
        for name in path.split("__"):
            setting = setting[name]
        assert isinstance(setting, int)
        assert int(value) == Settings.model_fields["plans_per_instance"].default

    def test_has_the_numbers_of_the_code(self) -> None:
        section = " ".join(section_of(text_of("docs/hosting.md"), self.SECTION).split())
        limit = Settings.model_fields["plan_limit_seconds"]
        (most,) = [bound.le for bound in limit.metadata if hasattr(bound, "le")]
        assert f"`PLAN_LIMIT_SECONDS` is {limit.default} by default and {most} at most" in section
        (grace,) = re.findall(r"\((\d+) s after its SIGINT\)", section)
        assert float(grace) == TerraformOptions.__dataclass_fields__["grace_seconds"].default
        hours, minutes, seconds = map(int, json.loads(text_of("host.json"))["functionTimeout"].split(":"))
        assert most + float(grace) < hours * 3600 + minutes * 60 + seconds
        assert f"After {PLAN_CHECKS.run_limit.total_seconds() / 3600:g} hours" in section
        for instance in INSTANCES:
            assert f"`{instance}`" in section


@pytest.mark.parametrize("table", TABLES)
def test_the_changelog_and_the_concepts_name_each_table(table: str) -> None:
    for document in ("CHANGELOG.md", "docs/concepts.md"):
        assert f"`{table}`" in text_of(document)


def test_the_changelog_and_the_concepts_name_the_queue() -> None:
    for document in ("CHANGELOG.md", "docs/concepts.md", "docs/runbook.md"):
        assert f"`{QUEUE}`" in text_of(document)


def test_the_readme_s_demonstration_is_in_the_makefile() -> None:
    (target,) = re.findall(r"`make (demo-\w+)`", text_of("README.md"))
    assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE)


def test_no_document_says_any_more_that_portal_drift_is_not_looked_for() -> None:
    for document in ("README.md", "docs/concepts.md", "docs/runbook.md", "docs/hosting.md"):
        assert not re.search(r"pipeline\s+drift\s+alone\.$", text_of(document).rstrip())
        assert "This version looks for" not in text_of(document)
