"""No secret of any recorded plan comes out of a run of plan checks: not in rows, messages, reports, logs or telemetry."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

from records.plan_checks import CheckReport, Decision, StackCheck
from tests.orchestration.plan_check_world import CheckWorld, open_check_world
from tests.orchestration.test_telemetry import Watched, installed
from tests.terraform.leaks import leaks, rendered, secrets_in, text_of_rows
from tests.terraform.plan_cases import CASES
from tests.unit.planner_fake import PLANS, FakePlanner
from tests.world.azurite import Azurite

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

NAMES: Final = tuple(case.name for case in CASES)
PLANNED: Final = frozenset(case.name for case in CASES if not case.inconclusive)
SECRETS: Final = {name: secrets_in((PLANS / f"{name}.json").read_bytes()) for name in NAMES}
NO_SECRET: Final = "azsim_network_security_rule.ssh"


def market_of(name: str) -> str:
    return name.replace("_", "-")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched()
    with installed(monkeypatch, watched.reader, SimpleLogRecordProcessor(watched.logs), watched.spans):
        yield watched


@pytest.fixture
async def world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch, watched: Watched) -> AsyncIterator[CheckWorld]:
    """A market for each case, in which Terraform has made the plan that was recorded of it."""
    planner = FakePlanner(outcomes={f"{market_of(name)}/network.tfstate": name for name in NAMES})
    async with open_check_world(azurite, monkeypatch, planner, FLEET_PERCENT="100") as opened:
        for name in NAMES:
            opened.deploy(market_of(name))
        yield opened


def report_of(checks: list[StackCheck]) -> CheckReport:
    now = datetime.now(UTC)
    counts = {decision: sum(check.decision is decision for check in checks) for decision in Decision}
    return CheckReport(run_id="run", started_at=now, finished_at=now, counts=counts, results=tuple(checks))


def test_the_recorded_plans_hold_secrets_of_every_sort() -> None:
    planted = {secret.decode() for secrets in SECRETS.values() for secret in secrets if secret.startswith(b"planted-")}
    assert planted == {
        "planted-client-secret",
        "planted-connection",
        "planted-password",
        "planted-setting",
        "planted-variable",
    }
    assert all(SECRETS.values())
    assert sum(not secret.startswith(b"planted-") for secrets in SECRETS.values() for secret in secrets) > 5


async def test_no_secret_of_any_recorded_plan_is_anywhere_that_a_run_writes_to(
    world: CheckWorld, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await world.run(world.hub())
    checks = world.checks()
    assert len(checks) == len(NAMES)
    seen = {name for name in NAMES if checks[f"{market_of(name)}/network"]["reason"] != "inconclusive"}
    assert seen == PLANNED
    decisions = {check["decision"] for check in checks.values()}
    assert decisions == {"clean", "heal", "hold"}
    rows, messages = text_of_rows(world.rows()), world.messages()
    assert len(messages) > 5
    told = watched.everything()
    reports = rendered(report_of([StackCheck.model_validate(check) for check in checks.values()]))
    everywhere = {**rows, "queue": str(messages), "telemetry": told, "log": caplog.text, **reports}
    everything = frozenset().union(*SECRETS.values())
    assert leaks(everything, everywhere) == []
    # What is no secret is found in these very places, so that looking finds what is there.
    tells = {"planchecks", "plancheckwork", "heals", "queue", "telemetry", "json", "markdown", "terminal"}
    found = leaks([NO_SECRET], everywhere)
    assert {place for place in everywhere if f"{NO_SECRET} in {place}" in found} >= tells
