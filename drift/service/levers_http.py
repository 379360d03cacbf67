"""The levers of healing over HTTP: what waits, what came of each heal, and a person's hand on it.

A function key lets an asker in and does not say who it is: ``by`` is what the asker says.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from answering.answers import Answer, problem
from answering.asking import BadRequestError, FieldError, check_size, parse_body
from drift.healing.levers import JobLever, Levers, Person
from drift.healing.waiting import find_waiting, holds
from drift.service.heal_history import DEFAULT_PAGE, LARGEST_PAGE, Place, newest_heals
from drift.service.heal_views import HealsView, HealView, HoldsView, PausesView
from drift.service.healing import HealService
from records.errors import RefusedLeverError, UnknownMarketError
from records.names import MarketKey

_ONE_LINE: Final = r"^[^\p{Cc}\u2028\u2029]*$"
_TAKES: Final = 'the body takes "by" and "reason", one line each and neither of them empty'
_TAKES_A_MARKET: Final = f'{_TAKES}, and "market", which may be left out: then it is all markets'
_REMEDY: Final = "shorten the reason"

_EVERY_MARKET: Final = ""
_JOB_ID: Final = re.compile(r"[0-9a-f]{64}")


class _Person(BaseModel):
    """Who pulls a lever, and why."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    by: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256, pattern=_ONE_LINE)]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048, pattern=_ONE_LINE)]

    @property
    def person(self) -> Person:
        return Person(by=self.by, reason=self.reason)


AskedT = TypeVar("AskedT", bound=_Person)


class _PersonOnAMarket(_Person):
    """The same, of one market or all. Null is refused: it may come of a query that found nothing, and must not mean all."""

    market: MarketKey = _EVERY_MARKET


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: its body, the job that its URL names, and its query, which may hold the function key."""

    body: bytes = b""
    job_id: str = ""
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a door binds: the function's name, and the request that it answers."""

    function: str
    method: str
    path: str
    answer: Callable[[HealService, Asked], Awaitable[Answer]]


async def answer_holds(service: HealService, _: Asked) -> Answer:
    """What waits and why, and what is paused."""
    levers = service.levers
    pauses = PausesView.of(await levers.ledger.pauses()).pauses
    return Answer(200, HoldsView(pauses=pauses, holds=tuple(await holds(levers.ledger, levers.checks))))


async def answer_heals(service: HealService, asked: Asked) -> Answer:
    """What came of each heal, newest first, a page of them."""
    limit, before = _page_of(asked.query)
    page = await newest_heals(service.levers.ledger.rows(), limit=limit, before=before)
    heals = tuple(HealView.of(row) for row in page.rows)
    return Answer(200, HealsView(heals=heals, next_before=str(page.next) if page.next else None))


async def answer_pause(service: HealService, asked: Asked) -> Answer:
    """The pauses that are in force from now on, or a 404 where no record names the market."""
    given = _read(asked.body, _PersonOnAMarket, takes=_TAKES_A_MARKET)
    try:
        await service.levers.pause(given.person, market=given.market or None)
    except UnknownMarketError as error:
        return problem(404, "no-such-market", "There is no such market", f"Nothing is paused: {error}")
    return await _pauses(service.levers)


async def answer_resume(service: HealService, asked: Asked) -> Answer:
    """Those that are left, or a 409 where there was none to end."""
    given = _read(asked.body, _PersonOnAMarket, takes=_TAKES_A_MARKET)
    try:
        await service.levers.resume(given.person, market=given.market or None)
    except RefusedLeverError as error:
        return _refused(error)
    return await _pauses(service.levers)


async def answer_approve(service: HealService, asked: Asked) -> Answer:
    """202: the job is queued."""
    return await _pulled(service.levers, asked, Levers.approve, status=202)


async def answer_reject(service: HealService, asked: Asked) -> Answer:
    """200: the job is rejected."""
    return await _pulled(service.levers, asked, Levers.reject, status=200)


async def answer_retry(service: HealService, asked: Asked) -> Answer:
    """202: the job is queued again."""
    return await _pulled(service.levers, asked, Levers.retry, status=202)


ROUTES: Final = (
    Route(function="get_holds", method="GET", path="holds", answer=answer_holds),
    Route(function="get_heals", method="GET", path="heals", answer=answer_heals),
    Route(function="approve_heal", method="POST", path="heals/{job}/approve", answer=answer_approve),
    Route(function="reject_heal", method="POST", path="heals/{job}/reject", answer=answer_reject),
    Route(function="retry_heal", method="POST", path="heals/{job}/retry", answer=answer_retry),
    Route(function="pause_heals", method="POST", path="pause", answer=answer_pause),
    Route(function="resume_heals", method="POST", path="resume", answer=answer_resume),
)


async def _pulled(levers: Levers, asked: Asked, lever: JobLever, *, status: int) -> Answer:
    if not _JOB_ID.fullmatch(asked.job_id):
        raise BadRequestError("a job's id is 64 hexadecimal digits, in lower case")
    person = _read(asked.body, _Person, takes=_TAKES).person
    try:
        row = await lever(levers, person, job_id=asked.job_id)
    except RefusedLeverError as error:
        if await _is_known(levers, asked.job_id):
            return _refused(error)
        return problem(
            404,
            "no-such-job",
            "There is no such job",
            "Neither the ledger nor the latest check of any stack knows it. See GET /api/holds and GET /api/heals.",
        )
    return Answer(status, HealView.of(row))


async def _is_known(levers: Levers, job_id: str) -> bool:
    if await levers.ledger.find(job_id=job_id):
        return True
    return await find_waiting(levers.ledger, levers.checks, job_id=job_id, now=levers.clock()) is not None


async def _pauses(levers: Levers) -> Answer:
    return Answer(200, PausesView.of(await levers.ledger.pauses()))


def _refused(error: RefusedLeverError) -> Answer:
    return problem(409, "lever-refused", "This cannot be done now", str(error))


def _read(body: bytes, model: type[AskedT], *, takes: str) -> AskedT:
    """Raises:
    BodyTooLargeError, BadRequestError
    """
    check_size(body, remedy=_REMEDY)
    return parse_body(body, model, takes=takes)


def _page_of(query: Mapping[str, str]) -> tuple[int, Place | None]:
    """How many jobs are asked for, and before which place; other parameters are not ours: one is the function key.

    Raises:
        BadRequestError
    """
    errors = []
    limit, before = query.get("limit", str(DEFAULT_PAGE)), query.get("before")
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= 4 and 1 <= int(limit) <= LARGEST_PAGE):
        errors.append(FieldError(field="limit", message=f"must be a whole number from 1 to {LARGEST_PAGE}"))
    place = None
    try:
        place = Place.parse(before) if before is not None else None
    except ValueError as error:
        errors.append(FieldError(field="before", message=f'must be a "next_before", or a time: {error}'))
    if errors:
        raise BadRequestError('the query takes "limit" and "before"', tuple(errors))
    return int(limit), place
