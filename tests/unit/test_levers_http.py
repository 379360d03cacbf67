"""The levers of healing over HTTP: what is answered, what is refused, and that no answer hands on what it was not asked for."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast

import pytest

from answering.answers import Answer, answered
from answering.asking import MOST_BODY_BYTES
from drift.healing.delivering import Deliveries
from drift.healing.levers import Levers
from drift.service.heal_history import LARGEST_PAGE, Place, newest_heals
from drift.service.healing import HealService
from drift.service.levers_http import ROUTES, Asked
from records.errors import SettingsError, StoreError, StoreUnavailableError
from records.heal_ledger import HealRow, HealStep, Lever, LeverUse
from records.heals import HealJob
from records.plan_checks import Decision, HoldReason, StackCheck, StoredCheck
from records.verdicts import Verdict
from tests.fakes_drift import MemoryCheckStore, MemoryHealLedger, MemoryHealQueue
from tests.service_world import SIX

NOBODYS: Final = "0" * 64
SECRET: Final = "hunter2"
ANNE: Final = {"by": "anne@example.com", "reason": "the gateway's change of tonight"}
DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
OF_A_JOB: Final = ("approve_heal", "reject_heal", "retry_heal")
OF_MARKETS: Final = ("pause_heals", "resume_heals")


def job(number: int = 1, *, market: str = "de", stack: str = "network", **changes: Any) -> HealJob:
    values: dict[str, Any] = {
        "job_id": f"{number:064x}",
        "market": market,
        "stack": stack,
        "lineage": "edd2705f",
        "serial": 42,
        "bundle_sha256": "b" * 64,
        "fingerprint": "f" * 64,
        "addresses": ("azurerm_subnet.a",),
        "queued_at": SIX,
        "expires_at": SIX + timedelta(hours=2),
    }
    return HealJob(**values | changes)


def queued(of: HealJob, *, at: datetime = SIX) -> HealRow:
    return HealRow(job=of, step=HealStep.QUEUED, run_id="plans-1").moved(HealStep.QUEUED, at=at)


def held(of: HealJob, reason: HoldReason = HoldReason.APPROVAL_REQUIRED, *, at: datetime = SIX) -> HealRow:
    return queued(of).moved(HealStep.HELD, at=at, note="The policy says ask.", reason=reason)


def ended(of: HealJob, *, at: datetime, step: HealStep = HealStep.FAILED) -> HealRow:
    return queued(of, at=at - timedelta(minutes=1)).moved(step, at=at)


@dataclass(slots=True)
class Bench:
    """The levers on stores in memory, and an asker. The clock stands still unless it is moved."""

    ledger: MemoryHealLedger = field(default_factory=MemoryHealLedger)
    checks: MemoryCheckStore = field(default_factory=MemoryCheckStore)
    queue: MemoryHealQueue = field(default_factory=MemoryHealQueue)
    now: datetime = SIX
    unlisted: StoreError | None = None

    @property
    def service(self) -> HealService:
        levers = Levers(
            ledger=self.ledger,
            checks=self.checks,
            queue=self.queue,
            known_markets=self.known_markets,
            expires_after=timedelta(hours=2),
            clock=lambda: self.now,
        )
        return HealService(deliveries=cast(Deliveries, None), levers=levers)

    async def known_markets(self) -> tuple[str, ...]:
        if self.unlisted:
            raise self.unlisted
        return ("de", "emea/fr")

    async def ask(
        self, function: str, *, body: bytes = b"", job_id: str = "", query: dict[str, str] | None = None
    ) -> Answer:
        (route,) = [route for route in ROUTES if route.function == function]
        asked = Asked(body=body, job_id=job_id, query=query or {})
        return await answered(route.answer(self.service, asked))

    async def pull(self, function: str, *, number: int | None = None, **body: Any) -> Answer:
        job_id = "" if number is None else f"{number:064x}"
        return await self.ask(function, body=json.dumps(ANNE | body).encode(), job_id=job_id)

    async def put(self, *rows: HealRow) -> None:
        for row in rows:
            await self.ledger.put(row=row, replaces=None)

    async def check(self, of: HealJob, reason: HoldReason) -> None:
        check = StackCheck(
            market=of.market,
            stack=of.stack,
            decision=Decision.HOLD,
            reason=reason,
            why="The policy says ask.",
            verdict=Verdict.HEALTHY,
            lineage=of.lineage,
            serial=of.serial,
            bundle_sha256=of.bundle_sha256,
            fingerprint=of.fingerprint,
            job_id=of.job_id,
            checked_at=SIX,
        )
        await self.checks.save_check(stored=StoredCheck(check=check, run_id="plans-1", run_started_at=SIX))

    async def uses(self) -> list[LeverUse]:
        return [use async for use in self.ledger.uses()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def told(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer.body)
    return content


def kind_of(answer: Answer) -> tuple[int, str]:
    assert answer.media_type == "application/problem+json"
    return answer.status, told(answer)["type"].removeprefix("urn:trueup:problem:")


class TestHolds:
    async def test_are_told_with_why_and_whether_they_can_be_approved(self, bench: Bench) -> None:
        await bench.put(held(job(1)))
        await bench.check(job(2, market="emea/fr"), HoldReason.PROTECTED)
        answer = await bench.ask("get_holds")
        assert (answer.status, answer.media_type) == (200, "application/json")
        assert told(answer) == {
            "pauses": [],
            "holds": [
                {
                    "market": "de",
                    "stack": "network",
                    "reason": "approval_required",
                    "why": "The policy says ask.",
                    "since": "2026-11-25T06:00:00Z",
                    "job_id": job(1).job_id,
                    "can_be_approved": True,
                    "addresses": ["azurerm_subnet.a"],
                },
                {
                    "market": "emea/fr",
                    "stack": "network",
                    "reason": "protected",
                    "why": "The policy says ask.",
                    "since": "2026-11-25T06:00:00Z",
                    "job_id": job(2).job_id,
                    "can_be_approved": told(answer)["holds"][1]["can_be_approved"],
                    "addresses": [],
                },
            ],
        }

    async def test_come_with_the_pauses_the_general_one_first(self, bench: Bench) -> None:
        await bench.pull("pause_heals", market="de")
        await bench.pull("pause_heals")
        assert [pause["market"] for pause in told(await bench.ask("get_holds"))["pauses"]] == [None, "de"]

    @pytest.mark.parametrize("method", ["pauses", "rows"])
    async def test_that_cannot_be_read_are_not_told_as_none(self, bench: Bench, method: str) -> None:
        bench.ledger.refuse(method, DOWN)
        assert kind_of(await bench.ask("get_holds")) == (503, "unavailable")


class TestAPause:
    async def test_is_in_force_with_who_and_why(self, bench: Bench) -> None:
        answer = await bench.pull("pause_heals")
        assert answer.status == 200
        assert told(answer) == {"pauses": [{"market": None, **ANNE, "since": "2026-11-25T06:00:00Z"}]}
        assert await bench.ledger.pauses() == await bench.uses() == [LeverUse(lever=Lever.PAUSE, at=SIX, **ANNE)]

    async def test_of_a_market_is_ended_by_its_own_resume_alone(self, bench: Bench) -> None:
        await bench.pull("pause_heals", market="emea/fr")
        assert kind_of(await bench.pull("resume_heals")) == (409, "lever-refused")
        answer = await bench.pull("resume_heals", market="emea/fr")
        assert (answer.status, told(answer)) == (200, {"pauses": []})

    async def test_of_a_market_that_is_misspelt_is_refused_and_names_those_that_there_are(self, bench: Bench) -> None:
        answer = await bench.pull("pause_heals", market="fr")
        assert kind_of(answer) == (404, "no-such-market")
        assert told(answer)["detail"] == "Nothing is paused: no record names market fr; there are: de, emea/fr"
        assert await bench.ledger.pauses() == await bench.uses() == []

    async def test_works_also_where_the_records_cannot_be_listed(self, bench: Bench) -> None:
        bench.unlisted = DOWN
        assert (await bench.pull("pause_heals", market="de")).status == 200
        assert [pause.market for pause in await bench.ledger.pauses()] == ["de"]

    async def test_is_not_for_all_markets_where_a_query_found_none(self, bench: Bench) -> None:
        for function in OF_MARKETS:
            for market in (None, "", "*", "DE", ["de"]):
                assert kind_of(await bench.pull(function, market=market)) == (400, "bad-request")
        assert await bench.uses() == []


class TestAJob:
    async def test_that_is_held_is_approved_by_name_and_queued(self, bench: Bench) -> None:
        await bench.put(held(job()))
        bench.now = SIX + timedelta(hours=5)
        answer = await bench.pull("approve_heal", number=1)
        view = told(answer)
        assert (answer.status, view["step"], view["reason"], view["plan_run_id"]) == (202, "queued", None, "plans-1")
        approval = {"reason": "approval_required", "by": ANNE["by"], "at": "2026-11-25T11:00:00Z"}
        assert view["approvals"] == [approval]
        assert view["events"][-1] == {
            "step": "queued",
            "at": "2026-11-25T11:00:00Z",
            "by": ANNE["by"],
            "reason": None,
            "note": ANNE["reason"],
        }
        assert [sent.job_id for sent in bench.queue.sent] == [job().job_id]
        assert [(use.lever, use.market, use.job_id) for use in await bench.uses()] == [
            (Lever.APPROVE, "de", job().job_id)
        ]

    async def test_that_a_check_holds_is_approved_without_a_row_before(self, bench: Bench) -> None:
        await bench.check(job(), HoldReason.APPROVAL_REQUIRED)
        assert (await bench.pull("approve_heal", number=1)).status == 202

    async def test_that_is_held_is_rejected(self, bench: Bench) -> None:
        await bench.put(held(job()))
        answer = await bench.pull("reject_heal", number=1)
        assert (answer.status, told(answer)["step"]) == (200, "rejected")
        assert bench.queue.sent == []

    async def test_that_failed_is_retried(self, bench: Bench) -> None:
        await bench.put(ended(job(), at=SIX))
        answer = await bench.pull("retry_heal", number=1)
        assert (answer.status, told(answer)["step"]) == (202, "queued")
        assert [sent.job_id for sent in bench.queue.sent] == [job().job_id]

    @pytest.mark.parametrize(
        ("function", "row"),
        [
            pytest.param("approve_heal", queued(job()), id="approving what is not held"),
            pytest.param("approve_heal", held(job(), HoldReason.LOCKED), id="approving what no approval overrules"),
            pytest.param("reject_heal", ended(job(), at=SIX, step=HealStep.SUPERSEDED), id="rejecting what has ended"),
            pytest.param(
                "retry_heal", ended(job(), at=SIX, step=HealStep.SUPERSEDED), id="retrying what was superseded"
            ),
        ],
    )
    async def test_that_this_cannot_be_done_to_is_a_conflict(self, bench: Bench, function: str, row: HealRow) -> None:
        await bench.put(row)
        answer = await bench.pull(function, number=1)
        assert kind_of(answer) == (409, "lever-refused")
        assert job().job_id in told(answer)["detail"]
        assert (await bench.uses(), bench.queue.sent) == ([], [])

    async def test_that_a_check_alone_knows_is_no_unknown_one(self, bench: Bench) -> None:
        await bench.check(job(), HoldReason.PROTECTED)
        assert kind_of(await bench.pull("retry_heal", number=1)) == (409, "lever-refused")

    @pytest.mark.parametrize("function", OF_A_JOB)
    async def test_that_nobody_knows_is_not_there(self, bench: Bench, function: str) -> None:
        await bench.put(held(job()))
        answer = await bench.ask(function, job_id=NOBODYS, body=json.dumps(ANNE).encode())
        assert kind_of(answer) == (404, "no-such-job")

    @pytest.mark.parametrize("function", OF_A_JOB)
    async def test_that_cannot_be_looked_up_is_no_404(self, bench: Bench, function: str) -> None:
        bench.ledger.refuse("find", DOWN)
        answer = await bench.pull(function, number=1)
        assert kind_of(answer) == (503, "unavailable")
        assert answer.headers == {"Retry-After": "10"}

    @pytest.mark.parametrize("job_id", ["", "1", "F" * 64, "f" * 63, "f" * 65, "f" * 64 + "\n", "../" + "f" * 61])
    async def test_is_asked_for_by_an_id_that_a_job_can_have(self, bench: Bench, job_id: str) -> None:
        answer = await bench.ask("retry_heal", job_id=job_id, body=json.dumps(ANNE).encode())
        assert kind_of(answer) == (400, "bad-request")


WRONG: Final = [
    pytest.param({"by": "anne"}, ["reason"], id="no reason"),
    pytest.param({"reason": "tonight"}, ["by"], id="nobody"),
    pytest.param({}, ["by", "reason"], id="nothing"),
    pytest.param(ANNE | {"by": " \t"}, ["by"], id="a name of white space"),
    pytest.param(ANNE | {"reason": ""}, ["reason"], id="an empty reason"),
    pytest.param(ANNE | {"by": 7}, ["by"], id="a number for a name"),
    pytest.param(ANNE | {"by": None}, ["by"], id="null for a name"),
    pytest.param(ANNE | {"by": "a" * 257}, ["by"], id="a name that is too long"),
    pytest.param(ANNE | {"reason": "a" * 2049}, ["reason"], id="a reason that is too long"),
    pytest.param(ANNE | {"reason": "one\nforged line"}, ["reason"], id="a reason of two lines"),
    pytest.param(ANNE | {"by": "anne\x1b[2J"}, ["by"], id="a control character"),
    pytest.param(ANNE | {"by": "anne\u2028bob"}, ["by"], id="a line separator"),
    pytest.param(ANNE | {"By": "anne"}, ["By"], id="a field in capitals"),
    pytest.param(ANNE | {"password": SECRET}, ["password"], id="a field too many"),
]


class TestABody:
    @pytest.mark.parametrize("function", [*OF_A_JOB, *OF_MARKETS])
    @pytest.mark.parametrize(("content", "fields"), WRONG)
    async def test_is_refused_by_field_and_does_nothing(
        self, bench: Bench, function: str, content: dict[str, Any], fields: list[str]
    ) -> None:
        await bench.put(held(job()))
        answer = await bench.ask(function, body=json.dumps(content).encode(), job_id=job().job_id)
        assert kind_of(answer) == (400, "bad-request")
        assert [error["field"] for error in told(answer)["errors"]] == fields
        assert SECRET not in answer.body
        assert await bench.uses() == []

    @pytest.mark.parametrize("function", OF_A_JOB)
    async def test_of_a_job_s_lever_takes_no_market(self, bench: Bench, function: str) -> None:
        await bench.put(held(job()))
        assert kind_of(await bench.pull(function, number=1, market="de")) == (400, "bad-request")

    @pytest.mark.parametrize("body", [b"", b" ", b"null", b"[]", b'"x"', b"{", b"\xff\xfe"])
    async def test_is_refused_as_no_object(self, bench: Bench, body: bytes) -> None:
        assert kind_of(await bench.ask("pause_heals", body=body)) == (400, "bad-request")

    async def test_is_refused_where_it_is_too_large(self, bench: Bench) -> None:
        answer = await bench.ask("pause_heals", body=json.dumps(ANNE).encode().ljust(MOST_BODY_BYTES + 1))
        assert kind_of(answer) == (413, "body-too-large")
        assert told(answer)["detail"] == "It may hold 16,384 bytes; shorten the reason."

    async def test_is_kept_without_white_space_around_its_lines(self, bench: Bench) -> None:
        await bench.pull("pause_heals", by=" Änne  B. ", reason="\tnow ")
        assert [(use.by, use.reason) for use in await bench.uses()] == [("Änne  B.", "now")]


class TestTheHistory:
    async def ask(self, bench: Bench, **query: str) -> tuple[list[int], str | None]:
        answer = await bench.ask("get_heals", query=query)
        assert (answer.status, answer.media_type) == (200, "application/json")
        return [int(heal["job_id"], 16) for heal in told(answer)["heals"]], told(answer)["next_before"]

    async def test_is_newest_first_by_the_last_step(self, bench: Bench) -> None:
        await bench.put(*(ended(job(number), at=SIX + timedelta(minutes=number * 7 % 5)) for number in range(1, 5)))
        assert await self.ask(bench) == ([2, 4, 1, 3], None)

    async def test_is_read_page_by_page_with_none_left_out_nor_told_twice(self, bench: Bench) -> None:
        # Most of them at one time, as when a run ends many at once.
        await bench.put(*(ended(job(number), at=SIX + timedelta(minutes=number // 20)) for number in range(1, 31)))
        found, before = await self.ask(bench, limit="7")
        while before:
            more, before = await self.ask(bench, limit="7", before=before)
            found += more
        assert found == [*range(30, 19, -1), *range(19, 0, -1)]

    async def test_can_be_asked_for_from_a_time_on(self, bench: Bench) -> None:
        await bench.put(*(ended(job(number), at=SIX + timedelta(minutes=number)) for number in range(1, 4)))
        assert await self.ask(bench, before="2026-11-25T06:03:00Z") == ([2, 1], None)

    async def test_is_empty_before_the_first_heal(self, bench: Bench) -> None:
        assert await self.ask(bench) == ([], None)

    async def test_is_not_put_off_by_the_function_key_in_the_query(self, bench: Bench) -> None:
        answer = await bench.ask("get_heals", query={"code": SECRET})
        assert answer.status == 200
        assert SECRET not in answer.body

    @pytest.mark.parametrize(
        "query",
        [
            *({"limit": limit} for limit in ("", "0", "-1", "x", "1.5", "²", str(LARGEST_PAGE + 1), "9" * 5000)),
            *({"before": before} for before in ("", "yesterday", "2026-11-25", "~", "0")),
        ],
    )
    async def test_is_asked_for_in_pages_that_can_be(self, bench: Bench, query: dict[str, str]) -> None:
        answer = await bench.ask("get_heals", query=query)
        assert kind_of(answer) == (400, "bad-request")
        assert [error["field"] for error in told(answer)["errors"]] == list(query)

    async def test_of_a_long_ledger_is_the_same_as_of_a_short_one(self, bench: Bench) -> None:
        rows = [ended(job(number), at=SIX + timedelta(seconds=number)) for number in range(1, 500)]
        await bench.put(*rows)
        page = await newest_heals(bench.ledger.rows(), limit=3, before=None)
        assert [row.job.job_id for row in page.rows] == [row.job.job_id for row in rows[:-4:-1]]
        assert page.next == Place.of(page.rows[-1])
        assert Place.parse(str(page.next)) == page.next

    async def test_that_cannot_be_read_is_not_told_as_empty(self, bench: Bench) -> None:
        bench.ledger.refuse("rows", DOWN)
        assert kind_of(await bench.ask("get_heals")) == (503, "unavailable")


def test_each_route_has_a_name_and_a_request_of_its_own() -> None:
    assert len({route.function for route in ROUTES}) == len({(route.method, route.path) for route in ROUTES})
    assert {route.method for route in ROUTES} == {"GET", "POST"}


async def test_an_app_that_is_not_set_up_says_so() -> None:
    async def nothing() -> Answer:
        raise SettingsError("no estate")

    assert kind_of(await answered(nothing())) == (500, "misconfigured")
