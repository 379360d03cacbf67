"""What the documents say of the service, held against `host.json`, the app and the answers."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.settings import Settings
from adapters.table_names import RESULTS_TABLE, RUNS_TABLE, WORK_TABLE
from answering.answers import View
from answering.asking import MOST_BODY_BYTES
from drift.healing.delivering import Deliveries
from drift.healing.levers import Levers
from drift.service import healing
from drift.service.heal_history import DEFAULT_PAGE, LARGEST_PAGE
from drift.service.heal_views import HealsView, HealView, HoldsView, PausesView
from drift.service.levers_http import ROUTES, Asked
from reconcile.service.views import HealthView, MarketView, RunView, StartedView
from records.heal_ledger import ENDED, HealStep
from records.heals import POISON_QUEUE, QUEUE
from records.runs import MOST_MARKETS_ASKED_FOR, MOST_STACKS_ASKED_FOR, RunStatus
from tests.fakes_drift import MemoryCheckStore, MemoryHealLedger, MemoryHealQueue
from tests.service_world import SIX

ROOT = Path(__file__).parents[2]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, json.dumps(value)


def test_every_value_of_host_json_is_explained() -> None:
    section = text_of("docs/hosting.md").split("\n## ")[1]
    documented = {row[0].strip("`"): row[1].strip("`") for row in table_rows(section) if row[0].startswith("`")}
    assert documented == dict(leaves(json.loads(text_of("host.json"))))
    assert all(len(row) == 3 and row[2] for row in table_rows(section))


def functions_of_the_app() -> set[str]:
    """By the names under which the app's file defines them, which are those under which it binds them."""
    tree = ast.parse(text_of("function_app.py"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("function_name" in ast.unparse(decorator) for decorator in node.decorator_list)
    }


def test_the_functions_that_hosting_names_are_the_app_s() -> None:
    hosting = text_of("docs/hosting.md")
    section = hosting.split("\n## One app per identity\n")[1].split("\n## ")[0]
    named = {name for row in table_rows(section)[1:] for cell in row for name in re.findall(r"`(\w+)`", cell)}
    assert {"reconcile_daily", "start_run", "check_plans_on_schedule", "heal_stack", "heal_poison"} <= named
    assert named <= functions_of_the_app()
    for name in ("start_run", "get_run", "get_market", "get_health"):
        assert f"`{name}`" in hosting


def test_hosting_has_the_functions_of_heals_and_the_connection_of_their_queues() -> None:
    section = text_of("docs/hosting.md").split("\n## Heals\n")[1].split("\n## ")[0]
    documented = {name: row[1] for row in table_rows(section)[1:] for name in re.findall(r"`(\w+)`", row[0])}
    functions = {healing.HEAL: f"queue `{QUEUE}`", healing.FAIL: f"queue `{POISON_QUEUE}`"}
    assert documented == functions | dict.fromkeys((route.function for route in ROUTES), "HTTP")
    for document in ("docs/hosting.md", "docs/configuration.md"):
        assert f"`{healing.QUEUE_CONNECTION}" in text_of(document)
    assert f"`{healing.QUEUE_CONNECTION}__queueServiceUri`" in text_of("docs/hosting.md")


def test_the_app_that_applies_has_the_time_for_it() -> None:
    (text,) = re.findall(r"AzureFunctionsJobHost__functionTimeout=([\d:]+)", text_of("docs/hosting.md"))
    hours, minutes, seconds = map(int, text.split(":"))
    limit: int = Settings.model_fields["plan_limit_seconds"].default
    assert hours * 3600 + minutes * 60 + seconds > 5 * limit


def test_the_example_of_local_settings_sets_nothing_unknown() -> None:
    values = json.loads(text_of("local.settings.example.json"))["Values"]
    of_the_host = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", healing.QUEUE_CONNECTION}
    assert of_the_host <= set(values)
    assert set(values) - of_the_host <= {name.upper() for name in Settings.model_fields}
    assert values["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert not re.search(r"AccountKey=", json.dumps(values))


def test_local_settings_are_never_committed_nor_deployed() -> None:
    assert "local.settings.json" in text_of(".gitignore").splitlines()
    assert "local.settings*.json" in text_of(".funcignore").splitlines()


def test_the_package_leaves_out_nothing_that_the_app_imports() -> None:
    ignored = {line.strip("/") for line in text_of(".funcignore").splitlines()}
    tree = ast.parse(text_of("function_app.py"))
    imported = {
        node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    assert {"adapters", "reconcile", "records"} <= imported
    assert imported.isdisjoint(ignored)
    assert {"host.json", "requirements.txt", "function_app.py"}.isdisjoint(ignored)


def test_every_kind_of_problem_is_documented() -> None:
    doors = ("answering/answers.py", "reconcile/service/answers.py", "drift/service/levers_http.py")
    kinds = {kind for door in doors for kind in re.findall(r"""problem\(\s*\d{3},\s*"([a-z-]+)\"""", text_of(door))}
    assert len(kinds) > 8
    section = text_of("docs/http.md").split("\n## Problems")[1]
    documented = {kind for row in table_rows(section) for kind in re.findall(r"`([a-z-]+)`", row[0])}
    assert documented == kinds


@pytest.mark.parametrize(
    "view", [StartedView, RunView, HoldsView, HealsView, PausesView], ids=lambda view: view.__name__
)
def test_the_examples_of_answers_have_the_fields_of_the_answers(view: type[View]) -> None:
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text_of("docs/http.md"), re.DOTALL)]
    fitting = [example for example in examples if set(example) == set(view.model_fields)]
    assert len(fitting) == 1
    view.model_validate(fitting[0])
    assert fitting[0] == json.loads(view.model_validate(fitting[0]).model_dump_json())


async def test_the_example_of_a_lever_s_body_is_taken() -> None:
    bodies = re.findall(r"```json\n(.*\"reason\".*)\n```", text_of("docs/http.md"))
    assert len(bodies) == 1
    ledger = MemoryHealLedger()

    async def known_markets() -> tuple[str, ...]:
        return ("de",)

    levers = Levers(
        ledger=ledger,
        checks=MemoryCheckStore(),
        queue=MemoryHealQueue(),
        known_markets=known_markets,
        expires_after=timedelta(hours=2),
        clock=lambda: SIX,
    )
    service = healing.HealService(deliveries=cast(Deliveries, None), levers=levers)
    (pause,) = [route for route in ROUTES if route.path == "pause"]
    assert (await pause.answer(service, Asked(body=bodies[0].encode(), query={}))).status == 200
    assert [one.market for one in await ledger.pauses()] == ["de"]


def test_each_request_of_the_levers_is_documented() -> None:
    text = text_of("docs/http.md")
    for route in ROUTES:
        assert f"{route.method} /api/{route.path}" in text
    for limit in (f"{DEFAULT_PAGE} by default", f"{LARGEST_PAGE} at most"):
        assert limit in text


@pytest.mark.parametrize("view", [HoldsView, HealView], ids=lambda view: view.__name__)
def test_the_fields_of_heals_that_need_a_word_have_one(view: type[View]) -> None:
    section = text_of("docs/http.md").split("\n## Heals\n")[1].split("\n## Problems")[0]
    documented = {word for row in table_rows(section) for word in re.findall(r"`(\w+)`", row[0])}
    obvious = {
        "holds",
        "market",
        "stack",
        "queued_at",
        "expires_at",
        "serial",
        "bundle_sha256",
        "fingerprint",
        "addresses",
    }
    assert set(view.model_fields) - obvious <= documented
    (steps,) = [row[1] for row in table_rows(section) if row[0] == "`step`"]
    assert set(re.findall(r"`(\w+)`", steps)) == {step for step in HealStep if step not in ENDED}


@pytest.mark.parametrize("view", [MarketView, HealthView], ids=lambda view: view.__name__)
def test_the_fields_that_need_a_word_have_one(view: type[View]) -> None:
    obvious = {"market", "subscription_id", "owner", "status", "version", "registry", "results"}
    for field in set(view.model_fields) - obvious:
        assert f"`{field}`" in text_of("docs/http.md"), field


def test_the_statuses_and_limits_are_documented() -> None:
    text = text_of("docs/http.md")
    assert {row[0].strip("`") for row in table_rows(text)} >= {str(status) for status in RunStatus}
    for limit in (
        f"{MOST_MARKETS_ASKED_FOR} markets",
        f"{MOST_STACKS_ASKED_FOR} stacks",
        f"{MOST_BODY_BYTES // 1024} KiB",
    ):
        assert limit in text


def test_the_tables_are_named_as_in_the_code() -> None:
    for table in (RESULTS_TABLE, RUNS_TABLE, WORK_TABLE):
        assert f"`{table}`" in text_of("CHANGELOG.md")
