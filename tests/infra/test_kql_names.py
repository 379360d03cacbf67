"""Alerts and workbook ask for no event, attribute or metric that docs/telemetry.md does not have, for that very event.

Other tests hold docs/telemetry.md against what the code tells: so a name that changes in the code breaks one of these.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from records.faults import FaultCode, RecordKind
from records.heal_ledger import HealStep
from records.plan_checks import Decision, HoldReason
from records.runs import RunStatus
from records.verdicts import Severity, Verdict
from tests.world.commands import ROOT

QUERIES: Final = sorted([*(ROOT / "infra/alerts").rglob("*.kql"), *(ROOT / "infra/workbook").glob("*.kql")])
TELEMETRY: Final = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")

ENUMS: Final = (Decision, FaultCode, HealStep, HoldReason, RecordKind, RunStatus, Severity, Verdict)
PARTS_OF_A_DATE: Final = {"day"}

_ATTRIBUTE: Final = re.compile(r'Properties\["([^"]+)"\]')
_SOURCE: Final = re.compile(r"\b(AppEvents|AppMetrics|AppDependencies)\b")
_NAMES: Final = re.compile(r'\bName (?:==|in) (\("[^)]*"\)|"[^"]*")')


def _tables(header: str) -> list[list[str]]:
    tables = re.findall(rf"^\| {re.escape(header)} \|\n\|[-|]+\|\n((?:\|.*\n)+)", TELEMETRY, re.MULTILINE)
    assert tables, header
    lines = [line for table in tables for line in table.splitlines()]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in lines]


def told() -> dict[str, dict[str, set[str]]]:
    """By table of the workspace and by name of an event or a metric: its attributes."""
    events: dict[str, set[str]] = defaultdict(set)
    for event, attribute, *_ in _tables("event | attribute | type | says"):
        events[event].add(attribute)
    metrics = {
        name: set(dimensions.split(", ")) for name, _, dimensions, _ in _tables("metric | unit | dimensions | says")
    }
    return {"AppEvents": dict(events), "AppMetrics": metrics}


def asked(query: str) -> list[tuple[str, set[str], set[str]]]:
    """Each place at which a query turns to a table of Application Insights: the table, the names, and the attributes asked for.

    What is asked of a table stands after its name, up to the next one's.
    """
    query = re.sub(r"^\s*//.*$", "", query, flags=re.MULTILINE)
    starts = [*_SOURCE.finditer(query)]
    ends = [*(start.start() for start in starts[1:]), len(query)][: len(starts)]
    assert not _ATTRIBUTE.search(query[: starts[0].start()] if starts else query)
    return [
        (
            start[1],
            {name for names in _NAMES.findall(query[start.end() : end]) for name in re.findall(r'"([^"]+)"', names)},
            set(_ATTRIBUTE.findall(query[start.end() : end])),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def unknown_in(query: str, known: Mapping[str, Mapping[str, set[str]]]) -> set[str]:
    """The names that are asked for in vain. Raises AssertionError where a query does not say which event it means."""
    wrong: set[str] = set()
    for table, names, attributes in asked(query):
        assert names, f"asks {table} for no event or metric by its name"
        wrong |= names - known[table].keys()
        for attribute in attributes:
            if not any(attribute in known[table].get(name, ()) for name in names):
                wrong.add(attribute)
    return wrong


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: str(file.relative_to(ROOT / "infra")))
def test_asks_for_no_name_that_is_not_told(file: Path) -> None:
    assert unknown_in(file.read_text(encoding="utf-8"), told()) == set()


def test_the_queries_are_found_and_ask_for_much_of_what_is_told() -> None:
    names = {name for file in QUERIES for _, names, _ in asked(file.read_text(encoding="utf-8")) for name in names}
    assert names >= {"trueup.run", "trueup.disagreement", "trueup.problem", "trueup.plan_run", "trueup.portal_drift"}
    assert names >= {"trueup.plan_problem", "trueup.heal", "trueup.heal_refused", "trueup.stacks"}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ('AppEvents | where Name == "trueup.runs"', {"trueup.runs"}),
        ('AppEvents | where Name == "trueup.run" | extend a = Properties["trueup.run.idd"]', {"trueup.run.idd"}),
        ('AppEvents | where Name == "trueup.run" | extend a = Properties["trueup.stack"]', {"trueup.stack"}),
        ('AppEvents | where Name in ("trueup.run", "trueup.gone")', {"trueup.gone"}),
        ('AppMetrics | where Name == "trueup.run" | extend a = Sum', {"trueup.run"}),
        (
            'let R = AppEvents | where Name == "trueup.run"; '
            'AppEvents | where Name == "trueup.heal" | extend Properties["trueup.run.id"]',
            {"trueup.run.id"},
        ),
    ],
    ids=[
        "an event",
        "an attribute",
        "another event's attribute",
        "one of two",
        "an event as a metric",
        "each source by itself",
    ],
)
def test_a_misspelt_name_is_found(query: str, wrong: set[str]) -> None:
    assert unknown_in(query, told()) == wrong


@pytest.mark.parametrize("event", ["trueup.run", "trueup.portal_drift", "trueup.heal"])
def test_a_name_that_the_document_loses_is_missed(event: str) -> None:
    known = told()
    del known["AppEvents"][event]
    assert any(event in unknown_in(file.read_text(encoding="utf-8"), known) for file in QUERIES)


def test_the_two_kinds_of_drift_are_never_asked_for_together() -> None:
    portal = re.compile(r"trueup\.(plan_|portal_|heal)")
    for file in QUERIES:
        names = {name for _, names, _ in asked(file.read_text(encoding="utf-8")) for name in names}
        assert len({bool(portal.match(name)) for name in names}) <= 1, file.name


def test_the_alerts_ask_for_words_that_there_are() -> None:
    words = {word for enum in ENUMS for word in enum} | {"whole_estate"}
    for file in QUERIES:
        query = re.sub(r"^\s*//.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        asked_for = set(re.findall(r'"([a-z_]+)"', query)) - PARTS_OF_A_DATE
        assert asked_for <= words, file.name


def test_a_heal_that_is_undone_or_went_wrong_is_asked_for_by_the_ledgers_words() -> None:
    of_heals = {
        file.stem: file.read_text(encoding="utf-8")
        for file in QUERIES
        if file.stem in ("heal_failed", "canary_unhealed")
    }
    assert f'== "{HealStep.VERIFIED}"' in of_heals["canary_unhealed"]
    assert f'in ("{HealStep.NOT_CONVERGED}", "{HealStep.FAILED}")' in of_heals["heal_failed"]
