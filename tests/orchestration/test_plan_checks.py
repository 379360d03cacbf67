"""A scheduled run of plan checks from the timer to rows, queue and telemetry, and what a crash at any point leaves of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import pytest
from azure.core.pipeline.transport import AioHttpTransport

from adapters.table_names import HEALS_TABLE
from drift.service.starting import INSTANCES
from tests.orchestration.plan_check_world import CheckWorld, Rows, open_check_world
from tests.unit.planner_fake import FakePlanner, inconclusive
from tests.world.azurite import Azurite
from tests.world.durable import ActivityCall, CrashedError, DurableFaults, DurableHub, RuntimeStatus
from tests.world.durable_faults import When
from tests.world.durable_http import client_binding_json, serve_durable_http

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

CLICKED: Final = "de/network"
CLEAN: Final = "fr/network"
BROKEN: Final = "uk/network"
WHEN: Final[tuple[When, ...]] = ("before", "after")
ACTIVITIES: Final = ("list_stacks", "read_stacks", "check_stack", "conclude_checks")


@pytest.fixture
async def world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CheckWorld]:
    """Three stacks: one in which somebody clicked, a clean one, and one that Terraform cannot plan."""
    planner = FakePlanner(outcomes={"fr/network.tfstate": "no_change", "uk/network.tfstate": inconclusive()})
    async with open_check_world(azurite, monkeypatch, planner, PLAN_CHECK_WIDTH="2") as opened:
        for path in (CLICKED, CLEAN, BROKEN):
            opened.deploy(path.removesuffix("/network"))
        yield opened


@pytest.fixture
async def small_world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CheckWorld]:
    """One stack, in which somebody clicked: what is tried at every point of a run is tried often."""
    async with open_check_world(azurite, monkeypatch, FakePlanner(), PLAN_CHECK_WIDTH="1") as opened:
        opened.deploy("de")
        yield opened


def status_of(hub: DurableHub) -> RuntimeStatus:
    status = hub.status(INSTANCES[0])
    assert status is not None
    return status.runtime_status


def of_stack(path: str) -> Any:
    def matches(call: ActivityCall) -> bool:
        return call.name == "check_stack" and json.loads(call.input_json)["name"] == path

    return matches


async def undisturbed(world: CheckWorld) -> Rows:
    await world.run(world.hub())
    rows = world.rows()
    assert len(world.messages()) == 1
    world.forget()
    return rows


async def test_a_run_from_the_timer_leaves_its_rows_and_one_message(world: CheckWorld) -> None:
    hub = world.hub()
    await world.run(hub)
    assert status_of(hub) is RuntimeStatus.COMPLETED
    checks = world.checks()
    assert {path: (check["decision"], check["reason"]) for path, check in checks.items()} == {
        CLICKED: ("heal", None),
        CLEAN: ("clean", None),
        BROKEN: ("hold", "inconclusive"),
    }
    row = world.only_run()
    assert (row["status"], row["trigger"], row["queued_jobs"]) == ("finished", "timer", 1)
    assert (row["expected_stacks"], row["checked_stacks"], row["unplanned_stacks"]) == (3, 3, 1)
    (message,) = world.messages()
    assert message["job_id"] == checks[CLICKED]["job_id"]
    (heal,) = world.rows()[HEALS_TABLE]
    assert (heal["job_id"], heal["run_id"]) == (message["job_id"], row["run_id"])


async def test_a_later_run_queues_the_same_job_no_second_time(world: CheckWorld) -> None:
    await world.run(world.hub())
    world.later(minutes=30)
    await world.run(world.hub())
    assert [row["queued_jobs"] for row in world.runs().values()] == [0, 1]
    assert len(world.messages()) == len(world.rows()[HEALS_TABLE]) == 1


async def test_a_second_tick_while_a_run_is_in_work_starts_nothing(world: CheckWorld) -> None:
    hub = world.hub()
    async with serve_durable_http(hub) as url, hub.running():
        binding = client_binding_json(url)
        hub.hold(only_activities=True)
        await world.tick(binding)
        world.later(minutes=30)
        await world.tick(binding)
        hub.release()
        await hub.run_until_idle()
    assert status_of(hub) is RuntimeStatus.COMPLETED
    assert world.only_run()["status"] == "finished"
    assert len(world.messages()) == 1


async def test_a_stack_whose_check_dies_at_each_try_is_inconclusive_and_never_clean(world: CheckWorld) -> None:
    faults = DurableFaults()
    faults.fail_first(1000, of_stack(CLEAN))
    hub = world.hub(faults)
    await world.run(hub)
    assert status_of(hub) is RuntimeStatus.COMPLETED
    check = world.checks()[CLEAN]
    assert (check["decision"], check["reason"]) == ("hold", "inconclusive")
    assert "without having looked at it" in check["why"]
    row = world.only_run()
    assert (row["expected_stacks"], row["checked_stacks"]) == (3, 2)
    assert row["counts"] == {"heal": 1, "hold": 2}


async def test_an_activity_that_dies_twice_leaves_the_rows_and_the_message_of_one_that_does_not(
    small_world: CheckWorld,
) -> None:
    rows = await undisturbed(small_world)
    for activity, when in product(ACTIVITIES, WHEN):
        faults = DurableFaults()
        faults.fail_first(2, activity, when=when)
        hub = small_world.hub(faults)
        await small_world.run(hub)
        assert hub.timers != [], (activity, when)
        assert small_world.rows() == rows, (activity, when)
        assert len(small_world.messages()) == 1, (activity, when)
        small_world.forget()


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "both at once"])
async def test_activities_that_are_delivered_twice_queue_no_job_twice(world: CheckWorld, at_once: bool) -> None:
    rows = await undisturbed(world)
    faults = DurableFaults()
    faults.deliver_twice("*", at_once=at_once)
    await world.run(world.hub(faults))
    assert world.rows() == rows
    assert len(world.messages()) == 1


async def test_a_hub_that_crashes_after_any_event_queues_no_job_twice_and_ends_with_the_same_rows(
    small_world: CheckWorld,
) -> None:
    first = small_world.hub()
    await small_world.run(first)
    rows = small_world.rows()
    assert first.total_events > 25
    for event_count in range(1, first.total_events + 1):
        small_world.forget()
        faults = DurableFaults()
        faults.crash_after(event_count)
        crashing = small_world.hub(faults)
        with pytest.raises(CrashedError):
            await small_world.run(crashing)
        restored = DurableHub.restore(crashing.snapshot(), small_world.world.host, clock=crashing.clock)
        if restored.status(INSTANCES[0]) is None:
            await small_world.run(restored)
        else:
            await restored.run(INSTANCES[0])
        assert status_of(restored) is RuntimeStatus.COMPLETED, event_count
        assert small_world.rows() == rows, event_count
        assert len(small_world.messages()) == 1, event_count


@dataclass(slots=True)
class Dying:
    """Storage does what it is asked to, and whoever asked dies of the answer: once, at the write of this number."""

    dies_at: int | None = None
    writes: list[str] = field(default_factory=list)

    def answered(self, method: str, url: str) -> None:
        if method == "GET":
            return
        self.writes.append(f"{method} {url.partition('?')[0]}")
        if len(self.writes) == self.dies_at:
            raise DiedError


class DiedError(RuntimeError):
    """The process is gone."""


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Dying:
    made, send = Dying(), AioHttpTransport.send

    async def dies(self: Any, request: Any, **options: Any) -> Any:
        response = await send(self, request, **options)
        made.answered(request.method, request.url)
        return response

    monkeypatch.setattr(AioHttpTransport, "send", dies)
    return made


async def test_an_activity_that_dies_between_any_two_writes_queues_no_job_twice(
    small_world: CheckWorld, dying: Dying
) -> None:
    await small_world.run(small_world.hub())
    rows, writes = small_world.rows(), list(dying.writes)
    assert len(writes) > 10
    lost = []
    for number in range(1, len(writes) + 1):
        small_world.forget()
        dying.writes.clear()
        dying.dies_at = number
        hub = small_world.hub()
        await small_world.run(hub)
        assert len(dying.writes) > number or number == len(writes), (number, writes[number - 1])
        assert status_of(hub) is RuntimeStatus.COMPLETED, writes[number - 1]
        assert small_world.rows() == rows, writes[number - 1]
        messages = small_world.messages()
        assert len(messages) <= 1, writes[number - 1]
        if not messages:
            lost.append(number - 1)
    # Between the ledger and the queue, which the first message makes, a message is lost.
    sent = next(number for number, write in enumerate(writes) if write.endswith("/auto-apply/messages"))
    assert lost == [sent - 1, sent, sent + 1]


async def test_a_message_that_was_lost_on_the_way_is_made_up_for_once_its_job_has_expired(
    small_world: CheckWorld, dying: Dying
) -> None:
    await small_world.run(small_world.hub())
    sent = next(number for number, write in enumerate(dying.writes) if write.endswith("/auto-apply/messages"))
    small_world.forget()
    dying.writes.clear()
    dying.dies_at = sent
    await small_world.run(small_world.hub())
    assert small_world.messages() == []
    dying.dies_at = None
    small_world.later(minutes=30)
    await small_world.run(small_world.hub())
    assert small_world.messages() == []
    small_world.later(minutes=121)
    await small_world.run(small_world.hub())
    assert len(small_world.messages()) == len(small_world.rows()[HEALS_TABLE]) == 1
