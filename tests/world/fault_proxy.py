"""A reverse proxy in front of Azurite's blob or table endpoint that misbehaves on request.

Azurite never throttles, never cuts a body and is never slow; Azure does all three. Path, headers and body
reach Azurite as the client signed them, so real SDK clients with real SharedKey signatures work through it.
"""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from tests.world.faults import Action, AnswerStatus, CutBody, Delay, LoseAnswer, Matches, ProxiedRequest, Rule
from tests.world.loop_thread import run_in_loop_thread

HOST = "127.0.0.1"

# These concern two neighbours only, and aiohttp writes its own on each side.
_HOP_HEADERS = frozenset({"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"})
# aiohttp would add these to a request that came without them.
_NO_AUTOMATIC_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_CHUNK_BYTES = 65_536
_BODY_LIMIT_BYTES = 2**31


@dataclass(slots=True)
class Exchange:
    """One answered request. `body_bytes` counts the answer's body, and grows while it is sent."""

    request: ProxiedRequest
    status: int
    body_bytes: int = 0


@dataclass(slots=True)
class FaultProxy:
    """The rules and the record of a running proxy. `url` replaces the upstream URL, account included."""

    upstream_url: str
    port: int = 0
    _rules: list[Rule] = field(default_factory=list)
    _exchanges: list[Exchange] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}{urlsplit(self.upstream_url).path}"

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every exchange so far, injected answers included, in the order in which the answers began.

        An answer that was lost on purpose is in it, with the status that the client never saw.
        """
        with self._lock:
            return tuple(self._exchanges)

    def inject(self, matches: Matches, action: Action, *, times: int | None = None) -> Rule:
        """Add a rule. Of the rules that match a request and are not spent, only the first acts."""
        rule = Rule(matches=matches, action=action, times=times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Drop every rule; the record stays."""
        with self._lock:
            self._rules.clear()

    def forget(self) -> None:
        """Drop the record, to count from here on; the rules stay."""
        with self._lock:
            self._exchanges.clear()

    def count(self, matches: Matches) -> int:
        return sum(matches(exchange.request) for exchange in self.exchanges)

    def body_bytes(self, matches: Matches) -> int:
        """Sum the bytes of the answers' bodies, up to where they were cut.

        What a client has read is always in it; what it was sent and never read can be too.
        """
        return sum(exchange.body_bytes for exchange in self.exchanges if matches(exchange.request))

    def _take_action(self, request: ProxiedRequest) -> Action | None:
        with self._lock:
            for rule in self._rules:
                if not rule.is_spent and rule.matches(request):
                    rule.used += 1
                    return rule.action
        return None

    def _record(self, request: ProxiedRequest, status: int) -> Exchange:
        exchange = Exchange(request=request, status=status)
        with self._lock:
            self._exchanges.append(exchange)
        return exchange


@contextmanager
def run_fault_proxy(upstream_url: str) -> Iterator[FaultProxy]:
    """Stand in front of one plain-HTTP endpoint, such as `azurite.blob_url` or `azurite.table_url`."""
    with run_in_loop_thread(_listen(upstream_url)) as proxy:
        yield proxy


@asynccontextmanager
async def _listen(upstream_url: str) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(upstream_url=upstream_url)
    # Azurite closes idle connections after 5 s; a request on one that just closes would fail with no rule.
    connector = TCPConnector(force_close=True, limit=0)
    async with ClientSession(
        connector=connector,
        auto_decompress=False,
        skip_auto_headers=_NO_AUTOMATIC_HEADERS,
        timeout=ClientTimeout(total=None),
    ) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            return await _handle(proxy, session, request)

        application = web.Application(client_max_size=_BODY_LIMIT_BYTES)
        application.router.add_route("*", "/{path:.*}", handle)
        # A request that is still delayed when its test ends must not hold up the next test.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            proxy.port = runner.addresses[0][1]
            yield proxy
        finally:
            await runner.cleanup()


async def _handle(proxy: FaultProxy, session: ClientSession, request: web.Request) -> web.StreamResponse:
    seen = _describe(request)
    # Read in any case: a client that is answered while it still sends sees a reset, and not the answer.
    body = await request.read()
    action = proxy._take_action(seen)
    if isinstance(action, AnswerStatus):
        return _answer(proxy, seen, request, action)
    if isinstance(action, Delay):
        await asyncio.sleep(action.seconds)
    async with session.request(
        request.method,
        _upstream_url(proxy, request),
        headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_HEADERS],
        # As a file: aiohttp warns of large bytes, and warnings are errors here.
        data=io.BytesIO(body) if body else None,
        allow_redirects=False,
    ) as upstream:
        exchange = proxy._record(seen, upstream.status)
        if isinstance(action, LoseAnswer):
            _close_connection(request)
            return web.Response()
        response = _copy_head(upstream)
        # A client that hangs up in the middle is a case worth testing, and no error of the proxy's.
        with suppress(ConnectionError):
            if isinstance(action, CutBody):
                await _send_part(exchange, request, upstream, response, action.after_bytes)
            else:
                await _send_all(exchange, request, upstream, response)
        return response


def _describe(request: web.Request) -> ProxiedRequest:
    raw_path, _, raw_query = request.raw_path.partition("?")
    return ProxiedRequest(
        method=request.method,
        path=unquote(raw_path),
        query=dict(parse_qsl(raw_query, keep_blank_values=True)),
    )


def _upstream_url(proxy: FaultProxy, request: web.Request) -> URL:
    parts = urlsplit(proxy.upstream_url)
    # The signature covers the path as the client encoded it, so nothing may decode and encode it again.
    return URL(f"{parts.scheme}://{parts.netloc}{request.raw_path}", encoded=True)


def _answer(proxy: FaultProxy, seen: ProxiedRequest, request: web.Request, action: AnswerStatus) -> web.StreamResponse:
    body, content_type = _error_body(action, wants_json="json" in request.headers.get("Accept", ""))
    if request.method == "HEAD":
        body = b""
    headers = {"x-ms-error-code": action.error_code, "Content-Type": content_type}
    if action.retry_after_seconds is not None:
        headers["Retry-After"] = str(action.retry_after_seconds)
    proxy._record(seen, action.status).body_bytes = len(body)
    return web.Response(status=action.status, headers=headers, body=body)


def _error_body(action: AnswerStatus, *, wants_json: bool) -> tuple[bytes, str]:
    if wants_json:
        error = {"code": action.error_code, "message": {"lang": "en-US", "value": action.message}}
        return json.dumps({"odata.error": error}).encode(), "application/json"
    text = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{escape(action.error_code)}</Code><Message>{escape(action.message)}</Message></Error>"
    )
    return text.encode(), "application/xml"


def _copy_head(upstream: ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
    for name, value in upstream.headers.items():
        if name.lower() not in _HOP_HEADERS:
            response.headers.add(name, value)
    return response


async def _send_all(
    exchange: Exchange, request: web.Request, upstream: ClientResponse, response: web.StreamResponse
) -> None:
    await response.prepare(request)
    async for chunk in upstream.content.iter_chunked(_CHUNK_BYTES):
        # Counted before it is sent: a test may look as soon as its client has the last byte.
        exchange.body_bytes += len(chunk)
        await response.write(chunk)


async def _send_part(
    exchange: Exchange,
    request: web.Request,
    upstream: ClientResponse,
    response: web.StreamResponse,
    after_bytes: int | None,
) -> None:
    body = await upstream.read()
    part = body[: len(body) // 2 if after_bytes is None else after_bytes]
    exchange.body_bytes += len(part)
    await response.prepare(request)
    if part:
        await response.write(part)
    if len(part) < len(body):
        _close_connection(request)


def _close_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
