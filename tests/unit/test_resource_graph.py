"""Who changed a resource last, asked of a Resource Graph on loopback through the SDK's own client."""

import asyncio
import inspect
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport

from adapters.resource_graph import ResourceGraphChangeHistory
from records.resource_changes import ChangeHistory, NoChangeHistory, ResourceChange
from tests.world.certificates import Certificate, make_certificate
from tests.world.resource_graph_server import (
    Change,
    InvalidQueryError,
    Reply,
    ResourceGraphServer,
    evaluate,
    rows_as_body,
    running,
)

TOKEN: Final = "a-token-that-nobody-may-read"
SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000001"
OTHER_SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000002"
FIVE: Final = datetime(2026, 11, 25, 5, tzinfo=UTC)
BY_ALICE: Final = ResourceChange(changed_by="alice@example.com", changed_at=FIVE, client="Azure Portal")
AT_ONCE: Final = {"retry_backoff_factor": 0.001}


def nsg(name: str) -> str:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Hub"
    return f"{group}/providers/Microsoft.Network/networkSecurityGroups/{name}"


HUB: Final = nsg("Hub")


class Credential:
    """A credential that has a token, or raises; it may take its time."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        assert scopes == ("https://management.azure.com/.default",)
        if self._error:
            raise self._error
        return AccessToken(TOKEN, int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *details: Any) -> None: ...


class Watch:
    """A clock that stands still until somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def server(certificate: Certificate) -> AsyncIterator[ResourceGraphServer]:
    async with running(certificate) as started:
        yield started


@pytest.fixture
def trusted(certificate: Certificate) -> Path:
    return certificate.certificate_file


@asynccontextmanager
async def history(
    server: ResourceGraphServer, trusted: Path, *, credential: Credential | None = None, **options: Any
) -> AsyncIterator[ResourceGraphChangeHistory]:
    transport = AioHttpTransport(connection_verify=str(trusted))
    usual: dict[str, Any] = {"base_url": server.url, "transport": transport, **AT_ONCE}
    async with ResourceGraphChangeHistory(credential or Credential(), **{**usual, **options}) as opened:
        yield opened


async def last_changes(
    server: ResourceGraphServer, trusted: Path, *resource_ids: str, **options: Any
) -> dict[str, ResourceChange]:
    async with history(server, trusted, **options) as opened:
        return dict(await opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=resource_ids))


def warning(caplog: pytest.LogCaptureFixture) -> str:
    """The one line that a failed call logs. Nothing that anybody logs holds an id, a URL or the token."""
    everything = "\n".join(str(record.getMessage()) for record in caplog.records)
    for secret in (TOKEN, HUB, HUB.lower(), SUBSCRIPTION):
        assert secret not in everything
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.name == "adapters.resource_graph"
    assert "127.0.0.1" not in line.getMessage()
    assert line.exc_info is None
    return line.getMessage()


@pytest.fixture
def silent(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything down to DEBUG is heard, the SDK's own lines too."""
    caplog.set_level(logging.DEBUG)
    return caplog


class TestTheAnswer:
    async def test_is_who_when_and_by_which_client(self, server: ResourceGraphServer, trusted: Path) -> None:
        server.changes = [Change(target_id=HUB)]
        assert await last_changes(server, trusted, HUB) == {HUB.lower(): BY_ALICE}
        (asked,) = server.received
        assert asked.authorization == f"Bearer {TOKEN}"
        assert asked.subscriptions == [SUBSCRIPTION]

    async def test_is_the_newest_change(self, server: ResourceGraphServer, trusted: Path) -> None:
        # The last has the greatest text and the earlier moment: times are compared, not their spelling.
        server.changes = [
            Change(target_id=HUB, timestamp="2026-11-24T05:00:00.000Z", changed_by="carol@example.com"),
            Change(target_id=HUB.lower()),
            Change(target_id=HUB, timestamp="2026-11-25T05:59:59.000+01:00", changed_by="bob@example.com"),
        ]
        assert await last_changes(server, trusted, HUB) == {HUB.lower(): BY_ALICE}

    @pytest.mark.parametrize("spelt", [HUB.upper(), HUB.lower()], ids=["asked in capitals", "asked in small letters"])
    async def test_is_by_the_id_in_lower_case(self, server: ResourceGraphServer, trusted: Path, spelt: str) -> None:
        server.changes = [Change(target_id=HUB)]
        assert await last_changes(server, trusted, spelt, HUB) == {HUB.lower(): BY_ALICE}

    async def test_is_of_the_resources_asked_for_alone(self, server: ResourceGraphServer, trusted: Path) -> None:
        server.changes = [
            Change(target_id=nsg("spoke")),
            Change(target_id=nsg("edge"), subscription_id=OTHER_SUBSCRIPTION),
            Change(target_id=HUB),
        ]
        assert set(await last_changes(server, trusted, HUB, nsg("edge"), nsg("quiet"))) == {HUB.lower()}

    async def test_is_empty_where_nothing_is_known(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture
    ) -> None:
        assert await last_changes(server, trusted, HUB) == {}
        assert [record for record in silent.records if record.levelno >= logging.WARNING] == []

    async def test_of_nothing_takes_no_request(self, server: ResourceGraphServer, trusted: Path) -> None:
        assert await last_changes(server, trusted) == {}
        assert server.received == []

    @pytest.mark.parametrize("said", [None, "", " ", "Unknown", "Unspecified", "unspecified"])
    async def test_leaves_out_what_says_nothing(
        self, server: ResourceGraphServer, trusted: Path, said: str | None
    ) -> None:
        server.changes = [Change(target_id=HUB, changed_by=said, client=said)]
        assert await last_changes(server, trusted, HUB) == {HUB.lower(): ResourceChange(changed_at=FIVE)}

    @pytest.mark.parametrize("said", ["System", "0a1b2c3d-0000-0000-0000-000000000000"])
    async def test_keeps_what_is_no_person(self, server: ResourceGraphServer, trusted: Path, said: str) -> None:
        server.changes = [Change(target_id=HUB, changed_by=said, client=said)]
        (change,) = (await last_changes(server, trusted, HUB)).values()
        assert (change.changed_by, change.client) == (said, said)

    async def test_is_nothing_where_all_of_it_says_nothing(self, server: ResourceGraphServer, trusted: Path) -> None:
        server.changes = [Change(target_id=HUB, timestamp="", changed_by="Unspecified", client="Unknown")]
        assert await last_changes(server, trusted, HUB) == {}


class TestManyResources:
    async def test_come_page_by_page(self, server: ResourceGraphServer, trusted: Path) -> None:
        ids = [nsg(str(number)) for number in range(5)]
        server.changes = [Change(target_id=each) for each in ids]
        server.page_size = 3
        assert set(await last_changes(server, trusted, *ids)) == {each.lower() for each in ids}
        assert [asked.options.get("$skipToken") for asked in server.received] == [None, "3"]

    async def test_take_a_query_for_200_of_them(self, server: ResourceGraphServer, trusted: Path) -> None:
        ids = [nsg(f"{number}-{'x' * 60}") for number in range(500)]
        server.changes = [Change(target_id=each) for each in ids]
        assert set(await last_changes(server, trusted, *ids, *map(str.upper, ids))) == {each.lower() for each in ids}
        assert len(server.received) == 3
        assert max(len(asked.query) for asked in server.received) < 64 * 1024

    async def test_are_told_as_far_as_the_answers_went(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture
    ) -> None:
        ids = sorted(nsg(f"{number:03}") for number in range(300))
        server.replies.extend([Reply(body=rows_as_body(row(ids[0]))), Reply(status=403)])
        assert set(await last_changes(server, trusted, *ids)) == {ids[0].lower()}
        assert "HttpResponseError 403" in warning(silent)

    async def test_cut_short_are_told_to_be(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture
    ) -> None:
        cut = {**json.loads(rows_as_body(row(HUB))), "resultTruncated": "true"}
        server.replies.append(Reply(body=json.dumps(cut)))
        assert await last_changes(server, trusted, HUB) == {HUB.lower(): BY_ALICE}
        assert "an answer cut short" in warning(silent)


class TestAnId:
    @pytest.mark.parametrize(
        "name",
        ["it's", "'", "a\\", "a\\'b", "') or true or ('", 'say "hub"', "a | project id", "// a", "größe", "a{b}"],
    )
    async def test_with_any_character_is_asked_for_as_it_is(
        self, server: ResourceGraphServer, trusted: Path, name: str
    ) -> None:
        server.changes = [Change(target_id=nsg(name)), Change(target_id=HUB)]
        assert await last_changes(server, trusted, nsg(name)) == {nsg(name).lower(): BY_ALICE}

    @pytest.mark.parametrize("name", ["a\nb", "a\r", "\0", "a\u2028b", "{{/subscriptions/x}}"])
    async def test_that_no_literal_can_hold_is_left_out(
        self, server: ResourceGraphServer, trusted: Path, name: str
    ) -> None:
        server.changes = [Change(target_id=HUB)]
        assert await last_changes(server, trusted, nsg(name), HUB) == {HUB.lower(): BY_ALICE}
        assert name not in server.received[0].query


class TestAThrottledRequest:
    async def test_is_sent_again_when_it_may_be(self, server: ResourceGraphServer, trusted: Path) -> None:
        server.changes = [Change(target_id=HUB)]
        server.replies.append(Reply(status=429, headers={"Retry-After": "0.2"}))
        assert await last_changes(server, trusted, HUB) == {HUB.lower(): BY_ALICE}
        first, second = server.received
        assert second.at - first.at >= 0.2

    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_is_sent_again_where_no_time_is_named(
        self, server: ResourceGraphServer, trusted: Path, status: int
    ) -> None:
        server.changes = [Change(target_id=HUB)]
        server.replies.append(Reply(status=status))
        assert await last_changes(server, trusted, HUB) == {HUB.lower(): BY_ALICE}

    async def test_waits_no_longer_than_a_call_may_take(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture
    ) -> None:
        server.replies.append(Reply(status=429, headers={"Retry-After": "3600"}))
        assert await last_changes(server, trusted, HUB, time_limit_seconds=0.2) == {}
        assert "TimeoutError" in warning(silent)

    async def test_is_not_sent_while_the_quota_is_spent(self, server: ResourceGraphServer, trusted: Path) -> None:
        watch = Watch()
        server.headers = {"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": "00:00:04"}
        async with history(server, trusted, clock=watch, sleep=watch.sleep) as opened:
            await opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB])
            assert watch.slept == []
            server.headers = {"x-ms-user-quota-remaining": "14", "x-ms-user-quota-resets-after": "00:00:05"}
            await opened.last_changes(subscription_id=OTHER_SUBSCRIPTION, resource_ids=[HUB])
            await opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB])
        (slept,) = watch.slept
        assert 4 <= slept <= 6

    async def test_waits_for_the_quota_no_longer_than_a_call_may_take(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture
    ) -> None:
        server.changes = [Change(target_id=HUB)]
        server.headers = {"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": "01:00:00"}
        async with history(server, trusted, time_limit_seconds=0.3) as opened:
            calls = [opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB]) for _ in range(2)]
            assert [await call for call in calls] == [{HUB.lower(): BY_ALICE}, {}]
        assert "TimeoutError" in warning(silent)
        assert len(server.received) == 1

    async def test_of_one_caller_counts_for_all(self, server: ResourceGraphServer, trusted: Path) -> None:
        watch = Watch()
        server.headers = {"x-ms-user-quota-remaining": "2", "x-ms-user-quota-resets-after": "01:00:00.5"}
        async with history(server, trusted, clock=watch, sleep=watch.sleep) as opened:
            await opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB])
            server.headers = {}
            calls = [opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB]) for _ in range(5)]
            await asyncio.gather(*calls)
        (slept,) = watch.slept
        assert slept >= 3600.5
        assert len(server.received) == 6

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-ms-user-quota-remaining": "0"},
            {"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": "soon"},
            {"x-ms-user-quota-remaining": "none", "x-ms-user-quota-resets-after": "00:00:05"},
            {"x-ms-user-quota-remaining": "-1", "x-ms-user-quota-resets-after": "00:00:05"},
        ],
        ids=["no time", "no time that can be read", "no number", "a negative number"],
    )
    async def test_heeds_no_header_that_cannot_be_read(
        self, server: ResourceGraphServer, trusted: Path, headers: dict[str, str]
    ) -> None:
        watch = Watch()
        server.headers = headers
        async with history(server, trusted, clock=watch, sleep=watch.sleep) as opened:
            for _ in range(20):
                await opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB])
        assert watch.slept == []


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            pytest.param(Reply(status=403, body='{"error": {"code": "AuthorizationFailed"}}'), "403", id="forbidden"),
            pytest.param(Reply(status=401), "ClientAuthenticationError 401", id="not signed in"),
            pytest.param(Reply(status=400, body="<html>"), "400", id="refused, and no JSON"),
            pytest.param(
                Reply(status=409, body='{"error": {"code": "MissingSubscriptionRegistration", "message": "not \'A.B\'"}}'),
                "ValueError",
                id="an unregistered provider, which the SDK would register",
            ),
            pytest.param(Reply(body="{"), "DecodeError", id="half of the JSON"),
            pytest.param(Reply(body=""), "an answer without rows", id="an empty body"),
            pytest.param(Reply(body="null"), "an answer without rows", id="null"),
            pytest.param(Reply(body="[]"), "DeserializationError", id="a list"),
            pytest.param(Reply(body='"rows"'), "DeserializationError", id="a text"),
            pytest.param(Reply(body="{}"), "an answer without rows", id="an empty object"),
            pytest.param(Reply(body='{"data": {"columns": [], "rows": []}}'), "an answer without rows", id="a table"),
            pytest.param(Reply(body='{"data": [], "$skipToken": {}}'), "400", id="a skip token of another kind"),
            pytest.param(
                Reply(headers={"Content-Type": "text/html"}, body="<html>"),
                "DeserializationError",
                id="a page of a gateway",
            ),
        ],
    )  # fmt: skip
    async def test_costs_a_line_of_warning(
        self,
        server: ResourceGraphServer,
        trusted: Path,
        silent: pytest.LogCaptureFixture,
        reply: Reply,
        kind: str,
    ) -> None:
        server.replies.append(reply)
        assert await last_changes(server, trusted, HUB) == {}
        assert kind in warning(silent)

    async def test_comes_of_a_server_that_hangs(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture
    ) -> None:
        server.replies.append(Reply(hangs=True))
        started = time.monotonic()
        assert await last_changes(server, trusted, HUB, time_limit_seconds=0.3) == {}
        assert 0.3 <= time.monotonic() - started < 5
        assert "TimeoutError" in warning(silent)

    async def test_of_one_caller_holds_up_no_other(self, server: ResourceGraphServer, trusted: Path) -> None:
        server.changes = [Change(target_id=HUB)]
        server.replies.append(Reply(hangs=True))
        async with history(server, trusted, time_limit_seconds=2) as opened:
            hanging = asyncio.create_task(opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB]))
            async with asyncio.timeout(2):
                await server.arrived.wait()
            answered = await opened.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB])
            assert not hanging.done()
            assert answered == {HUB.lower(): BY_ALICE}
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging

    async def test_comes_of_nobody_listening(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture
    ) -> None:
        assert await last_changes(server, trusted, HUB, base_url="https://127.0.0.1:1") == {}
        assert "ServiceRequestError" in warning(silent)

    @pytest.mark.parametrize(
        "error",
        [ClientAuthenticationError(f"no identity for {HUB}, not with {TOKEN}"), RuntimeError(f"{TOKEN} in {HUB}")],
        ids=["an identity that cannot sign in", "a credential that breaks"],
    )
    async def test_comes_of(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture, error: Exception
    ) -> None:
        assert await last_changes(server, trusted, HUB, credential=Credential(error)) == {}
        assert type(error).__name__ in warning(silent)

    @pytest.mark.parametrize(
        "rubbish",
        [
            pytest.param(None, id="null"),
            pytest.param(7, id="a number"),
            pytest.param([], id="a list"),
            pytest.param({}, id="an empty row"),
            pytest.param({"targetId": None, "changedAt": None, "changedBy": None, "client": None}, id="no id"),
            pytest.param({"targetId": HUB, "changedAt": "yesterday", "changedBy": "x", "client": "y"}, id="no time"),
            pytest.param({"targetId": HUB, "changedAt": 1, "changedBy": "x", "client": "y"}, id="a time as a number"),
            pytest.param({"targetId": HUB, "changedAt": None, "changedBy": {}, "client": "y"}, id="no author"),
        ],
    )
    async def test_comes_of_a_row_that_cannot_be_read_and_others_are_kept(
        self, server: ResourceGraphServer, trusted: Path, silent: pytest.LogCaptureFixture, rubbish: Any
    ) -> None:
        server.replies.append(Reply(body=rows_as_body(rubbish, row(nsg("spoke")), rubbish, row(nsg("stranger")))))
        assert await last_changes(server, trusted, HUB, nsg("spoke")) == {nsg("spoke").lower(): BY_ALICE}
        assert warning(silent).count("a row that cannot be read") == 1

    async def test_is_all_that_no_history_gives(self) -> None:
        nothing: ChangeHistory = NoChangeHistory()
        assert await nothing.last_changes(subscription_id=SUBSCRIPTION, resource_ids=[HUB]) == {}


def test_a_call_takes_half_a_minute_at_most_unless_told_otherwise() -> None:
    assert inspect.signature(ResourceGraphChangeHistory).parameters["time_limit_seconds"].default == 30


@pytest.mark.parametrize(
    ("cloud", "host", "audience"),
    [
        ("AZURE_US_GOVERNMENT", "management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net/.default"),
        ("AZURE_CHINA_CLOUD", "management.chinacloudapi.cn", "https://management.chinacloudapi.cn/.default"),
    ],
)
async def test_a_sovereign_cloud_is_the_sdks_matter(
    monkeypatch: pytest.MonkeyPatch, cloud: str, host: str, audience: str
) -> None:
    monkeypatch.setenv("AZURE_SDK_CLOUD_CONF", cloud)
    async with ResourceGraphChangeHistory(Credential()) as opened:
        assert opened._client._config.credential_scopes == [audience]
        assert host in opened._client._client._base_url


class TestTheServer:
    @pytest.mark.parametrize(
        "query",
        [
            "resources",
            "resourcechanges | take 1",
            "resourcechanges | where id in~ ('it's')",
            "resourcechanges | where id in~ ('a') or true",
            "resourcechanges | project nothing",
            "resourcechanges | extend a = upper(id)",
            "resourcechanges | where id in~ ('{{/x}}')",
        ],
    )
    def test_refuses_what_it_does_not_know(self, query: str) -> None:
        with pytest.raises(InvalidQueryError):
            evaluate(query, [Change(target_id=HUB).row(0)])

    def test_gives_all_changes_where_none_is_chosen(self) -> None:
        rows = [Change(target_id=HUB).row(number) for number in range(2)]
        assert len(evaluate("resourcechanges | project id", rows)) == 2


def row(resource_id: str) -> dict[str, Any]:
    return {
        "id": "x",
        "targetId": resource_id.lower(),
        "changedAt": "2026-11-25T05:00:00.0000000Z",
        "changedBy": "alice@example.com",
        "client": "Azure Portal",
        "new": 1,
    }
