"""Azure Resource Graph on loopback: `POST /providers/Microsoft.ResourceGraph/resources`, over changes that a test puts in.

It evaluates the query: the few operators and functions of KQL that trueup uses, each as Kusto's reference describes it, and
anything else is refused with 400. So a misspelt column, a literal that ends too early or a summary by the wrong column shows
in what comes back. It speaks TLS, since azure-core hands a token to nothing else.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from tests.world.certificates import Certificate

Row = dict[str, Any]

PATH: Final = "/providers/Microsoft.ResourceGraph/resources"
API_VERSION: Final = "2021-03-01"
_LITERAL: Final = re.compile(r"'((?:\\.|[^'\\\n])*)'|\"((?:\\.|[^\"\\\n])*)\"")
_ESCAPE: Final = re.compile(r"\\(.)")
_HELD: Final = re.compile(r"\x02(\d+)\x03")
_CALL: Final = re.compile(r"(\w+)\((.*)\)")


class InvalidQueryError(Exception):
    """The query is none, or goes beyond what this server knows of KQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A row of `resourcechanges`, as Azure keeps it; the resource's own spelling of its id."""

    target_id: str
    timestamp: str = "2026-11-25T05:00:00.000Z"
    changed_by: str | None = "alice@example.com"
    client: str | None = "Azure Portal"
    subscription_id: str = "00000000-0000-0000-0000-000000000001"

    def row(self, number: int) -> Row:
        return {
            "id": f"{self.target_id}/providers/Microsoft.Resources/changes/{number}",
            "subscriptionId": self.subscription_id,
            "properties": {
                "targetResourceId": self.target_id,
                "changeType": "Update",
                "changeAttributes": {
                    "timestamp": self.timestamp,
                    "changedBy": self.changed_by,
                    "changedByType": "User",
                    "clientType": self.client,
                    "operation": "microsoft.network/networksecuritygroups/write",
                },
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request gets instead of an answer. Where it hangs, it gets nothing until the server stops."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    at: float
    authorization: str
    subscriptions: list[str]
    query: str
    options: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class ResourceGraphServer:
    """The replies are given first, one a request; after that each query is answered, `page_size` rows at a time."""

    url: str = ""
    changes: list[Change] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    page_size: int = 1000
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        if request.query.get("api-version") != API_VERSION:
            return _error(400, "InvalidApiVersion")
        asked = await request.json()
        received = Received(
            at=asyncio.get_running_loop().time(),
            authorization=request.headers.get("Authorization", ""),
            subscriptions=asked["subscriptions"],
            query=asked["query"],
            options=asked["options"],
        )
        self.received.append(received)
        self.arrived.set()
        if self.replies:
            reply = self.replies.popleft()
            if reply.hangs:
                await self.stopping.wait()
            headers = {"Content-Type": "application/json", **reply.headers}
            return web.Response(status=reply.status, body=reply.body.encode(), headers=headers)
        try:
            return web.json_response(self._answer(received), headers=self.headers)
        except InvalidQueryError as error:
            return _error(400, str(error))

    def _answer(self, asked: Received) -> Row:
        if asked.options["resultFormat"] != "objectArray":
            raise InvalidQueryError("a table is not in this server's repertoire")
        rows = [
            change.row(number)
            for number, change in enumerate(self.changes)
            if change.subscription_id in asked.subscriptions
        ]
        found = evaluate(asked.query, rows)
        skip_token = asked.options.get("$skipToken") or "0"
        if not skip_token.isdecimal():
            raise InvalidQueryError("no token of this server's")
        start = int(skip_token)
        end = start + min(self.page_size, asked.options["$top"])
        page = found[start:end]
        is_more = end < len(found)
        # Without `id` in the rows Azure gives one page, and says that it is cut short.
        can_page = all("id" in row for row in page)
        return {
            "totalRecords": len(found),
            "count": len(page),
            "data": page,
            "facets": [],
            "resultTruncated": "true" if is_more and not can_page else "false",
            **({"$skipToken": str(end)} if is_more and can_page else {}),
        }


@asynccontextmanager
async def running(certificate: Certificate) -> AsyncIterator[ResourceGraphServer]:
    server = ResourceGraphServer()
    app = web.Application()
    app.router.add_post(PATH, server.handle)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        server.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        server.stopping.set()
        await runner.cleanup()


def evaluate(query: str, rows: Iterable[Row]) -> list[Row]:
    """The query's answer over rows of `resourcechanges`.

    Raises:
        InvalidQueryError: see there.
    """
    if "{{" in query:
        raise InvalidQueryError("a shared query would be put in here")
    literals: list[str] = []

    def hold(match: re.Match[str]) -> str:
        literals.append(_ESCAPE.sub(r"\1", match[1] if match[1] is not None else match[2]))
        return f"\x02{len(literals) - 1}\x03"

    table, *operators = (part.strip() for part in _LITERAL.sub(hold, query).split("|"))
    if table != "resourcechanges":
        raise InvalidQueryError("no such table")
    found = list(rows)
    for operator in operators:
        name, _, rest = operator.partition(" ")
        if name not in _OPERATORS:
            raise InvalidQueryError("no such operator")
        found = _OPERATORS[name](found, rest, literals)
    return found


def _extend(rows: list[Row], rest: str, literals: list[str]) -> list[Row]:
    pairs = [re.fullmatch(r"\s*(\w+) = (.+)", part) for part in rest.split(", ")]
    if not all(pairs):
        raise InvalidQueryError("extend")
    return [{**row, **{pair[1]: _value(pair[2], row) for pair in pairs if pair}} for row in rows]


def _where(rows: list[Row], rest: str, literals: list[str]) -> list[Row]:
    """`in~` alone: whether a column is one of some literals, in any case."""
    match = re.fullmatch(r"(\w+) in~ \((\x02\d+\x03(?:, \x02\d+\x03)*)\)", rest)
    if not match:
        raise InvalidQueryError("where")
    wanted = {literals[int(number)].lower() for number in _HELD.findall(match[2])}
    return [row for row in rows if _column(row, match[1]).lower() in wanted]


def _summarize(rows: list[Row], rest: str, literals: list[str]) -> list[Row]:
    """`arg_max` alone: of each group the row in which a column is greatest; null is less than anything."""
    match = re.fullmatch(r"arg_max\((\w+), ([\w, ]+)\) by (\w+)", rest)
    if not match:
        raise InvalidQueryError("summarize")
    greatest, kept, by = match[1], match[2].split(", "), match[3]
    winners: dict[str, Row] = {}
    for row in rows:
        best = winners.get(row[by])
        if best is None or (_column(row, greatest) or "") > (best[greatest] or ""):
            winners[row[by]] = {name: _column(row, name) for name in (by, greatest, *kept)}
    return list(winners.values())


def _project(rows: list[Row], rest: str, literals: list[str]) -> list[Row]:
    return [{name: _column(row, name) for name in rest.split(", ")} for row in rows]


def _order(rows: list[Row], rest: str, literals: list[str]) -> list[Row]:
    match = re.fullmatch(r"by (\w+) asc", rest)
    if not match:
        raise InvalidQueryError("order")
    return sorted(rows, key=lambda row: str(_column(row, match[1])))


def _column(row: Row, name: str) -> Any:
    if name not in row:
        raise InvalidQueryError("no such column")
    return row[name]


def _value(expression: str, row: Row) -> Any:
    call = _CALL.fullmatch(expression)
    if call:
        if call[1] not in _FUNCTIONS:
            raise InvalidQueryError("no such function")
        return _FUNCTIONS[call[1]](_value(call[2], row))
    first, *path = expression.split(".")
    found = _column(row, first)
    for name in path:
        # What a dynamic value has not is null.
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _to_string(value: Any) -> str:
    return "" if value is None else str(value)


def _to_datetime(value: Any) -> str | None:
    """In UTC, to the 100 ns that Kusto counts in: of one length, so that the text sorts as the time does."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _error(status: int, message: str) -> web.Response:
    body = {"error": {"code": "BadRequest", "message": message, "details": [{"code": "InvalidQuery"}]}}
    return web.json_response(body, status=status)


def rows_as_body(*rows: Any) -> str:
    """The body of an answer with any rows at all."""
    answer = {"totalRecords": len(rows), "count": len(rows), "data": rows, "facets": [], "resultTruncated": "false"}
    return json.dumps(answer)


_FUNCTIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "tolower": lambda text: text.lower(),
    "tostring": _to_string,
    "todatetime": _to_datetime,
}
_OPERATORS: Final[dict[str, Callable[[list[Row], str, list[str]], list[Row]]]] = {
    "extend": _extend,
    "where": _where,
    "summarize": _summarize,
    "project": _project,
    "order": _order,
}
