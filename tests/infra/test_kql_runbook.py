"""The queries that the runbook has on-call run by hand: bound by Microsoft's parser, and run on rows by DuckDB."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime
from typing import Any, Final

import pytest
from azure.monitor.opentelemetry.exporter.export.logs._exporter import _convert_log_to_envelope
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import drift.service.finishing
import reconcile.service.finishing
from tests.infra.kql_queries import ParserNotInstalledError, Workspace, bind
from tests.infra.kql_rows import HOUR, MINUTE, NOW, check, heal
from tests.infra.test_kql_names import told, unknown_in
from tests.world.commands import ROOT

RUNBOOK: Final = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
FINISHING: Final = reconcile.service.finishing.__name__


def queries() -> dict[str, str]:
    """By the title of the section."""
    found: dict[str, str] = {}
    for title, text in re.findall(r"^#+ (.+)\n((?:(?!#+ ).*\n)*)", RUNBOOK, re.MULTILINE):
        for query in re.findall(r"^```kusto\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            assert title not in found
            found[title] = query
    return found


QUERIES: Final = queries()


def test_there_is_one_for_each_question() -> None:
    assert list(QUERIES) == ["The log", "Who wrote a blob", "oscillating"]
    assert RUNBOOK.count("```kusto") == len(QUERIES)


def test_each_binds_to_the_columns_of_its_table() -> None:
    try:
        bound = bind(QUERIES)
    except ParserNotInstalledError as missing:
        pytest.skip(f"needs the parser of KQL: {missing}")
    assert {name: one.errors for name, one in bound.items() if one.errors} == {}


def test_events_and_attributes_that_are_asked_for_are_told() -> None:
    assert unknown_in(QUERIES["oscillating"], told()) == set()


def a_trace(logger: str, at: datetime, message: str) -> dict[str, Any]:
    """The row of a record that a logger has logged, by the exporter that the package has."""
    kept, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)  # type: ignore[no-untyped-call]
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    record = logging.LogRecord(logger, logging.ERROR, __file__, 1, message, None, None)
    LoggingHandler(logger_provider=provider).emit(record)
    (logged,) = kept.get_finished_logs()
    data = _convert_log_to_envelope(logged).data.base_data  # type: ignore[union-attr]
    return {"TimeGenerated": at, "Message": data.message, "Properties": json.dumps(data.properties), "SeverityLevel": 3}  # type: ignore[union-attr]


class TestTheLog:
    @pytest.fixture
    def workspace(self) -> Workspace:
        workspace = Workspace(now=NOW)
        workspace.rows["AppTraces"] = [
            a_trace(FINISHING, NOW - HOUR, "run daily-2026-06-17 failed: the registry cannot be listed"),
            a_trace(FINISHING, NOW - 25 * HOUR, "run daily-2026-06-16 failed: market emea/fr"),
            a_trace(drift.service.finishing.__name__, NOW - HOUR, "run plans-1 of plan checks failed"),
        ]
        return workspace

    def test_is_what_a_logger_has_said_the_newest_first(self, workspace: Workspace) -> None:
        said = [row["Message"] for row in workspace.ask(QUERIES["The log"])]
        assert [text.split()[1] for text in said] == ["daily-2026-06-17", "daily-2026-06-16"]

    def test_can_be_searched_for_a_name(self, workspace: Workspace) -> None:
        (other,) = re.findall(r"put `(\| where Message has [^`]+)`", RUNBOOK)
        query = re.sub(r"^\| where .*logger_name.*$", other, QUERIES["The log"], flags=re.MULTILINE)
        assert query != QUERIES["The log"]
        assert [row["Message"].split()[1] for row in workspace.ask(query)] == ["daily-2026-06-16"]

    def test_is_asked_of_loggers_that_there_are(self) -> None:
        (default,) = re.findall(r'let logger = "([^"]+)"', QUERIES["The log"])
        assert default == FINISHING
        telemetry = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
        named = re.findall(r"[Tt]he log(?:\]\(#the-log\))? of\s+`([\w.]+)`", RUNBOOK)
        assert len(named) >= 5
        assert [logger for logger in named if f"| `{logger}` |" not in telemetry] == []


def test_who_wrote_a_blob_is_told_of_that_blob_alone() -> None:
    workspace = Workspace(now=NOW)
    for stack, who in (("network", "alice@example.com"), ("app", "bob@example.com")):
        uri = f"https://contosotfestate.blob.core.windows.net:443/tfstate/de/{stack}.tfstate?timeout=60"
        workspace.rows["StorageBlobLogs"].append({"TimeGenerated": NOW - HOUR, "Uri": uri, "RequesterUpn": who})
    assert [row["RequesterUpn"] for row in workspace.ask(QUERIES["Who wrote a blob"])] == ["alice@example.com"]


def test_when_a_drift_came_back_is_told_in_the_order_of_time() -> None:
    workspace = Workspace(now=NOW)
    for age in (9, 5, 1):
        check(workspace, f"p{age}", NOW - age * HOUR, reason=None if age > 1 else "oscillating")
        heal(workspace, NOW - age * HOUR + 20 * MINUTE, step="verified")
    check(workspace, "p", NOW - HOUR, reason=None, market="fr")
    rows = workspace.ask(QUERIES["oscillating"])
    assert [row["Found"] or row["Healed"] for row in rows] == ["heal", "verified"] * 2 + ["hold", "verified"]
