"""docs/alerts.md and the runbook, held against the rules as deployed."""

from __future__ import annotations

import re
from typing import Final

import pytest

from records.heal_ledger import HealStep
from records.heals import POISON_QUEUE
from records.plan_checks import HoldReason
from records.verdicts import Severity, Verdict
from tests.infra.kql_queries import Rendered
from tests.infra.stand_in import CANARY, RUNBOOK_URL
from tests.world.commands import ROOT

pytestmark = pytest.mark.terraform

ALERTS: Final = (ROOT / "docs/alerts.md").read_text(encoding="utf-8")
_SECTION: Final = re.compile(rf"{re.escape(RUNBOOK_URL)}#([\w-]*)")


def sections() -> set[str]:
    titles = re.findall(r"^#+ (.+)$", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def documented(heading: str) -> dict[str, tuple[str, str]]:
    """The file and the severity of each alert of a section, by its name."""
    part = ALERTS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(\.\./infra/alerts/(\w+)\.kql\) \| (\d) \|", part, re.MULTILINE)
    return {name: (file, severity) for name, file, severity in rows}


@pytest.mark.parametrize("kind", ["Pipeline drift", "Portal drift", "Module pins"])
def test_each_alert_is_in_the_table_of_its_kind_with_its_severity(rendered: Rendered, kind: str) -> None:
    told = {name: severity for name, (_, severity) in documented(kind).items()}
    deployed = {
        name: str(rule["severity"])
        for name, rule in rendered.rules.items()
        if rule["action"][0]["custom_properties"]["kind"] == kind.lower()
    }
    assert told == deployed


def test_each_alert_has_the_query_that_its_row_links_to(rendered: Rendered) -> None:
    rows = documented("Pipeline drift") | documented("Portal drift") | documented("Module pins")
    assert {file for file, _ in rows.values()} == {file.stem for file in (ROOT / "infra/alerts").glob("*.kql")}
    for name, (file, _) in rows.items():
        last = (ROOT / f"infra/alerts/{file}.kql").read_text(encoding="utf-8").splitlines()[-1]
        assert rendered.alert(name).splitlines()[-1] == last.replace("${runbook_url}", RUNBOOK_URL).replace(
            "${canary}", CANARY
        ), name


def test_the_text_of_each_alert_links_to_a_section_of_the_runbook(rendered: Rendered) -> None:
    for name, rule in rendered.rules.items():
        for text in (rule["description"], rule["action"][0]["custom_properties"]["runbook"]):
            (section,) = _SECTION.findall(text)
            assert section in sections(), name


def test_each_row_of_each_alert_links_to_a_section_of_the_runbook(rendered: Rendered) -> None:
    words = {"Verdict": {*Verdict}, "Reason": {*HoldReason}, "Step": {"failed", "not_converged"}}
    for name in rendered.rules:
        query = rendered.alert(name)
        column = re.search(rf'strcat\("{re.escape(RUNBOOK_URL)}#", (\w+)\)', query)
        linked = {str(word) for word in words[column[1]]} if column else set(_SECTION.findall(query))
        assert linked
        assert linked <= sections(), name
    assert words["Step"] <= {*HealStep}


def test_each_severity_but_info_has_an_alert(rendered: Rendered) -> None:
    prefix = "pipeline-drift-"
    severities = {name.removeprefix(prefix) for name in rendered.rules if name.startswith(prefix)}
    assert severities == {str(severity) for severity in Severity} - {"info", "none"}
    by_urgency = [rendered.rules[f"{prefix}{severity}"]["severity"] for severity in ("critical", "high", "medium")]
    assert by_urgency == [0, 1, 2]


def test_the_poison_queue_is_the_codes(rendered: Rendered) -> None:
    assert f'startswith "/{POISON_QUEUE}/"' in rendered.alert("poison-queue")


def test_each_rule_ends_by_itself_but_the_one_that_is_said_not_to(rendered: Rendered) -> None:
    lasting = {name for name, rule in rendered.rules.items() if not rule["auto_mitigation_enabled"]}
    muting = {name for name, rule in rendered.rules.items() if rule["mute_actions_after_alert_duration"]}
    assert lasting == muting == {"poison-queue"}
    assert "Only `poison-queue` mutes, for a day." in ALERTS


def test_no_document_has_a_query_but_the_runbook() -> None:
    for document in {*(ROOT / "docs").glob("*.md")} - {ROOT / "docs/runbook.md"}:
        assert "```kusto" not in document.read_text(encoding="utf-8"), document.name
