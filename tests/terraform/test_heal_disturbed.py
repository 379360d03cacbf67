"""What can come between a check and its heal: messages that are none, a cloud that is another one, a pause, and five failures.

One estate on disk, in which each of these has markets of its own and its own turn at the queue.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from drift.decide import job_id
from records.heals import MESSAGE_MAX_BYTES, MOST_TRIES
from tests.terraform.checked_estate import rule
from tests.terraform.healed_estate import HEALING, STACK, HealedEstate, healed_estate, read_json
from tests.world.commands import Ended
from tests.world.sim_cloud import using_azsim

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(300)]

ENVIRONMENT: Final = {**HEALING, "FLEET_PERCENT": "100"}
RULE_MODEL, ACCOUNT_MODEL, GATEWAY_MODEL = "model", "other", "third"
SHORT, LONG = "0.125", "3"
ACCOUNT: Final = using_azsim() + (
    f'resource "azsim_storage_account" "main" {{\n  name = "st-{ACCOUNT_MODEL}"\n  resource_group_name = "rg"\n}}\n'
)
GATEWAY: Final = using_azsim() + (
    f'resource "azsim_virtual_network_gateway" "main" {{\n  name = "gw-{GATEWAY_MODEL}"\n  resource_group_name = "rg"\n'
    f'  sku = "VpnGw1"\n  provisioning_seconds = {SHORT}\n}}\n'
)
GOOD, CHANGED, UNDONE, LATE, NEXT = "good", "changed", "undone", "late", "next"
BROKEN, SLOW = "broken", "slow"
SECRET: Final = "planted-in-a-message"

Jobs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Aftermath:
    """``bad`` are the messages that name no job, ``refused`` what was said of them, in the order in which they were taken."""

    while_paused: Jobs
    failures: Sequence[Ended]
    after_the_fifth: Mapping[str, Any]
    retried: Jobs
    bad: Sequence[str]
    refused: Sequence[str]
    taken: Jobs
    taken_output: str
    is_untouched: Mapping[str, bool]
    looked_at_again: Jobs
    steps_of_the_broken: Sequence[str]
    applies: Mapping[str, int]
    verdicts: Mapping[str, str]


@pytest.fixture(scope="module")
def aftermath() -> Iterator[Aftermath]:
    with healed_estate() as estate:
        estate.deploy({RULE_MODEL: rule(f"ssh-{RULE_MODEL}"), ACCOUNT_MODEL: ACCOUNT, GATEWAY_MODEL: GATEWAY})
        estate.copy(RULE_MODEL, GOOD, CHANGED, UNDONE, LATE, NEXT)
        estate.copy(ACCOUNT_MODEL, BROKEN)
        estate.copy(GATEWAY_MODEL, SLOW, also={SHORT: LONG})
        for market in (GOOD, CHANGED, UNDONE, LATE, NEXT):
            estate.cloud.change(ssh(market), access="Allow")
        estate.cloud.delete(f"azsim_storage_account.st-{BROKEN}")
        estate.cloud.change(f"azsim_virtual_network_gateway.gw-{SLOW}", sku="VpnGw3")
        assert len(estate.check(environment=ENVIRONMENT)) == len(estate.messages()) + 3

        with alone_in_the_queue(estate, SLOW, NEXT):
            while_paused = heal_while_somebody_pauses(estate)
        with alone_in_the_queue(estate, BROKEN):
            failures, after_the_fifth, retried = fail_until_it_is_mended(estate)
        bad = put_bad_messages(estate)
        estate.cloud.change(ssh(CHANGED), priority=4000)
        estate.cloud.change(ssh(UNDONE), access="Deny")
        before = estate.cloud.snapshot()
        ended = estate.commands.run("drift", "heal", "--format", "json", environment=ENVIRONMENT)
        answer, cloud = json.loads(ended.stdout), estate.cloud.snapshot()
        estate.check("--market", CHANGED, environment=ENVIRONMENT)
        yield Aftermath(
            while_paused=while_paused,
            failures=failures,
            after_the_fifth=after_the_fifth,
            retried=retried,
            bad=bad,
            refused=answer["refused"],
            taken={job["job"]["market"]: job for job in answer["jobs"]},
            taken_output=ended.stdout + ended.stderr,
            is_untouched={
                market: of_market(before, market) == of_market(cloud, market) for market in (CHANGED, UNDONE, LATE)
            },
            looked_at_again=estate.heal(ENVIRONMENT),
            steps_of_the_broken=estate.steps(BROKEN),
            applies=estate.applies(),
            verdicts=estate.verdicts(),
        )


@contextmanager
def alone_in_the_queue(estate: HealedEstate, *markets: str) -> Iterator[None]:
    """The messages of these, delivered in this order."""
    of_market = {read_json(message)["market"]: message for message in estate.messages()}
    others = [message for market, message in of_market.items() if market not in markets]
    for message in others:
        message.rename(message.with_suffix(".aside"))
    for age, market in enumerate(markets):
        os.utime(of_market[market], (age, age))
    yield
    for message in others:
        message.with_suffix(".aside").rename(message)


def heal_while_somebody_pauses(estate: HealedEstate) -> Jobs:
    worker = estate.commands.start("drift", "heal", "--format", "json", environment=ENVIRONMENT)
    estate.cloud.wait_until_provisioning()
    assert estate.commands.pull("pause").status == 0
    answer = estate.commands.wait(worker).answer
    assert estate.commands.pull("resume").status == 0
    return {job["job"]["market"]: job for job in answer["jobs"]}


def fail_until_it_is_mended(estate: HealedEstate) -> tuple[list[Ended], dict[str, Any], Jobs]:
    """The heal cannot be put on record while there is no log of records to write it into."""
    log = estate.disk.root / "tables/recordlog" / BROKEN
    log.rename(log.with_suffix(".aside"))
    log.write_text("no folder")
    heal = ("drift", "heal", "--format", "json")
    failures = [estate.commands.run(*heal, environment=ENVIRONMENT) for _ in range(MOST_TRIES)]
    after_the_fifth = {
        "queue": [read_json(message)["market"] for message in estate.messages()],
        "poison": [read_json(message)["market"] for message in estate.poison.glob("*.json")],
        "step": estate.steps(BROKEN)[-1],
        "taken": estate.heal(ENVIRONMENT),
    }
    log.unlink()
    log.with_suffix(".aside").rename(log)
    job = json.loads(next(estate.poison.glob("*.json")).read_text())["job_id"]
    assert estate.commands.pull("retry", job).status == 0
    return failures, after_the_fifth, estate.heal(ENVIRONMENT)


def put_bad_messages(estate: HealedEstate) -> list[str]:
    """Before all others. One that has expired is a job's own, which was queued long ago."""
    messages = {read_json(message)["market"]: message for message in estate.messages()}
    good, changed = read_json(messages[GOOD]), read_json(messages[CHANGED])
    late = read_json(messages[LATE]) | {"queued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T02:00:00Z"}
    messages[LATE].write_text(json.dumps(late), encoding="utf-8")
    row = estate.disk.root / "tables/heals" / LATE / STACK / f"{late['job_id']}.json"
    row.write_text(json.dumps(read_json(row) | {"job": late}), encoding="utf-8")
    elsewhere = good | {"market": "nowhere"}
    named = ("market", "stack", "lineage", "serial", "fingerprint")
    bad = {
        "malformed": f'{{"market": "{SECRET}"',
        "of another version": json.dumps(good | {"schema_version": 2}),
        "oversized": json.dumps(good | {"padding": SECRET * MESSAGE_MAX_BYTES}),
        "with the drift of another stack": json.dumps(good | {"fingerprint": "0" * 64}),
        "with the bundle of another stack": json.dumps(good | {"bundle_sha256": changed["bundle_sha256"]}),
        "for a stack of which the ledger knows nothing": json.dumps(
            elsewhere | {"job_id": job_id(**{name: elsewhere[name] for name in named})}
        ),
    }
    for age, (name, text) in enumerate(bad.items()):
        file = Path(estate.queue / f"{name}.json")
        file.write_text(text, encoding="utf-8")
        os.utime(file, (age, age))
    return list(bad)


def ssh(market: str) -> str:
    return f"azsim_network_security_rule.ssh-{market}"


def of_market(resources: Mapping[str, Any], market: str) -> dict[str, Any]:
    return {id_: attributes for id_, attributes in resources.items() if id_.endswith(f"-{market}")}


SAYS: Final = {
    "malformed": "it is no heal job of schema 1: JSON",
    "of another version": "it is no heal job of schema 1: schema_version",
    "oversized": f"it has more than {MESSAGE_MAX_BYTES:,} bytes",
    "with the drift of another stack": "its job_id is not that of what it says",
    "with the bundle of another stack": "it is not what the ledger says of this job",
    "for a stack of which the ledger knows nothing": "the ledger has no such job",
}


@pytest.mark.parametrize("name", SAYS)
def test_a_message_is_refused_by_name(name: str, aftermath: Aftermath) -> None:
    assert aftermath.refused[aftermath.bad.index(name)] == SAYS[name]
    assert len(aftermath.refused) == len(aftermath.bad)


def test_nothing_of_a_message_that_is_refused_is_told(aftermath: Aftermath) -> None:
    assert SECRET not in aftermath.taken_output


def test_a_message_that_has_expired_ends_its_job(aftermath: Aftermath) -> None:
    assert aftermath.taken[LATE]["step"] == "expired"
    assert aftermath.is_untouched[LATE]
    assert LATE not in aftermath.applies


def test_the_queue_goes_on_to_what_is_well(aftermath: Aftermath) -> None:
    assert aftermath.taken.keys() == {GOOD, CHANGED, UNDONE, LATE}
    assert (aftermath.taken[GOOD]["step"], aftermath.applies[GOOD]) == ("verified", 1)
    assert aftermath.verdicts[GOOD] == "healthy"


@pytest.mark.parametrize(
    "market",
    [pytest.param(CHANGED, id="it is changed once more"), pytest.param(UNDONE, id="somebody puts it back by hand")],
)
def test_a_cloud_that_is_another_one_since_the_check_is_left_as_it_is(market: str, aftermath: Aftermath) -> None:
    assert aftermath.taken[market]["step"] == "superseded"
    assert aftermath.is_untouched[market]
    assert [event["step"] for event in aftermath.taken[market]["events"]] == ["queued", "begun", "superseded"]


def test_what_is_there_now_is_healed_when_it_was_judged_in_its_turn(aftermath: Aftermath) -> None:
    assert aftermath.looked_at_again.keys() == {CHANGED}
    assert aftermath.looked_at_again[CHANGED]["step"] == "verified"
    assert aftermath.looked_at_again[CHANGED]["job"]["job_id"] != aftermath.taken[CHANGED]["job"]["job_id"]
    assert (aftermath.applies[CHANGED], UNDONE in aftermath.applies) == (1, False)


def test_a_pause_on_another_process_is_in_force_before_the_next_apply_and_stops_none(aftermath: Aftermath) -> None:
    slow, following = aftermath.while_paused[SLOW], aftermath.while_paused[NEXT]
    assert (slow["step"], aftermath.applies[SLOW]) == ("verified", 1)
    assert (following["step"], following["reason"], NEXT in aftermath.applies) == ("held", "paused", False)
    assert "alice@example.com paused healing" in following["events"][-1]["note"]


def test_five_failures_are_poison_and_nothing_is_tried_again_by_itself(aftermath: Aftermath) -> None:
    assert len(aftermath.failures) == MOST_TRIES
    for ended in aftermath.failures:
        assert ended.status == 2
        assert "recordlog" in json.loads(ended.stdout)["problems"][0]
    assert aftermath.after_the_fifth == {"queue": [], "poison": [BROKEN], "step": "failed", "taken": {}}


def test_mended_and_retried_it_is_healed_and_was_applied_but_once(aftermath: Aftermath) -> None:
    assert aftermath.retried[BROKEN]["step"] == "verified"
    assert aftermath.applies[BROKEN] == 1
    assert aftermath.verdicts[BROKEN] == "healthy"
    assert aftermath.steps_of_the_broken[-5:] == ["failed", "retry", "queued", "begun", "verified"]
