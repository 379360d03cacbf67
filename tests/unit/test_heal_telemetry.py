"""What a heal tells Azure Monitor, held to docs/telemetry.md, and that telling it costs nothing."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from adapters import telemetry_names
from adapters.heal_telemetry import NoHealTelemetry, OpenTelemetryOfHeals
from drift.service import healing
from drift.service.levers_http import ROUTES
from records.heal_ledger import ENDED, Approval, HealRow, HealStep, OwnLock
from records.heals import HealJob
from records.plan_checks import HoldReason
from tests.service_world import SIX

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
BEFORE, _, OF_HEALS = DOCUMENT.partition("\n## Heals\n")
OF_CHECKS: Final = BEFORE.partition("\n## Plan checks\n")[2]
METRICS: Final = "metric | unit | dimensions | says"
EVENTS: Final = "event | attribute | type | says"
SPANS: Final = "span | attributes | is"
EVENT_NAME: Final = "microsoft.custom_event.name"
TYPES: Final[dict[str, Any]] = {"text": str, "whole number": int, "number": (int, float)}
SHARED: Final = {"trueup.market", "trueup.stack", "trueup.plan_run.id"}
CANARY: Final = "canary-5a7f0c"
JOB_ID: Final = "0b" * 32
FINGERPRINT: Final = "f1" * 32
JOB: Final = HealJob(
    job_id=JOB_ID,
    market="emea/fr",
    stack="network",
    lineage=CANARY,
    serial=42,
    bundle_sha256="b" * 64,
    fingerprint=FINGERPRINT,
    addresses=(f"azurerm_subnet.{CANARY}",),
    queued_at=SIX,
    expires_at=SIX + timedelta(hours=2),
)


def row(*steps: HealStep, reason: HoldReason | None = None, **changes: Any) -> HealRow:
    """A job that has taken these steps, a minute each, with a sentence at each of them."""
    made = HealRow(job=JOB, step=HealStep.QUEUED, run_id="plans-1", own_lock=OwnLock(id=CANARY, who=CANARY))
    for minute, step in enumerate((HealStep.QUEUED, *steps)):
        made = made.moved(step, at=SIX + timedelta(minutes=minute), by=CANARY, note=CANARY)
    return made.model_copy(update={"reason": reason, **changes})


APPLIED: Final = (HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.APPLIED)
VERIFIED: Final = row(*APPLIED, HealStep.VERIFIED)
HELD: Final = row(
    HealStep.BEGUN,
    HealStep.HELD,
    reason=HoldReason.OSCILLATING,
    approvals=(Approval(reason=HoldReason.PROTECTED, by=CANARY, at=SIX),),
)
ENDS: Final = (
    VERIFIED,
    row(*APPLIED, HealStep.NOT_CONVERGED),
    row(HealStep.BEGUN, HealStep.SUPERSEDED),
    HELD,
    row(HealStep.EXPIRED),
    row(HealStep.BEGUN, HealStep.FAILED),
)


@dataclass(slots=True)
class Watched(logging.Handler):
    """All that a telemetry of its own emits."""

    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    records: list[logging.LogRecord] = field(default_factory=list)
    logger: logging.Logger = field(init=False)
    meters: MeterProvider = field(init=False)
    telemetry: OpenTelemetryOfHeals = field(init=False)

    def __post_init__(self) -> None:
        logging.Handler.__init__(self)
        self.logger = logging.Logger("events-of-a-test")
        self.logger.addHandler(self)
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.telemetry = OpenTelemetryOfHeals(meter_provider=self.meters, events=self.logger)

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def points(self) -> list[tuple[str, str, dict[str, Any], Any]]:
        data = self.reader.get_metrics_data()
        return [
            (metric.name, metric.unit or "", dict(point.attributes or {}), point)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (
                vars(record)[EVENT_NAME],
                {name: value for name, value in vars(record).items() if name.startswith("trueup.")},
            )
            for record in self.records
        ]

    def everything(self) -> str:
        data = self.reader.get_metrics_data()
        return f"{data.to_json() if data else ''}\n{[vars(record) for record in self.records]}"


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.meters.shutdown()


async def tell_everything(watched: Watched) -> None:
    await watched.telemetry.heal_moved(row=VERIFIED)
    await watched.telemetry.heal_moved(row=HELD)
    await watched.telemetry.message_refused(why="the ledger has no such job")


def documented(text: str, header: str) -> list[list[str]]:
    """The cells of the table of this header, without code marks."""
    rows = text.partition(f"| {header} |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert rows, header
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


class TestTheDocument:
    async def test_has_each_metric_with_its_unit_and_dimensions(self, watched: Watched) -> None:
        await tell_everything(watched)
        told = {(name, unit, frozenset(attributes)) for name, unit, attributes, _ in watched.points()}
        rows = documented(OF_HEALS, METRICS)
        assert told == {(name, unit, frozenset(dimensions.split(", "))) for name, unit, dimensions, _ in rows}

    async def test_has_each_event_with_its_attributes_and_their_types(self, watched: Watched) -> None:
        await tell_everything(watched)
        types = {(row[0], row[1]): row[2] for row in documented(OF_HEALS, EVENTS)}
        told = watched.events()
        assert {(event, attribute) for event, attributes in told for attribute in attributes} == types.keys()
        for event, attributes in told:
            for attribute, value in attributes.items():
                assert isinstance(value, TYPES[types[event, attribute]]), attribute

    def test_lists_the_steps_that_a_worker_ends_a_job_with(self) -> None:
        (listed,) = [line for line in OF_HEALS.splitlines() if "How it ended" in line]
        assert set(re.findall(r"`(\w+)`", listed.partition("How it ended")[2])) == {ended.step for ended in ENDS}

    def test_shares_no_name_with_the_rest_but_those_of_a_stack_and_of_a_run(self) -> None:
        def names_in(text: str) -> set[str]:
            told = {name for row in documented(text, METRICS) for name in (row[0], *row[2].split(", "))}
            return told | {name for row in documented(text, EVENTS) for name in row[:2]}

        reconciling = BEFORE.partition("\n## Plan checks\n")[0]
        assert names_in(OF_HEALS) & (names_in(reconciling) | names_in(OF_CHECKS)) == SHARED

    def test_has_a_span_for_each_function(self) -> None:
        functions = {healing.HEAL, healing.FAIL, *(route.function for route in ROUTES)}
        spans = {row[0] for row in documented(OF_HEALS, SPANS)}
        assert spans == {telemetry_names.SPAN_PREFIX + function for function in functions}


class TestAHeal:
    async def test_that_ended_well(self, watched: Watched) -> None:
        await watched.telemetry.heal_moved(row=VERIFIED)
        assert watched.events() == [
            (
                "trueup.heal",
                {
                    "trueup.heal.job_id": JOB_ID,
                    "trueup.plan_run.id": "plans-1",
                    "trueup.market": "emea/fr",
                    "trueup.stack": "network",
                    "trueup.heal.step": "verified",
                    "trueup.heal.fingerprint": FINGERPRINT,
                    "trueup.heal.serial": 42,
                    "trueup.heal.attempts": 1,
                    "trueup.heal.approvals": 0,
                    "trueup.heal.duration_seconds": 300.0,
                },
            )
        ]

    async def test_that_is_held_says_why_and_what_was_overruled(self, watched: Watched) -> None:
        await watched.telemetry.heal_moved(row=HELD)
        ((_, event),) = watched.events()
        assert (event["trueup.heal.reason"], event["trueup.heal.approvals"]) == ("oscillating", 1)

    @pytest.mark.parametrize("ended", ENDS, ids=lambda ended: str(ended.step))
    async def test_is_counted_and_timed_by_how_it_ended(self, watched: Watched, ended: HealRow) -> None:
        await watched.telemetry.heal_moved(row=ended)
        dimensions = {"trueup.market": "emea/fr", "trueup.heal.step": str(ended.step)}
        told = {name: point for name, _, attributes, point in watched.points() if attributes == dimensions}
        assert told["trueup.heals"].value == 1
        assert (told["trueup.heal.duration"].count, told["trueup.heal.duration"].sum) == (
            1,
            60.0 * (len(ended.events) - 1),
        )

    @pytest.mark.parametrize(
        ("steps", "attempts"),
        [
            pytest.param((HealStep.EXPIRED,), 0, id="never begun"),
            pytest.param((HealStep.BEGUN, HealStep.BEGUN, HealStep.BEGUN, HealStep.FAILED), 3, id="by three workers"),
            pytest.param(
                (HealStep.BEGUN, HealStep.HELD, HealStep.QUEUED, HealStep.BEGUN, HealStep.HELD), 1, id="once approved"
            ),
        ],
    )
    async def test_counts_the_workers_of_its_last_message(
        self, watched: Watched, steps: tuple[HealStep, ...], attempts: int
    ) -> None:
        await watched.telemetry.heal_moved(row=row(*steps))
        ((_, event),) = watched.events()
        assert event["trueup.heal.attempts"] == attempts

    async def test_takes_no_time_where_two_clocks_disagree(self, watched: Watched) -> None:
        late = JOB.model_copy(update={"queued_at": SIX + timedelta(hours=1)})
        await watched.telemetry.heal_moved(row=row(HealStep.EXPIRED, job=late))
        ((_, event),) = watched.events()
        assert event["trueup.heal.duration_seconds"] == 0

    async def test_of_which_no_step_is_known_is_told_without_a_time(self, watched: Watched) -> None:
        await watched.telemetry.heal_moved(row=row(HealStep.EXPIRED, events=()))
        ((_, event),) = watched.events()
        assert "trueup.heal.duration_seconds" not in event
        assert [name for name, *_ in watched.points()] == ["trueup.heals"]

    async def test_tells_no_sentence_no_address_and_nobody_s_name(
        self, watched: Watched, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        await tell_everything(watched)
        assert CANARY in VERIFIED.model_dump_json()
        assert JOB_ID in watched.everything()
        assert CANARY not in watched.everything() + caplog.text

    async def test_costs_nothing_where_it_cannot_be_told(
        self, watched: Watched, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise RuntimeError(CANARY)

        monkeypatch.setattr(watched.logger, "info", refuse)
        await tell_everything(watched)
        short = JOB_ID[:12]
        assert caplog.messages == [
            *[f"telemetry of heal {short} is not whole: RuntimeError"] * 2,
            "telemetry of a refused heal is not whole: RuntimeError",
        ]


class TestARefusedMessage:
    async def test_is_told_with_why(self, watched: Watched) -> None:
        await watched.telemetry.message_refused(why="it has more than 49,152 bytes")
        assert watched.events() == [
            ("trueup.heal_refused", {"trueup.heal_refused.why": "it has more than 49,152 bytes"})
        ]

    async def test_is_told_at_no_great_length(self, watched: Watched) -> None:
        await watched.telemetry.message_refused(why=", ".join(f"addresses.{place}" for place in range(20_000)))
        ((_, event),) = watched.events()
        assert len(event["trueup.heal_refused.why"]) == 500


async def test_no_telemetry_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await NoHealTelemetry().heal_moved(row=VERIFIED)
    await NoHealTelemetry().message_refused(why="it has more than 49,152 bytes")
    assert caplog.messages == []


def test_every_end_is_told_here() -> None:
    assert ENDED - {ended.step for ended in ENDS} == {HealStep.REJECTED}
