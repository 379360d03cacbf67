"""`docs/costs.md`: its tables of units and costs follow from its assumptions and prices, and those hold for code and `infra/`.

``python -m tests.unit.test_docs_of_costs`` prints the three tables that follow, for other assumptions and prices, and with
``--markets 40`` for another size.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.pipeline.transport import AioHttpTransport

from adapters.settings import Settings
from lanes.dealing import MOST_NAMES_ON_A_PAGE
from records.engine import RunRequest
from records.results import Run
from records.runs import Trigger
from tests.estates import put_healthy_market
from tests.orchestration.plan_check_world import open_check_world
from tests.service_world import SIX, open_service_world
from tests.unit.planner_fake import FakePlanner
from tests.world.azurite import Azurite
from tests.world.durable import DurableHub

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "costs.md"
SIZES: Final = (10, 100, 1000)
DAYS: Final = 30
"""Of a month."""
MINUS: Final = "\N{MINUS SIGN}"
Values = Mapping[str, tuple[float, ...]]


def section(title: str) -> str:
    return DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def values_of(title: str) -> dict[str, tuple[float, ...]]:
    """By name; one that differs between the three sizes has three."""
    return {
        row[0].strip("`"): tuple(float(number.replace(",", "")) for number in row[1].split(" / "))
        for row in table_rows(section(title))
        if row[0].startswith("`")
    }


@dataclass(frozen=True, slots=True)
class Estate:
    """A month of an estate of so many markets."""

    markets: int
    assumed: Values
    prices: Values

    def a(self, name: str) -> float:
        """Of an estate between two of the three sizes it is the larger one's value, and beyond them the largest one's."""
        values = self.assumed[name]
        place = next((place for place, size in enumerate(SIZES) if self.markets <= size), len(SIZES) - 1)
        return values[place] if len(values) > 1 else values[0]

    def p(self, name: str) -> float:
        return self.prices[name][0]

    def priced(self, requests: Mapping[str, float]) -> float:
        """Of requests by price, each for 10,000."""
        return sum(count * self.p(price) for price, count in requests.items()) / 10_000

    @property
    def stacks(self) -> float:
        return self.markets * self.a("stacks_per_market")

    @property
    def check_runs(self) -> float:
        return self.a("check_runs_a_day") * DAYS

    @property
    def checks(self) -> float:
        return self.stacks * self.check_runs

    @property
    def check_run_minutes(self) -> float:
        return self.stacks * self.a("plan_seconds") / min(self.a("plans_at_once"), self.stacks) / 60

    @property
    def heals(self) -> float:
        return self.markets * self.a("heals_per_market") + self.a("heals_of_the_canary")

    @property
    def ticks(self) -> float:
        return self.a("ticks_a_day") * DAYS

    @property
    def reconcile_seconds(self) -> float:
        """Of one run."""
        return 60 + self.markets * self.a("market_seconds") / self.a("markets_side_by_side")

    @property
    def plan_instance_minutes(self) -> float:
        """How long instances of the app that plans are up, all together."""
        instances = self.a("plans_at_once") / self.a("plans_per_instance")
        busy = self.stacks * self.a("plan_seconds") / self.a("plans_per_instance") / 60
        return self.check_runs * (busy + instances * self.a("idle_minutes"))

    @property
    def plan_hub_minutes(self) -> float:
        """How long at least one of them is."""
        return self.check_runs * (self.check_run_minutes + self.a("idle_minutes"))

    @property
    def reconcile_minutes(self) -> float:
        idle = self.a("idle_minutes")
        return self.ticks * idle + DAYS * (self.reconcile_seconds / 60 + idle)

    @property
    def instance_minutes(self) -> float:
        heal_minutes = self.heals * (self.a("heal_seconds") / 60 + self.a("idle_minutes"))
        return self.plan_instance_minutes + self.reconcile_minutes + heal_minutes

    @property
    def gb_seconds(self) -> float:
        return self.a("instance_gb") * (
            self.checks * self.a("plan_seconds") / self.a("plans_per_instance")
            + self.heals * self.a("heal_seconds")
            + self.ticks
            + DAYS * self.reconcile_seconds
        )

    @property
    def executions(self) -> float:
        of_checks = self.checks * self.a("executions_per_check") + self.check_runs * self.a("executions_per_check_run")
        of_markets = DAYS * (self.markets * self.a("executions_per_market") + self.a("executions_per_run"))
        return of_checks + of_markets + self.ticks + self.heals

    @property
    def span_gb(self) -> float:
        of_checks = self.checks * self.a("span_kb_per_check") * self.a("spans_kept")
        return self._billed_gb(of_checks + DAYS * self.markets * self.a("span_kb_per_market"))

    @property
    def host_gb(self) -> float:
        """What the host says of executions, and what each process says of itself."""
        return self._billed_gb(
            self.executions * self.a("host_kb_per_execution")
            + self.instance_minutes * self.a("counter_kb_per_instance_minute")
        )

    @property
    def event_gb(self) -> float:
        drifted = self.stacks * self.a("stacks_in_disagreement")
        runs = self.check_runs + DAYS
        return self._billed_gb(runs * (drifted * self.a("event_kb") + self.markets * self.a("metric_kb")))

    @property
    def storage_log_gb(self) -> float:
        writes = self.stacks * self.a("deploys_per_stack") * self.a("logged_writes_per_deploy")
        reads = sum(self.estate_requests.values()) if self.a("reads_are_logged") else 0
        return self._billed_gb((writes + reads) * self.a("storage_log_kb"))

    @property
    def log_gb(self) -> float:
        return self.span_gb + self.host_gb + self.event_gb + self.storage_log_gb

    def _billed_gb(self, kilobytes: float) -> float:
        return kilobytes * self.a("billed_share") / 1_000_000

    @property
    def estate_requests(self) -> dict[str, float]:
        """By price."""
        terraform_reads, terraform_lists = self.a("terraform_reads_per_check"), self.a("terraform_lists_per_check")
        of_stacks, of_a_run = check_run_requests(int(self.markets), int(self.stacks), int(self.a("plans_at_once")))
        of_day = run_requests(int(self.markets), int(self.stacks))
        total: Counter[str] = Counter()
        for price in of_stacks | of_a_run | of_day:
            total[price] = int(self.check_runs * (of_stacks[price] + of_a_run[price]) + DAYS * of_day[price])
        total["blob_read"] += int(self.checks * terraform_reads)
        total["blob_write"] += int(self.checks * terraform_lists + self.heals * self.a("writes_per_heal"))
        return dict(total)

    @property
    def hub_polls(self) -> float:
        """Requests to Durable's and the heals' queues that find nothing."""
        partitions = self.a("hub_partitions")
        of_apps = 60 * (
            partitions * (self.plan_hub_minutes + self.reconcile_minutes)
            + self.plan_instance_minutes
            + self.reconcile_minutes
        )
        queues = 2 * (partitions + 1) + 2
        of_scale_controller = queues * self.a("scale_controller_requests") * 6 * 60 * 24 * DAYS
        return of_apps + of_scale_controller

    @property
    def host_requests(self) -> dict[str, float]:
        steps = self.executions / 2
        loops = 6 * (self.plan_instance_minutes + self.reconcile_minutes)
        renewals = 6 * self.a("hub_partitions") * (self.plan_hub_minutes + self.reconcile_minutes)
        return {
            "queue": steps * self.a("queue_requests_per_step") + self.hub_polls,
            "host_table_query": steps + loops,
            "host_table_batch": steps,
            "host_table_write": steps + renewals,
        }

    @property
    def stored(self) -> float:
        rows_gb = self.stacks * self.a("retention_days") / 1_000_000
        rows_gb *= self.a("result_row_kb") + self.a("check_runs_a_day") * self.a("check_row_kb")
        history_gb = 12 * self.checks * self.a("hub_kb_per_check") / 1_000_000
        months = self.a("version_days") / DAYS
        versions = self.a("deploys_per_stack") * self.a("versions_per_deploy") * months
        state_gb = self.stacks * self.a("state_mb") * (1 + versions) / 1000
        return (
            rows_gb * self.p("table_gb")
            + history_gb * self.p("host_table_gb")
            + state_gb * self.p("blob_gb")
            + self.stacks * self.a("deploys_per_stack") * self.a("state_mb") / 1000 * self.p("geo_gb")
        )

    def costs(self) -> dict[str, float]:
        seconds = max(0.0, self.gb_seconds - self.p("free_gb_seconds"))
        executions = max(0.0, self.executions - self.p("free_executions"))
        series = min(self.stacks * self.a("stacks_in_disagreement"), self.a("most_alerts_a_rule"))
        more_months = max(0.0, self.a("log_retention_days") - self.p("free_retention_days")) / DAYS
        return {
            "execution time": seconds * self.p("gb_second"),
            "executions": executions / 1_000_000 * self.p("million_executions"),
            "logs, taken in": max(0.0, self.log_gb - self.p("free_log_gb")) * self.p("log_gb"),
            "storage logs, kept": self.storage_log_gb * more_months * self.p("log_gb_month"),
            "alert rules": self.a("alert_rules") * self.p("alert_rule") + 2 * series * self.p("alert_series"),
            "the estate's account, requests": self.priced(self.estate_requests),
            "the hosts' accounts, requests": self.priced(self.host_requests),
            "what is stored": self.stored,
        }

    def units(self) -> dict[str, float]:
        estate, host = self.estate_requests, self.host_requests
        return {
            "stacks": self.stacks,
            "plan checks": self.checks,
            "minutes that a run of them takes": self.check_run_minutes,
            "heals": self.heals,
            "execution time, GB-s": self.gb_seconds,
            "executions": self.executions,
            "spans, GB": self.span_gb,
            "what hosts and processes say of themselves, GB": self.host_gb,
            "events and metrics, GB": self.event_gb,
            "storage logs, GB": self.storage_log_gb,
            "estate: blobs read": estate["blob_read"],
            "estate: blobs written and listed": estate["blob_write"],
            "estate: rows read by key": estate["table_read"],
            "estate: tables queried": estate["table_query"],
            "estate: table transactions": estate["table_batch"],
            "hosts: queue requests": host["queue"],
            "of these, polls": self.hub_polls,
            "hosts: table requests": sum(host.values()) - host["queue"],
        }


def run_requests(markets: int, stacks: int) -> Counter[str]:
    """What a day's run sends to the estate's account, by price; held to what it does by a test."""
    lanes = min(16, markets)
    return Counter(
        blob_read=2 * stacks + markets + 6,
        blob_write=markets + 3 + 6,
        table_batch=2 * markets + 2,
        table_query=3 * markets + 5,
        table_read=5 + pages(markets, lanes),
        table_write=4,
    )


def check_run_requests(markets: int, stacks: int, width: int) -> tuple[Counter[str], Counter[str]]:
    """The same of a run of plan checks where all is clean: of its stacks, and the rest."""
    of_stacks = Counter(blob_read=7 * stacks, blob_write=2 * stacks, table_batch=3 * stacks)
    of_stacks.update(table_read=3 * stacks, table_query=2 * stacks)
    number = pages(stacks, min(width, stacks))
    of_run = Counter(blob_read=markets + 1, blob_write=2, table_batch=1, table_write=4)
    of_run.update(table_read=5 + number, table_query=2 * markets + 10)
    return of_stacks, of_run


def pages(items: int, lanes: int) -> int:
    return sum(-(-len(range(lane, items, lanes)) // MOST_NAMES_ON_A_PAGE) for lane in range(lanes))


def estates(sizes: Sequence[int] = SIZES, **changes: tuple[float, ...]) -> list[Estate]:
    assumed, prices = values_of("Assumptions"), values_of("Prices")
    assert changes.keys() <= assumed.keys()
    return [Estate(markets, assumed | changes, prices) for markets in sizes]


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def table(by_estate: list[dict[str, float]], show: Callable[[float], str] = shown) -> list[list[str]]:
    return [[name, *(show(of_one[name]) for of_one in by_estate)] for name in by_estate[0]]


def dollars(value: float) -> str:
    return f"${value:,.0f}" if abs(value) >= 10 else f"${value:.2f}"


def cost_table(sizes: Sequence[int]) -> list[list[str]]:
    costs = [estate.costs() for estate in estates(sizes)]
    totals = [{"**together**": sum(of_one.values())} for of_one in costs]
    return table(costs, dollars) + table(totals, dollars)


LEVERS: Final[dict[str, dict[str, tuple[float, ...]]]] = {
    "checks twice a day": {"check_runs_a_day": (2,)},
    "checks once a day": {"check_runs_a_day": (1,)},
    "all spans of plan checks": {"spans_kept": (1,)},
    "the day's run in UTC, with no tick every 15 minutes": {"ticks_a_day": (1,)},
    "old states kept for 90 days and not 180": {"version_days": (90,)},
    "storage logs kept for 31 days and not 90": {"log_retention_days": (31,)},
    "plans of 150 s, twice as many at once in the largest": {"plan_seconds": (150,), "plans_at_once": (8, 8, 80)},
    "one plan an instance": {"plans_per_instance": (1,)},
    "reads logged as well (`StorageRead`)": {"reads_are_logged": (1,)},
}


def lever_table(sizes: Sequence[int]) -> list[list[str]]:
    before = [sum(estate.costs().values()) for estate in estates(sizes)]
    rows = []
    for lever, changes in LEVERS.items():
        after = [sum(estate.costs().values()) for estate in estates(sizes, **changes)]
        rows.append([lever, *(_difference(new - old) for old, new in zip(before, after, strict=True))])
    return rows


def _difference(value: float) -> str:
    if abs(value) < 0.005:
        return "none"
    return f"{MINUS if value < 0 else '+'}{dollars(abs(value))}"


def tables(sizes: Sequence[int]) -> dict[str, list[list[str]]]:
    """What follows from assumptions and prices, by the section of the document, with the heads of its columns."""
    heads = [f"{markets:,} markets" for markets in sizes]
    return {
        "Costs": [["of", *heads], *cost_table(sizes)],
        "What moves it": [["change", *heads], *lever_table(sizes)],
        "Units": [["a month", *heads], *table([estate.units() for estate in estates(sizes)])],
    }


def in_markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.unit.test_docs_of_costs",
        description="Prints the tables of docs/costs.md that follow from its assumptions and prices.",
    )
    parser.add_argument(
        "--markets",
        metavar="N",
        type=int,
        nargs="+",
        default=SIZES,
        help="how many; by default the document's three sizes",
    )
    sizes = parser.parse_args(arguments).markets
    if min(sizes) < 1:
        parser.error("--markets: an estate has one market at least")
    for title, rows in tables(sizes).items():
        print(f"## {title}\n\n{in_markdown(rows)}\n")  # noqa: T201 (that is what it is for)


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
            assert by_price(sent, azurite) == run_requests(len(MARKETS), len(MARKETS) * len(STACKS))

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


if __name__ == "__main__":
    main()
