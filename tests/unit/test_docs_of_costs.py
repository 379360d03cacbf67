"""`docs/costs.md`: its tables of units and costs follow from its assumptions and prices, which hold for code and `infra/`."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.pipeline.transport import AioHttpTransport

from adapters.settings import Settings
from records.engine import RunRequest
from records.results import Run
from records.runs import Trigger
from scripts.costs.__main__ import main
from scripts.costs.document import section, table_rows, values_of
from scripts.costs.estate import SIZES
from scripts.costs.requests import check_run_requests, run_requests
from scripts.costs.tables import estates, in_markdown, tables
from tests.estates import put_healthy_market
from tests.orchestration.plan_check_world import open_check_world
from tests.service_world import SIX, open_service_world
from tests.unit.planner_fake import FakePlanner
from tests.world.azurite import Azurite
from tests.world.durable import DurableHub

ROOT: Final = Path(__file__).parents[2]


@pytest.mark.parametrize("title", ["Costs", "What moves it", "Units"])
def test_a_table_is_what_follows_from_assumptions_and_prices(title: str) -> None:
    assert in_markdown(tables(SIZES)[title]) in section(title)


def test_the_tables_are_printed_as_the_document_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    printed = capsys.readouterr().out
    for title, rows in tables(SIZES).items():
        assert f"## {title}\n\n{in_markdown(rows)}\n" in printed


def test_an_estate_of_any_size_has_its_costs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--markets", "40", "2500"])
    printed = capsys.readouterr().out
    assert "| of | 40 markets | 2,500 markets |\n|---|---|---|\n| execution time |" in printed
    between, beyond = estates([40, 2500])
    assert (between.a("plans_at_once"), beyond.a("plans_at_once")) == (8, 40)
    (ten, hundred, _), forty = estates(), sum(between.costs().values())
    assert sum(ten.costs().values()) < forty < sum(hundred.costs().values())


def test_an_estate_without_markets_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--markets", "0"])
    assert "one market at least" in capsys.readouterr().err


def test_azure_is_asked_for_its_prices_by_a_command_that_a_shell_leaves_whole() -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    (command,) = re.findall(r"^```sh\n(curl .*?)^```", section("Prices"), re.MULTILINE | re.DOTALL)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = command.replace("https://prices.azure.com", f"http://127.0.0.1:{server.server_port}")
        subprocess.run(["bash", "-euc", here], check=True, env={"PATH": os.environ["PATH"]})
        server.shutdown()
    (url,) = map(urlsplit, asked)
    assert url.path == "/api/retail/prices"
    assert parse_qs(url.query)["$filter"] == ["armRegionName eq 'westeurope' and serviceName eq 'Functions'"]


def test_each_price_says_where_it_is_from() -> None:
    rows = [row for row in table_rows(section("Prices")) if row[0].startswith("`")]
    assert all(re.search(r"\]\[|\*\*not verified\*\*", row[3]) for row in rows)


def test_the_assumptions_are_those_of_code_and_infra() -> None:
    assumed, settings = values_of("Assumptions"), Settings()
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]
    assert settings.plan_check_schedule == "0 30 */4 * * *"
    assert assumed["check_runs_a_day"] == (24 / 4,)
    assert assumed["plans_at_once"][:2] == (settings.plan_check_width,) * 2
    assert assumed["plans_per_instance"] == (settings.plans_per_instance,)
    assert assumed["markets_side_by_side"] == (settings.fan_out_width,)
    assert assumed["retention_days"] == (settings.retention_days,)
    assert assumed["hub_partitions"] == (host["durableTask"]["storageProvider"]["partitionCount"],)
    assert host["durableTask"]["storageProvider"]["maxQueuePollingInterval"] == "00:00:01"
    infra = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "infra").glob("*.tf")}
    # One entry stands for three rules, of a severity each.
    assert assumed["alert_rules"] == (len(re.findall(r"^ +file +=", infra["alerts.rules.tf"], re.MULTILINE)) + 2,)
    assert number_in(infra["alerts.rules.tf"], r"most_alerts = (\d+)") == assumed["most_alerts_a_rule"][0]
    assert number_in(infra["observability.tf"], r"retention_in_days +=\s*(\d+)") == assumed["log_retention_days"][0]
    versions = infra["estate.lifecycle.tf"].partition("tfstate/")[2]
    assert (
        number_in(versions, r"version \{[^}]*delete_after_days_since_creation += (\d+)") == assumed["version_days"][0]
    )
    memory_mb = number_in(
        infra["variables.apps.tf"], r"plan += optional\(object\(\{ memory_mb = optional\(number, (\d+)"
    )
    assert memory_mb == 1024 * assumed["instance_gb"][0]
    assert "StorageRead" not in re.sub("#.*", "", infra["estate.logs.tf"] + infra["alerts.rules.tf"])


def number_in(text: str, pattern: str) -> int:
    found = re.search(pattern, text, re.DOTALL)
    assert found, pattern
    return int(found[1])


MARKETS: Final = [f"market-{number}" for number in range(3)]
STACKS: Final = ["aks", "app", "data", "dns", "identity", "monitoring", "network"]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Method and URL of each request that the product sends; Azurite has one port for each kind of storage."""
    requests: list[tuple[str, str]] = []
    send = AioHttpTransport.send

    async def noting(self: AioHttpTransport, request: object, **options: object) -> object:
        requests.append((getattr(request, "method", ""), getattr(request, "url", "")))
        return await send(self, request, **options)

    monkeypatch.setattr(AioHttpTransport, "send", noting)
    return requests


def by_price(requests: list[tuple[str, str]], azurite: Azurite) -> Counter[str]:
    return Counter(_price(method, url, is_blob=f":{azurite.blob_port}/" in url) for method, url in requests)


def _price(method: str, url: str, *, is_blob: bool) -> str:
    if is_blob:
        # A list is priced as a write.
        return "blob_write" if method == "PUT" or "comp=list" in url else "blob_read"
    if "$batch" in url:
        return "table_batch"
    if method != "GET":
        return "table_write"
    return "table_read" if "PartitionKey=" in url else "table_query"


@pytest.mark.azurite
@pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type")
class TestTheCountedRequests:
    async def test_are_those_of_a_days_run(
        self, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, sent: list[tuple[str, str]]
    ) -> None:
        async with open_service_world(azurite, monkeypatch) as world:
            for market in MARKETS:
                put_healthy_market(world.estate, market, STACKS)
            # The first makes the tables, and the second finds nothing to prune yet.
            for day in range(3):
                sent.clear()
                world.set_clock(SIX + timedelta(days=day))
                run = Run(run_id=f"daily-{day}", started_at=SIX + timedelta(days=day))
                hub = DurableHub(world.host)
                request = RunRequest(run=run, trigger=Trigger.TIMER)
                await hub.start("reconcile_estate", run.run_id, json.dumps(request.to_json()))
                await hub.run(run.run_id)
            assert by_price(sent, azurite) == run_requests(
                len(MARKETS), len(MARKETS) * len(STACKS), Settings().fan_out_width
            )

    async def test_are_those_of_a_run_of_plan_checks(
        self, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, sent: list[tuple[str, str]]
    ) -> None:
        async with open_check_world(azurite, monkeypatch, FakePlanner(usual="no_change")) as world:
            for market in MARKETS:
                world.deploy(market, STACKS)
            for run in range(2):
                sent.clear()
                world.later(minutes=240 * run)
                await world.run(world.hub())
            of_stacks, of_run = check_run_requests(
                len(MARKETS), len(MARKETS) * len(STACKS), Settings().plan_check_width
            )
            assert by_price(sent, azurite) == of_stacks + of_run
