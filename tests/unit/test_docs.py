"""The documents, held against the code that they describe."""

import re
import tomllib
from pathlib import Path

import pytest

from adapters.settings import Settings
from adapters.table_names import RESULTS_TABLE, RUNS_TABLE
from reconcile.compare import severity_of
from reconcile.wording import RUNBOOK, remedy_for
from records.faults import FaultCode
from records.verdicts import Note, Tier, Verdict

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def headings(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_every_setting_is_in_the_configuration_with_its_default() -> None:
    documented = {
        row[0].strip("`"): row[1].strip("`") for row in table_rows(text_of("docs/configuration.md")) if row[0].isupper()
    }
    assert set(documented) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            default = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
            assert documented[name.upper()] == default, name


@pytest.mark.parametrize("verdict", Verdict)
def test_the_runbook_has_a_section_for_each_verdict(verdict: Verdict) -> None:
    anchor = remedy_for(verdict, "de", "network").split(": ")[0]
    assert anchor == f"{RUNBOOK}#{verdict}"
    assert str(verdict) in headings(text_of(RUNBOOK))


@pytest.mark.parametrize("note", Note)
def test_the_runbook_has_a_section_for_each_note(note: Note) -> None:
    assert str(note) in headings(text_of(RUNBOOK))


@pytest.mark.parametrize("code", FaultCode)
def test_the_runbook_says_what_to_do_about_each_fault(code: FaultCode) -> None:
    assert any(f"`{code}`" in row[0] for row in table_rows(text_of(RUNBOOK)))


def test_the_runbook_never_conflates_the_two_kinds_of_drift() -> None:
    introduction = text_of(RUNBOOK).split("\n## ")[0]
    assert "pipeline drift" in introduction
    assert "Portal drift" in introduction


def test_the_concepts_give_each_verdict_its_severity() -> None:
    rows = [row for row in table_rows(text_of("docs/concepts.md")) if len(row) == 4 and row[0].startswith("`")]
    documented = {(verdict, row[3]) for row in rows for verdict in re.findall(r"`(\w+)`", row[0])}
    expected = {(str(verdict), str(severity_of(verdict, Tier.THREE_RECORDS))) for verdict in Verdict}
    expected.add(("registry_ahead", str(severity_of(Verdict.REGISTRY_AHEAD, Tier.TIMES))))
    assert documented == expected


def test_the_tables_are_named_as_in_the_code() -> None:
    for document in ("CHANGELOG.md", "docs/adr/0004-results-in-tables.md"):
        assert f"`{RESULTS_TABLE}`" in text_of(document)
        assert f"`{RUNS_TABLE}`" in text_of(document)


def test_the_readmes_commands_are_in_the_makefile() -> None:
    commands = re.findall(r"^make (\w+)", text_of("README.md"), re.MULTILINE)
    targets = re.findall(r"^(\w+):", text_of("Makefile"), re.MULTILINE)
    assert commands == ["demo", "test"]
    assert set(commands) <= set(targets)


def test_ci_runs_the_readmes_test_command() -> None:
    assert text_of(".ci/run").rstrip().endswith("make test")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in headings(target.read_text(encoding="utf-8")), link


def test_the_requirements_pin_every_dependency_of_the_project() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))
    pinned = set(re.findall(r"^([\w.-]+)==", text_of("requirements.txt"), re.MULTILINE))
    assert {re.split(r"[<>=]", name)[0] for name in project["project"]["dependencies"]} <= pinned
