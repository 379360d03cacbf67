"""The queries of alerts and workbook as Azure gets them: rendered by Terraform, bound by Microsoft's parser, run by DuckDB.

`workspace_tables.json` has the columns that Microsoft documents of the tables that are asked
(https://learn.microsoft.com/azure/azure-monitor/reference/tables/appevents, `…/appmetrics`, `…/apptraces` and
`…/storagequeuelogs`; of `…/storagebloblogs` most).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb_kql

from tests.infra.stand_in import JsonObject, Module
from tests.world.commands import ROOT

ALERT: Final = "azurerm_monitor_scheduled_query_rules_alert_v2"
WORKBOOK: Final = "azurerm_application_insights_workbook"
WINDOW: Final = timedelta(days=2)
"""Of every rule: what is older is not there for its query."""

TABLES: Final[Mapping[str, Mapping[str, str]]] = json.loads(
    (Path(__file__).parent / "workspace_tables.json").read_text(encoding="utf-8")
)

_NODE_MODULES: Final = ROOT / "tests/world/node_modules"
_TYPES: Final = {
    "string": "VARCHAR",
    "dynamic": "JSON",
    "datetime": "TIMESTAMP",
    "real": "DOUBLE",
    "long": "BIGINT",
    "int": "INTEGER",
}
_NOW: Final = re.compile(r"\bnow\(\)")
_AGO: Final = re.compile(r"\bago\((\w+)\)")
_LOCAL: Final = re.compile(
    r'datetime_utc_to_local\((todatetime\(Properties\["[\w.]+"\]\)|datetime\([^)]*\)), "([\w/]+)"\)'
)


class ParserNotInstalledError(RuntimeError):
    """Node.js, or the pinned parser of KQL, is not on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What the parser makes of a query: what is wrong with it, and the columns that it returns, by type."""

    errors: list[str]
    columns: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The alert rules by name, and the workbook's queries by tab and panel, as deployed."""

    rules: Mapping[str, JsonObject]
    panels: Mapping[tuple[str, str], str]

    @property
    def queries(self) -> dict[str, str]:
        alerts = {f"alert {name}": self.alert(name) for name in self.rules}
        return alerts | {f"panel {tab}/{panel}": text for (tab, panel), text in self.panels.items()}

    def alert(self, name: str) -> str:
        query: str = self.rules[name]["criteria"][0]["query"]
        return query


def rendered_in(deployed: Module) -> Rendered:
    """Of `infra/` as it was applied: only then is the workspace's id known, which the workbook holds."""
    resources = deployed.resources()
    (workbook,) = [json.loads(each["values"]["data_json"]) for each in resources if each["type"] == WORKBOOK]
    return Rendered(
        rules={each["index"]: each["values"] for each in resources if each["type"] == ALERT},
        panels={
            (tab["name"], item["name"]): item["content"]["query"]
            for tab in workbook["items"]
            for item in tab["content"].get("items", ())
            if item["type"] == 3
        },
    )


def bind(queries: Mapping[str, str]) -> dict[str, Bound]:
    """Raises ParserNotInstalledError."""
    node = shutil.which("node")
    if node is None or not (_NODE_MODULES / "@kusto/language-service-next").exists():
        raise ParserNotInstalledError("install Node.js, then: npm ci --prefix tests/world")
    done = subprocess.run(
        [node, Path(__file__).parent / "bind_kql.js", _NODE_MODULES],
        input=json.dumps({"tables": TABLES, "queries": queries}),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return {name: Bound(**one) for name, one in json.loads(done.stdout).items()}


@dataclass(slots=True, kw_only=True)
class Workspace:
    """The tables of a workspace, and the moment at which it is asked."""

    now: datetime
    rows: dict[str, list[dict[str, object]]] = field(default_factory=lambda: {table: [] for table in TABLES})

    def event(self, name: str, at: datetime, **attributes: object) -> None:
        """Keyword arguments are the attribute's name with `__` for a dot and without `trueup.`; in Azure all is text."""
        properties = {
            f"trueup.{key.replace('__', '.')}": str(value) for key, value in attributes.items() if value is not None
        }
        self.rows["AppEvents"].append({"TimeGenerated": at, "Name": name, "Properties": json.dumps(properties)})

    def queue_operation(self, operation: str, at: datetime, *, queue: str, account: str, status: str = "204") -> None:
        self.rows["StorageQueueLogs"].append(
            {
                "TimeGenerated": at,
                "OperationName": operation,
                "AccountName": account,
                "StatusCode": status,
                "Uri": f"https://{account}.queue.core.windows.net:443/{queue}/messages?timeout=30",
            }
        )

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The rows of the answer, run on DuckDB by duckdb-kql, in UTC.

        What that does not know is put in its place here: the present moment, and the offsets of a time zone.
        """
        moment = f"datetime({self.now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ})"
        text = _AGO.sub(rf"({moment} - \1)", _NOW.sub(moment, query))
        text = _LOCAL.sub(lambda match: self._local(match[1], ZoneInfo(match[2])), text)
        connection = duckdb_kql.connect()
        for table, columns in TABLES.items():
            declared = ", ".join(f'"{column}" {_TYPES[kind]}' for column, kind in columns.items())
            connection.sql(f'CREATE TABLE "{table}" ({declared})')
            for row in self._seen(table):
                names = ", ".join(f'"{name}"' for name in row)
                places = ", ".join("?" * len(row))
                connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({places})', list(row.values()))
        answer = duckdb_kql.query(connection, text)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]

    def _seen(self, table: str) -> Iterable[dict[str, object]]:
        for row in self.rows[table]:
            at = row["TimeGenerated"]
            assert isinstance(at, datetime)
            if self.now - WINDOW <= at <= self.now:
                yield {**row, "TimeGenerated": at.astimezone(UTC).replace(tzinfo=None)}

    def _local(self, moment: str, zone: ZoneInfo) -> str:
        """KQL for a UTC moment near the present one in a zone: its offset changes at most once within days."""
        hours = [self.now + timedelta(hours=hour) for hour in range(-72, 1)]
        earlier, later = hours[0].astimezone(zone).utcoffset(), self.now.astimezone(zone).utcoffset()
        assert earlier is not None
        assert later is not None
        change = next((hour for hour in hours if hour.astimezone(zone).utcoffset() == later), self.now)
        before, after = (f"{int(offset.total_seconds())}s" for offset in (earlier, later))
        return f"({moment} + iff({moment} < datetime({change.astimezone(UTC):%Y-%m-%dT%H:00:00Z}), {before}, {after}))"
