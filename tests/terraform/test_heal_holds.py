"""Every reason to hold a heal, reached with the real Terraform: by the worker after the job was queued, and by the next check.

One estate on disk. Somebody clicks in every market, and what a check may heal it queues. Then each market gets a reason of its
own, and `drift heal` and `drift check --queue` run over all of them. In the end a person approves what can be approved.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from adapters.table_names import HEAL_LEVERS_TABLE
from drift.decide import APPROVABLE
from records.plan_checks import HoldReason
from tests.terraform.checked_estate import rule
from tests.terraform.healed_estate import HEALING, STACK, HealedEstate, healed_estate, read_json
from tests.world.commands import Ended
from tests.world.sim_cloud import using_azsim

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(300)]

ONE_RULE: Final = "model"
FOUR_RULES: Final = "wide"
FORGED: Final = "forged"
RULES: Final = using_azsim() + "".join(
    f'resource "azsim_network_security_rule" "r{number}" {{\n  name = "r{number}-{FOUR_RULES}"\n'
    f'  resource_group_name = "rg"\n  network_security_group_name = "hub"\n  access = "Deny"\n  priority = {number}\n}}\n'
    for number in range(4)
)
FORGOTTEN: Final = (
    using_azsim() + "removed {\n  from = azsim_network_security_rule.ssh\n  lifecycle {\n    destroy = false\n  }\n}\n"
)
POLICY: Final = """
schema_version: 1
heal_mode: "on"
kill_switch: {why: INC-1, market: switched}
heal_mode_by_market:
  - {market: off, mode: "off"}
  - {market: dry, mode: dry-run}
freeze_windows:
  - {cron: "0 0 * * *", duration: 2d, zone: Europe/Berlin, market: frozen}
rules:
  - {do: never, market: guarded}
  - {do: ignore, market: partly, attribute: description}
  - {do: ask, market: [asked, forged]}
limits: {breaker_count: 1, fleet_percent: 20}
"""
LOOSE: Final = {**HEALING, "HEAL_MAX_PERCENT": "100", "FLEET_PERCENT": "100"}
"""What the first check goes by, so that every one of these is queued."""

CLICKS: Final[Mapping[str, Mapping[str, Any]]] = {
    **{market: {"access": "Allow"} for market in ("torn", "switched", "lever", "off", "disagree", "locked", "fleet")},
    "frozen": {"priority": 4000},
    "guarded": {"protocol": "Udp"},
    "asked": {"direction": "Outbound"},
    FORGED: {"direction": "Outbound", "protocol": "Udp"},
    "dry": {"source_address_prefix": "10.0.0.0/8"},
    "partly": {"priority": 4000, "description": "somebody's"},
    "again": {"priority": 4000, "protocol": "Udp"},
    "moved": {"network_security_group_name": "another"},
}
"""In the first markets the same one, which makes it an event of the fleet; no two alike in the others."""
WORKERS: Final[Mapping[str, HoldReason]] = {
    "torn": HoldReason.INCONCLUSIVE,
    "switched": HoldReason.PAUSED,
    "lever": HoldReason.PAUSED,
    "off": HoldReason.PAUSED,
    "frozen": HoldReason.FROZEN,
    "disagree": HoldReason.RECORDS_DISAGREE,
    "locked": HoldReason.LOCKED,
    "guarded": HoldReason.PROTECTED,
    "partly": HoldReason.MIXED,
    FOUR_RULES: HoldReason.BLAST_RADIUS,
    "again": HoldReason.OSCILLATING,
    "fleet": HoldReason.FLEET_WIDE,
    "asked": HoldReason.APPROVAL_REQUIRED,
    FORGED: HoldReason.APPROVAL_REQUIRED,
    "dry": HoldReason.DRY_RUN,
}
"""Reasons that can come up between check and heal, by the market in which they do."""
CHECKS: Final[Mapping[str, HoldReason]] = {
    "forgotten": HoldReason.UNSAFE,
    "moved": HoldReason.DESTRUCTIVE,
    "merged": HoldReason.PENDING_CHANGE,
}
"""Reasons that are the plan's own: with one of these it would be another job, so that a worker can only meet another drift."""
APPROVED: Final = {
    "frozen": HoldReason.FROZEN,
    "moved": HoldReason.DESTRUCTIVE,
    "guarded": HoldReason.PROTECTED,
    FOUR_RULES: HoldReason.BLAST_RADIUS,
    "again": HoldReason.OSCILLATING,
    "fleet": HoldReason.FLEET_WIDE,
    "asked": HoldReason.APPROVAL_REQUIRED,
}
REFUSED: Final = ("torn", "switched", "disagree", "locked", "partly", "dry")

Found = Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Aftermath:
    """What each command found in each market, and the cloud around them."""

    queued: Found
    healed: Found
    checked: Found
    holds: Found
    is_untouched: Mapping[str, bool]
    forged: Ended
    deployed: Mapping[str, Any]
    approvals: Mapping[str, Ended]
    approved: Found
    cloud_then: Mapping[str, Any]
    applies: Mapping[str, int]
    verdicts: Mapping[str, str]


@pytest.fixture(scope="module")
def aftermath() -> Iterator[Aftermath]:
    with healed_estate(LOCK_TIMEOUT_SECONDS="0") as estate:
        deploy(estate)
        deployed = estate.cloud.snapshot()
        heal_once(estate, "again")
        click(estate)
        before = estate.cloud.bytes()
        queued = estate.check(environment=LOOSE)
        after_queueing = estate.cloud.bytes()
        give_each_its_reason(estate)
        with locked_by_somebody(estate, "locked"):
            healed = estate.heal()
            after_healing = estate.cloud.bytes()
            checked = queued | estate.check(*(word for market in WORKERS for word in ("--market", market)))
            found = estate.commands.answer("drift", "holds")["holds"]
            untouched = {
                "queueing": after_queueing == before,
                "healing": after_healing == before,
                "checking": estate.cloud.bytes() == before,
            }
            forged = heal_with_a_forged_approval(estate, healed[FORGED]["job"]["job_id"])
            approvals = {
                market: estate.commands.pull("approve", (healed.get(market, {}).get("job") or queued[market])["job_id"])
                for market in (*APPROVED, *REFUSED)
            }
            approved = estate.heal()
        yield Aftermath(
            queued=queued,
            healed=healed,
            checked=checked,
            holds={one["market"]: one for one in found},
            is_untouched=untouched,
            forged=forged,
            deployed=deployed,
            approvals=approvals,
            approved=approved,
            cloud_then=estate.cloud.snapshot(),
            applies=estate.applies(),
            verdicts=estate.verdicts(),
        )


def deploy(estate: HealedEstate) -> None:
    estate.deploy({ONE_RULE: rule(f"ssh-{ONE_RULE}"), FOUR_RULES: RULES})
    as_deployed = [market for market in WORKERS if market != FOUR_RULES]
    estate.copy(ONE_RULE, *as_deployed, "moved")
    estate.copy(ONE_RULE, "forgotten", main_tf=FORGOTTEN)
    estate.copy(ONE_RULE, "merged", main_tf=rule(f"ssh-{ONE_RULE}", priority=101))


def heal_once(estate: HealedEstate, market: str) -> None:
    estate.cloud.change(ssh(market), **CLICKS[market])
    estate.check("--market", market)
    assert estate.heal()[market]["step"] == "verified"


def click(estate: HealedEstate) -> None:
    for market, attributes in CLICKS.items():
        estate.cloud.change(ssh(market), **attributes)
    for number in range(4):
        estate.cloud.change(f"azsim_network_security_rule.r{number}-{FOUR_RULES}", access="Allow")


def give_each_its_reason(estate: HealedEstate) -> None:
    root = estate.disk.root
    (root / "config").mkdir(exist_ok=True)
    (root / "config/policy.yaml").write_text(POLICY, encoding="utf-8")
    assert estate.commands.pull("pause", "--market", "lever").status == 0
    (bundle,) = (root / "bundles/torn").rglob("*.zip")
    bundle.write_bytes(bundle.read_bytes() + b"\0")
    registry = read_json(estate.registry_file("disagree"))
    registry["stacks"][STACK]["serial"] -= 1
    estate.registry_file("disagree").write_text(json.dumps(registry), encoding="utf-8")


def heal_with_a_forged_approval(estate: HealedEstate, job_id: str) -> Ended:
    """A row and a message as an approval leaves them, without the use of the lever: who writes jobs can make both."""
    assert estate.commands.pull("approve", job_id).status == 0
    uses = (estate.disk.root / "tables" / HEAL_LEVERS_TABLE / "uses").glob("[0-9]*.json")
    (approval,) = [file for file in uses if read_json(file)["job_id"] == job_id]
    approval.unlink()
    return estate.commands.run("drift", "heal", "--format", "json", environment=HEALING)


@contextmanager
def locked_by_somebody(estate: HealedEstate, market: str) -> Iterator[None]:
    """As Terraform's local backend locks a state: the kernel's lock on the file, and a file that says whose it is."""
    state = estate.disk.root / "tfstate" / market / f"{STACK}.tfstate"
    info = {"ID": "5", "Who": "somebody@a-laptop", "Operation": "OperationTypeApply", "Created": "2026-01-01T00:00:00Z"}
    state.with_name(f".{state.name}.lock.info").write_text(json.dumps(info), encoding="utf-8")
    with state.open("rb+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def ssh(market: str) -> str:
    return f"azsim_network_security_rule.ssh-{market}"


def decided(check: Mapping[str, Any]) -> tuple[str, str | None]:
    return check["decision"], check["reason"]


def test_every_reason_there_is_comes_up_here() -> None:
    assert set(HoldReason) == {*WORKERS.values(), *CHECKS.values()}
    assert set(APPROVED.values()) == APPROVABLE


@pytest.mark.parametrize("market", WORKERS)
def test_what_is_to_be_held_later_was_queued_to_be_healed(market: str, aftermath: Aftermath) -> None:
    assert decided(aftermath.queued[market]) == ("heal", None)


@pytest.mark.parametrize(("market", "reason"), [pytest.param(*one, id=one[0]) for one in WORKERS.items()])
def test_a_worker_holds_what_has_a_reason_by_now(market: str, reason: HoldReason, aftermath: Aftermath) -> None:
    job = aftermath.healed[market]
    assert (job["step"], job["reason"], job["applying_since"]) == ("held", reason, None)
    assert job["events"][-1]["note"]


@pytest.mark.parametrize(
    ("market", "reason"), [pytest.param(*one, id=one[0]) for one in (*WORKERS.items(), *CHECKS.items())]
)
def test_a_check_holds_it_too_and_queues_nothing(market: str, reason: HoldReason, aftermath: Aftermath) -> None:
    assert decided(aftermath.checked[market]) == ("hold", reason)
    assert market not in aftermath.healed or market in WORKERS
    assert aftermath.holds[market]["reason"] == reason


def test_the_cloud_is_not_changed_by_a_byte(aftermath: Aftermath) -> None:
    assert aftermath.is_untouched == {"queueing": True, "healing": True, "checking": True}


@pytest.mark.parametrize("market", APPROVED)
def test_what_a_person_approves_is_healed_whatever_the_reason_says(market: str, aftermath: Aftermath) -> None:
    assert aftermath.approvals[market].status == 0, aftermath.approvals[market].stderr
    job = aftermath.approved[market]
    assert (job["step"], [one["reason"] for one in job["approvals"]]) == ("verified", [APPROVED[market]])
    now, then = of_market(aftermath.cloud_then, market), of_market(aftermath.deployed, market)
    assert now == then
    assert now
    assert aftermath.verdicts[market] == "healthy"


def test_an_approval_that_no_use_of_the_lever_bears_out_heals_nothing(aftermath: Aftermath) -> None:
    (job,) = json.loads(aftermath.forged.stdout)["jobs"]
    assert (job["job"]["market"], job["step"], job["reason"]) == (FORGED, "held", HoldReason.APPROVAL_REQUIRED)
    assert [one["reason"] for one in job["approvals"]] == [HoldReason.APPROVAL_REQUIRED]
    assert job["job"]["job_id"] in aftermath.forged.stderr
    assert of_market(aftermath.cloud_then, FORGED) != of_market(aftermath.deployed, FORGED)


@pytest.mark.parametrize("market", REFUSED)
def test_what_no_approval_overrules_is_refused_and_stays_as_it_is(market: str, aftermath: Aftermath) -> None:
    assert aftermath.approvals[market].status == 1
    assert aftermath.approvals[market].stdout == ""
    assert market not in aftermath.approved
    assert of_market(aftermath.cloud_then, market) != of_market(aftermath.deployed, market)


def test_nothing_is_applied_but_what_was_approved_and_the_heal_that_came_before(aftermath: Aftermath) -> None:
    assert aftermath.applies == {**dict.fromkeys(APPROVED, 1), "again": 2}


def of_market(resources: Mapping[str, Any], market: str) -> dict[str, Any]:
    return {id_: attributes for id_, attributes in resources.items() if id_.endswith(f"-{market}")}
