"""Proofs that the stand-in for the Durable Functions extension does what the real one does to the real SDK."""

# mypy: disable-error-code="no-untyped-call, untyped-decorator, import-untyped"

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest
from azure.durable_functions.models.utils import http_utils
from opentelemetry import trace

from tests.world.durable import (
    AlreadyRunningError,
    CrashedError,
    DurableFaults,
    DurableHub,
    InstanceStatus,
    NonDeterministicError,
    RuntimeStatus,
    StuckError,
    VirtualClock,
)
from tests.world.durable_history import EventType, read_timestamp
from tests.world.durable_http import SYSTEM_KEY, client_binding_json, serve_durable_http

# The SDK's advice to name types, given once a process.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type")

Steps = Generator[Any, Any, Any]
app = df.DFApp()
orchestrator = app.orchestration_trigger(context_name="context")


@orchestrator
def fan_out(context: df.DurableOrchestrationContext) -> Steps:
    doubled = yield context.task_all([context.call_activity("double", n) for n in range(context.get_input())])
    return sum(doubled)


@orchestrator
def window_of_two(context: df.DurableOrchestrationContext) -> Steps:
    """Two at a time, as one would think, by giving `task_any` what is left and one more."""
    pending = [context.call_activity("nap", name) for name in ("short", "long")]
    first = yield context.task_any(pending)
    pending.remove(first)
    yield context.task_any([*pending, context.call_activity("nap", "longest")])
    yield context.call_activity("nap", "behind")
    return "done"


@orchestrator
def family(context: df.DurableOrchestrationContext) -> Steps:
    children = [context.call_sub_orchestrator("fan_out", n, f"{context.instance_id}-{n}") for n in (2, 3)]
    children.append(context.call_sub_orchestrator("tell_parent"))
    return (yield context.task_all(children))


@orchestrator
def tell_parent(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("double", 1)
    return context.parent_instance_id


@orchestrator
def count_down(context: df.DurableOrchestrationContext) -> Steps:
    left = context.get_input()
    if left == 3:
        context.set_custom_status({"from": left})
    yield context.call_activity("double", left)
    if left:
        context.continue_as_new(left - 1)
    return f"counted to {left}"


@orchestrator
def race(context: df.DurableOrchestrationContext) -> Steps:
    nap, cancels = context.get_input()
    timeout = context.create_timer(context.current_utc_datetime + timedelta(minutes=5))
    work = context.call_activity("nap", nap)
    winner = yield context.task_any([work, timeout])
    if winner is work and cancels:
        timeout.cancel()
    return "in time" if winner is work else "too late"


@orchestrator
def wait_ten_days(context: df.DurableOrchestrationContext) -> Steps:
    yield context.create_timer(context.current_utc_datetime + timedelta(days=10))
    return "waited"


@orchestrator
def insist(context: df.DurableOrchestrationContext) -> Steps:
    options = df.RetryOptions(first_retry_interval_in_milliseconds=30_000, max_number_of_attempts=3)
    calls = [context.call_activity_with_retry("double", options, n) for n in (1, 2)]
    try:
        return (yield context.task_all(calls))
    except Exception as error:  # noqa: BLE001 (the SDK raises no other)
        return str(error)


@orchestrator
def fail(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("double", 1)
    raise ValueError("first line\nsecond line")


@orchestrator
def insist_on_a_child(context: df.DurableOrchestrationContext) -> Steps:
    options = df.RetryOptions(first_retry_interval_in_milliseconds=1_000, max_number_of_attempts=2)
    try:
        yield context.call_sub_orchestrator_with_retry("fail", options, None, "the child")
    except Exception as error:  # noqa: BLE001 (the SDK raises no other)
        return str(error).strip()


@orchestrator
def retry_past_a_race(context: df.DurableOrchestrationContext) -> Steps:
    options = df.RetryOptions(first_retry_interval_in_milliseconds=1_000, max_number_of_attempts=2)
    retried = context.call_activity_with_retry("nap", options, "short")
    yield context.task_any([context.call_activity("double", 1), retried])
    yield retried
    yield context.call_activity("double", 2)


@orchestrator
def look_at_the_clock(context: df.DurableOrchestrationContext) -> Steps:
    """Not deterministic: what it asks for depends on how often it ran."""
    runs["look_at_the_clock"] += 1
    yield context.call_activity("double", runs["look_at_the_clock"])
    return "never"


@orchestrator
def call_itself(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_sub_orchestrator("count_down", 0, context.instance_id)
    return "never"


@orchestrator
def a_day(context: df.DurableOrchestrationContext) -> Steps:
    """Something of everything, twice."""
    round_number = context.get_input() or 0
    context.set_custom_status({"round": round_number})
    first = yield context.call_activity("double", 10)
    children = [context.call_sub_orchestrator("fan_out", n, f"{context.instance_id}-{n}") for n in (1, 2)]
    sums = yield context.task_all(children)
    options = df.RetryOptions(first_retry_interval_in_milliseconds=1_000, max_number_of_attempts=2)
    tried = yield context.call_activity_with_retry("double", options, 20)
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    late = context.create_timer(context.current_utc_datetime + timedelta(hours=9))
    work = context.call_activity("double", 30)
    yield context.task_any([work, late])
    late.cancel()
    if round_number < 1:
        context.continue_as_new(round_number + 1)
        return None
    return [first, sums, tried, work.result, round_number]


runs: Counter[str] = Counter()
ORCHESTRATORS = {builder._function._name: builder._function._func for builder in app._function_builders}


class AppHost:
    """Runs the orchestrators above with the real SDK, and two activities."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.executed: list[Any] = []
        self.traceparents: list[str | None] = []

    async def orchestrate(self, name: str, body: str, traceparent: str | None) -> str:
        self.traceparents.append(traceparent)
        return str(ORCHESTRATORS[name](body))

    async def act(self, name: str, input_json: str, traceparent: str | None) -> str:
        self.traceparents.append(traceparent)
        value = json.loads(input_json)
        self.executed.append(value)
        if name == "double":
            return json.dumps(value * 2)
        await self.clock.sleep({"short": 60, "long": 120, "longest": 3600}.get(value, 1))
        return json.dumps(value)


class PlainHost:
    """A fan-out of `double`, without the SDK."""

    async def orchestrate(self, name: str, body: str, traceparent: str | None) -> str:
        context = json.loads(body)
        width = json.loads(context["input"])
        done = sum(one["EventType"] == EventType.TASK_COMPLETED for one in context["history"]) == width
        calls = [{"actionType": 0, "functionName": "double", "input": f"{n}"} for n in range(width)]
        actions = [[{"actionType": 12, "compoundActions": calls}]]
        return json.dumps({"isDone": done, "schemaVersion": 2, "actions": actions})

    async def act(self, name: str, input_json: str, traceparent: str | None) -> str:
        await asyncio.sleep(0)
        return input_json


async def run(hub: DurableHub, name: str, value: Any = None) -> InstanceStatus:
    await hub.start(name, name, json.dumps(value))
    return await hub.run(name)


def types_of(hub: DurableHub, instance_id: str) -> list[EventType]:
    return [EventType(one["EventType"]) for one in hub.history(instance_id)]


async def test_a_fan_out_runs_all_its_activities_at_once() -> None:
    hub = DurableHub(AppHost())
    status = await run(hub, "fan_out", 40)
    assert (status.runtime_status, status.output) == (RuntimeStatus.COMPLETED, sum(range(40)) * 2)
    assert hub.most_activities_at_once == {"double": 40}
    assert hub.measures()[0].generation_event_counts == (hub.total_events,)
    played = {EventType(one["EventType"]) for one in hub.history("fan_out") if one["IsPlayed"]}
    assert played == {EventType.EXECUTION_STARTED, EventType.TASK_COMPLETED}


async def test_activities_wait_for_a_place() -> None:
    hub = DurableHub(AppHost(), activities_at_once=7)
    assert (await run(hub, "fan_out", 40)).output == sum(range(40)) * 2
    assert hub.most_activities_at_once == {"double": 7}


async def test_an_orchestrator_may_be_called_for_each_completion() -> None:
    together, apart = DurableHub(AppHost()), DurableHub(AppHost(), messages_at_once=1)
    assert (await run(together, "fan_out", 20)).output == (await run(apart, "fan_out", 20)).output
    assert together.measures()[0].episode_count == 2
    assert apart.measures()[0].episode_count == 21


async def test_an_action_behind_one_that_is_not_done_is_not_scheduled() -> None:
    """The second `task_any` becomes an action of its own, of 'longest' alone, and the extension awaits that."""
    host = AppHost()
    hub = DurableHub(host, clock=host.clock)
    started = host.clock()
    assert (await run(hub, "window_of_two")).output == "done"
    assert host.executed == ["short", "long", "longest", "behind"]
    scheduled_at = [one["Timestamp"] for one in hub.history("window_of_two") if one.get("Name") == "nap"]
    after_seconds = [(read_timestamp(at) - started).total_seconds() for at in scheduled_at]
    assert [round(seconds) for seconds in after_seconds] == [0, 0, 60, 60 + 3600]


async def test_sub_orchestrations_are_instances_that_answer_their_parent() -> None:
    hub = DurableHub(AppHost())
    assert (await run(hub, "family")).output == [2, 6, "family"]
    assert [hub.status(child) is not None for child in ("family-2", "family-3")] == [True, True]
    assert types_of(hub, "family").count(EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED) == 3


async def test_continuing_as_new_replaces_history_and_input() -> None:
    hub = DurableHub(AppHost())
    status = await run(hub, "count_down", 3)
    assert (status.output, status.input_json, status.custom_status) == ("counted to 0", "0", {"from": 3})
    (measures,) = hub.measures()
    assert len(measures.generation_event_counts) == 4
    assert sum(measures.generation_event_counts) == hub.total_events


async def test_an_uncancelled_timer_holds_its_instance_open() -> None:
    for cancels, least, most in ((True, timedelta(0), timedelta(seconds=2)), (False, timedelta(minutes=5), None)):
        host = AppHost()
        hub, started = DurableHub(host, clock=host.clock), host.clock()
        assert (await run(hub, "race", ["quick", cancels])).output == "in time"
        took = host.clock() - started
        assert took >= least
        assert most is None or took < most
        assert [timer.delay_seconds for timer in hub.timers] == [300]


async def test_a_timer_overtakes_an_activity_that_takes_longer() -> None:
    host = AppHost()
    assert (await run(DurableHub(host, clock=host.clock), "race", ["longest", True])).output == "too late"


async def test_a_long_timer_is_made_of_short_ones() -> None:
    hub = DurableHub(AppHost())
    assert (await run(hub, "wait_ten_days")).output == "waited"
    days = [round(timer.delay_seconds / 86_400, 3) for timer in hub.timers]
    assert days == [3, 3, 4]


async def test_a_failed_activity_is_tried_again_after_a_timer() -> None:
    faults = DurableFaults()
    faults.fail_first(3, "double")
    hub = DurableHub(AppHost(), faults=faults)
    assert (await run(hub, "insist")).output == [2, 4]
    assert [timer.delay_seconds for timer in hub.timers] == [30, 30, 30]
    assert types_of(hub, "insist").count(EventType.TASK_FAILED) == 3


async def test_the_last_failure_is_the_orchestrators() -> None:
    faults = DurableFaults()
    faults.fail_first(3, lambda call: call.input_json == "2", when="after")
    host = AppHost()
    output = (await run(DurableHub(host, faults=faults), "insist")).output
    assert "Activity function 'double' failed: InjectedFailureError: after the activity ran" in output
    assert sorted(host.executed) == [1, 2, 2, 2]


async def test_an_orchestrator_that_raises_ends_as_failed() -> None:
    status = await run(DurableHub(AppHost()), "fail")
    assert (status.runtime_status, status.output) == (RuntimeStatus.FAILED, "first line")


async def test_another_answer_than_before_is_not_deterministic() -> None:
    with pytest.raises(NonDeterministicError, match=r"answered .*'input': '2'.* had answered .*'input': '1'"):
        await run(DurableHub(AppHost()), "look_at_the_clock")


async def test_another_answer_than_the_history_says_is_not_deterministic() -> None:
    faults = DurableFaults()
    faults.crash_after(4)
    hub = DurableHub(AppHost(), faults=faults)
    with pytest.raises(CrashedError):
        await run(hub, "look_at_the_clock")
    restored = DurableHub.restore(hub.snapshot(), AppHost())
    with pytest.raises(NonDeterministicError, match="the history has"):
        await restored.run("look_at_the_clock")


async def test_a_retry_that_outlives_its_race_does_not_replay() -> None:
    """Replayed in full, the action after the race comes before the retry's timer, and takes its id."""
    host, faults = AppHost(), DurableFaults()
    faults.fail_first(1, "nap", when="after")
    hub = DurableHub(host, clock=host.clock, faults=faults)
    with pytest.raises(NonDeterministicError, match=r"the history has .*'FireAt'.* and the replay .*'double'"):
        await run(hub, "retry_past_a_race")


async def test_a_child_with_the_id_of_a_running_instance_fails() -> None:
    status = await run(DurableHub(AppHost()), "call_itself")
    assert status.output == "An Orchestration instance with the status Running already exists."


async def test_what_would_wait_for_ever_is_told() -> None:
    class SilentHost(AppHost):
        async def orchestrate(self, name: str, body: str, traceparent: str | None) -> str:
            return '{"isDone": false, "schemaVersion": 2, "actions": [[]]}'

    with pytest.raises(StuckError, match="waits for ever"):
        await run(DurableHub(SilentHost()), "silent")


@pytest.mark.parametrize("at_once", [False, True], ids=["in turn", "at once"])
async def test_a_call_that_is_delivered_twice_counts_once(at_once: bool) -> None:
    faults = DurableFaults()
    faults.deliver_twice(lambda call: call.input_json == "3", at_once=at_once)
    host = AppHost()
    hub = DurableHub(host, faults=faults)
    assert (await run(hub, "fan_out", 5)).output == 20
    assert Counter(host.executed) == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1}
    assert types_of(hub, "fan_out").count(EventType.TASK_COMPLETED) == 5
    assert hub.most_activities_at_once == {"double": 6 if at_once else 5}


@pytest.mark.parametrize(
    ("name", "output", "messages_at_once"),
    [
        ("a_day", [20, [0, 2], 40, 60, 1], None),
        ("a_day", [20, [0, 2], 40, 60, 1], 1),
        ("window_of_two", "done", None),
        ("insist_on_a_child", "Sub-orchestrator function 'fail' failed: first line", None),
    ],
)
async def test_a_crash_after_any_event_changes_no_output(name: str, output: Any, messages_at_once: int | None) -> None:
    whole_host = AppHost()
    whole = DurableHub(whole_host, clock=whole_host.clock, messages_at_once=messages_at_once)
    expected = await run(whole, name)
    assert expected.output == output
    for event_count in range(1, whole.total_events + 1):
        host, faults = AppHost(), DurableFaults()
        hub = DurableHub(host, clock=host.clock, faults=faults, messages_at_once=messages_at_once)
        await hub.start(name, name, "null")
        # A second crash soon after the first, where the first episode anew may not have been closed.
        for crash in (event_count, event_count + 4):
            faults.crash_after(crash)
            with suppress(CrashedError):
                await hub.run_until_idle()
            saved = hub.snapshot()
            hub = DurableHub.restore(saved, host, clock=host.clock, faults=faults, messages_at_once=messages_at_once)
        status = await hub.run(name)
        assert (status.output, status.custom_status) == (output, expected.custom_status)
        assert {one.instance_id for one in hub.measures()} == {one.instance_id for one in whole.measures()}
        assert Counter(host.executed) >= Counter(whole_host.executed)


async def test_what_was_sent_before_a_crash_stays_sent() -> None:
    """The fourth event schedules the second of three activities: both are sent, and all are sent anew."""
    host, faults = AppHost(), DurableFaults()
    faults.crash_after(4)
    hub = DurableHub(host, faults=faults)
    with pytest.raises(CrashedError):
        await run(hub, "fan_out", 3)
    assert host.executed == []
    assert (await DurableHub.restore(hub.snapshot(), host).run("fan_out")).output == 6
    assert Counter(host.executed) == {0: 2, 1: 2, 2: 1}


async def test_a_completion_that_was_not_kept_is_made_again() -> None:
    """The eighth event keeps the completion of 1. That of 2 was on its way, and 0 was still at work."""

    class StallingHost(AppHost):
        async def act(self, name: str, input_json: str, traceparent: str | None) -> str:
            if input_json == "0":
                await asyncio.Event().wait()
            return await super().act(name, input_json, traceparent)

    stalling, host, faults = StallingHost(), AppHost(), DurableFaults()
    faults.crash_after(8)
    hub = DurableHub(stalling, faults=faults)
    with pytest.raises(CrashedError):
        await run(hub, "fan_out", 3)
    assert stalling.executed == [1, 2]
    assert (await DurableHub.restore(hub.snapshot(), host).run("fan_out")).output == 6
    assert host.executed == [0, 2]


async def test_only_an_instance_that_has_ended_is_replaced() -> None:
    hub = DurableHub(AppHost())
    await hub.start("fan_out", "one", "2")
    with pytest.raises(AlreadyRunningError, match="status Pending already exists"):
        await hub.start("fan_out", "one", "3")
    assert (await hub.run("one")).output == 2
    await hub.start("fan_out", "one", "3")
    assert (await hub.run("one")).output == 6


async def test_the_largest_payload_and_body_are_measured() -> None:
    hub = DurableHub(AppHost())
    await hub.start("tell_parent", "é" * 500, json.dumps("é" * 1000))
    await hub.run_until_idle()
    (measures,) = hub.measures()
    assert measures.largest_payload_bytes == len(json.dumps(json.dumps("é" * 1000)))
    assert measures.largest_body_bytes > 2 * measures.largest_payload_bytes


@pytest.fixture
async def client_session() -> AsyncIterator[None]:
    """The SDK keeps one session for the process, which must not outlive the loop that it was made in."""
    yield
    await http_utils._close_session()


async def test_the_sdks_client_starts_and_asks(client_session: None) -> None:
    host = AppHost()
    hub = DurableHub(host)
    async with serve_durable_http(hub) as base_url, hub.running():
        client = df.DurableOrchestrationClient(client_binding_json(base_url))
        assert not await client.get_status("unknown")
        hub.hold()
        assert await client.start_new("fan_out", "today", 3) == "today"
        pending = await client.get_status("today")
        assert pending
        assert (pending.runtime_status.value, pending.output, pending.input_) == ("Pending", None, "3")
        with pytest.raises(Exception, match="Orchestration instance with the status Pending already exists"):
            await client.start_new("fan_out", "today", 4)
        hub.hold(only_activities=True)
        while (running := await client.get_status("today")).runtime_status.value == "Pending":
            pass
        assert running.runtime_status.value == "Running"
        with pytest.raises(Exception, match="412"):
            await client.purge_instance_history("today")
        hub.release()
        assert (await hub.run("today")).output == 6
        ended = await client.get_status("today", show_history=True)
        assert (ended.runtime_status.value, ended.output, ended.name) == ("Completed", 6, "fan_out")
        assert ended.historyEvents[1]["EventType"] == "ExecutionStarted"
        assert (await client.purge_instance_history("today")).instances_deleted == 1
        assert (await client.purge_instance_history("today")).instances_deleted == 0


async def test_what_breaks_a_hub_in_the_background_is_raised() -> None:
    faults = DurableFaults()
    faults.crash_after(3)
    hub = DurableHub(AppHost(), faults=faults)

    async def run_in_background() -> None:
        async with hub.running():
            await hub.start("fan_out", "one", "2")
            with pytest.raises(CrashedError):
                await hub.run("one")

    with pytest.raises(CrashedError):
        await run_in_background()
    with pytest.raises(CrashedError):
        await hub.start("fan_out", "two", "2")


async def test_a_trace_goes_on_into_every_function(client_session: None) -> None:
    host = AppHost()
    hub = DurableHub(host)
    span = trace.SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    async with serve_durable_http(hub) as base_url, hub.running():
        client = df.DurableOrchestrationClient(client_binding_json(base_url))
        with trace.use_span(trace.NonRecordingSpan(span)):
            await client.start_new("family", "traced")
        await hub.run("traced")
    assert len(host.traceparents) > 5
    assert {(one or "").split("-")[1] for one in host.traceparents} == {f"{0xABC:032x}"}
    assert len(set(host.traceparents)) == len(host.traceparents)


async def test_the_management_urls_hold_the_system_key() -> None:
    payload = df.DurableOrchestrationClient(client_binding_json("http://127.0.0.1:1")).create_http_management_payload(
        "x"
    )
    assert payload.pop("id") == "x"
    assert [SYSTEM_KEY in url and "/instances/x" in url for url in payload.values()] == [True] * 8


async def test_ten_thousand_activities_take_seconds() -> None:
    """Without the SDK, whose own replay of a history costs far more than the hub's."""
    hub = DurableHub(PlainHost(), messages_at_once=50)
    began = time.monotonic()
    for number in range(20):
        await hub.start("fan_out", f"{number}", "500")
    await hub.run_until_idle()
    assert hub.total_events > 20_000
    assert time.monotonic() - began < 20
