"""Who gets a token at the endpoint that is there for one Terraform, and who does not. Asked over HTTP, as Terraform would."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import pytest

from adapters import terraform_tokens
from adapters.terraform_sign_in import SignIn
from adapters.terraform_tokens import NoToken, Token, tokens_served
from records.errors import BundleError

OWN: Final = "11111111-2222-4333-8444-55555555aaaa"
OTHER: Final = "66666666-2222-4333-8444-555555555555"
STORAGE: Final = "https://storage.azure.com/"
METADATA: Final = {"Metadata": "true"}
VALUE: Final = "eyJ0eXAiOiJKV1Qi.the-token-of-the-app"


@dataclass
class Source:
    """An identity whose tokens are good for an hour."""

    client_id: str | None = OWN
    fails: NoToken | None = None
    hangs: bool = False
    asked: list[str] = field(default_factory=list)

    async def token_for(self, resource: str) -> Token | NoToken:
        self.asked.append(resource)
        if self.hangs:
            await asyncio.Event().wait()
        return self.fails or Token(value=VALUE, expires_on=int(time.time()) + 3600)


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def served(source: Source) -> AsyncIterator[SignIn]:
    async with tokens_served(source) as made:
        yield made


async def ask(
    served: SignIn,
    *,
    path: str | None = None,
    headers: Mapping[str, str] = METADATA,
    method: str = "GET",
    **query: str,
) -> Answer:
    url = served.environment["ARM_MSI_ENDPOINT"]
    if path is not None:
        url = url.replace(urlsplit(url).path, path)
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method,
            url,
            params={name.replace("api_v", "api-v"): value for name, value in query.items()},
            headers=headers,
        ) as response,
    ):
        return Answer(response.status, await response.json())


async def test_terraforms_request_is_answered_as_a_machines_metadata_service_would(
    served: SignIn, source: Source
) -> None:
    answer = await ask(served, api_version="2018-02-01", resource=STORAGE, client_id=OWN)
    assert answer.status == 200
    assert source.asked == [STORAGE]
    now = time.time()
    lifetime, ends, begins = (float(answer.body.pop(name)) for name in ("expires_in", "expires_on", "not_before"))
    assert 3500 < lifetime <= 3600
    assert ends - now == pytest.approx(3600, abs=60)
    assert begins == pytest.approx(now, abs=60)
    assert answer.body == {"access_token": VALUE, "client_id": OWN, "resource": STORAGE, "token_type": "Bearer"}
    assert served.failure is None


async def test_microsofts_clients_are_answered_as_app_service_would(served: SignIn) -> None:
    told = served.environment
    assert told["IDENTITY_ENDPOINT"] == told["ARM_MSI_ENDPOINT"]
    key = {"X-IDENTITY-HEADER": told["IDENTITY_HEADER"]}
    answer = await ask(served, headers=key, api_version="2019-08-01", resource=STORAGE)
    assert (answer.status, answer.body["access_token"]) == (200, VALUE)


@pytest.mark.parametrize(
    "resource",
    [
        "https://management.azure.com", "https://management.core.windows.net/", "https://graph.microsoft.com",
        "https://contoso.azconfig.io", "https://ossrdbms-aad.database.windows.net", "https://batch.core.windows.net/",
        "api://contoso.example/app", "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
    ],
)  # fmt: skip
async def test_any_application_may_be_asked_for(served: SignIn, source: Source, resource: str) -> None:
    assert (await ask(served, resource=resource, client_id=OWN.upper())).status == 200
    assert source.asked == [resource]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        pytest.param({"path": "/token"}, 404, "nothing here", id="at a path without the key"),
        pytest.param({"path": "/metadata/identity/oauth2/token"}, 404, "nothing here", id="at a machine's path"),
        pytest.param({"path": "/"}, 404, "nothing here", id="at the root"),
        pytest.param({"path": "/ключ/token"}, 404, "nothing here", id="at a path in another alphabet"),
        pytest.param({"headers": {}}, 400, "Metadata: true", id="without the header"),
        pytest.param({"headers": {"Metadata": "false"}}, 400, "Metadata: true", id="with the header's other value"),
        pytest.param({"headers": {"X-IDENTITY-HEADER": "guessed"}}, 400, "Metadata: true", id="with another key"),
        pytest.param({"method": "POST"}, 400, "GET", id="with another method"),
        pytest.param({"client_id": OTHER}, 400, "another identity", id="for another identity"),
        pytest.param({"client_id": ""}, 400, "another identity", id="for an identity without a name"),
        pytest.param({"mi_res_id": "/subscriptions/x"}, 400, "another identity", id="for an identity by its resource"),
        pytest.param({"object_id": OWN}, 400, "another identity", id="for an identity by its object"),
        pytest.param({"clientid": OWN}, 400, "another identity", id="in the dialect of 2017"),
        pytest.param({"resource": ""}, 400, "resource", id="for no application"),
        pytest.param({"resource": "https://user:pw@storage.azure.com"}, 400, "resource", id="with a password in it"),
        pytest.param({"resource": "https://storage.azure.com?a=b"}, 400, "resource", id="with a query in it"),
        pytest.param({"resource": "http://storage.azure.com"}, 400, "resource", id="in clear"),
        pytest.param({"resource": "https://a\r\nb"}, 400, "resource", id="with a line break in it"),
        pytest.param({"resource": "https://" + "a" * 600}, 400, "resource", id="at endless length"),
    ],
)
async def test_no_token_is_given(served: SignIn, source: Source, asked: Any, status: int, said: str) -> None:
    answer = await ask(served, **{"resource": STORAGE, **asked})
    assert answer.status == status
    assert answer.body["error"] == "invalid_request"
    assert said in answer.body["error_description"]
    assert source.asked == []
    assert (served.failure is None) == (status == 404)


async def test_two_identities_in_one_request_are_none(served: SignIn, source: Source) -> None:
    url = f"{served.environment['ARM_MSI_ENDPOINT']}?resource={STORAGE}&client_id={OWN}&client_id={OTHER}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=METADATA) as response:
        assert response.status == 400
    assert source.asked == []


async def test_of_an_identity_of_the_platforms_making_nobody_may_say_a_name() -> None:
    async with tokens_served(Source(client_id=None)) as served:
        answer = await ask(served, resource=STORAGE)
        assert (answer.status, "client_id" in answer.body) == (200, False)
        assert (await ask(served, resource=STORAGE, client_id=OTHER)).status == 400


async def test_an_identity_that_fails_is_an_answer_and_is_named_until_it_recovers(
    served: SignIn, source: Source
) -> None:
    source.fails = NoToken(reason="HTTP 500")
    answer = await ask(served, resource=STORAGE)
    assert (answer.status, answer.body["error_description"]) == (400, served.failure)
    assert "no token for storage.azure.com: HTTP 500." in str(served.failure)
    source.fails = None
    await ask(served, resource="https://graph.microsoft.com")
    assert "storage.azure.com" in str(served.failure)
    await ask(served, resource=STORAGE)
    assert served.failure is None


async def test_a_failure_is_not_the_next_commands(served: SignIn) -> None:
    await ask(served, resource=STORAGE, client_id=OTHER)
    assert served.failure
    served.next_command()
    assert served.failure is None


async def test_an_identity_that_hangs_is_waited_for_less_long_than_terraform_waits(
    served: SignIn, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert terraform_tokens._ANSWER_WITHIN_SECONDS < 10
    monkeypatch.setattr(terraform_tokens, "_ANSWER_WITHIN_SECONDS", 0.05)
    source.hangs = True
    answer = await ask(served, resource=STORAGE)
    assert (answer.status, "no answer within 0.05 s" in answer.body["error_description"]) == (400, True)


async def test_tokens_and_the_key_are_secrets_and_are_logged_nowhere(
    served: SignIn, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = served.environment["IDENTITY_HEADER"]
    assert len(key) >= 43
    assert served.secrets == {key}
    await ask(served, resource=STORAGE)
    await ask(served, resource=STORAGE, headers={})
    await ask(served, path="/somewhere")
    assert served.secrets == {key, VALUE}
    for text in (caplog.text, repr(served), str(served), repr(Token(value=VALUE, expires_on=1))):
        assert VALUE not in text
        assert key not in text


async def test_every_folder_has_an_endpoint_of_its_own(source: Source) -> None:
    async with tokens_served(source) as one, tokens_served(source) as other:
        path = urlsplit(one.environment["ARM_MSI_ENDPOINT"]).path
        assert (await ask(other, path=path, resource=STORAGE)).status == 404


async def test_nothing_listens_once_the_folder_is_gone_however_it_went(source: Source) -> None:
    async with tokens_served(source) as served:
        address = urlsplit(served.environment["ARM_MSI_ENDPOINT"])
        await ask(served, resource=STORAGE)
    assert address.hostname == "127.0.0.1"
    assert not listens(address.port)

    entered = asyncio.Event()
    ports: list[int | None] = []
    source.hangs = True

    async def plan() -> None:
        async with tokens_served(source) as served:
            ports.append(urlsplit(served.environment["ARM_MSI_ENDPOINT"]).port)
            asking = asyncio.create_task(ask(served, resource=STORAGE))
            while len(source.asked) < 2:  # noqa: ASYNC110 (the request tells nobody)
                await asyncio.sleep(0.01)
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                asking.cancel()

    planning = asyncio.create_task(plan())
    await entered.wait()
    assert listens(ports[0])
    planning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await planning
    assert not listens(ports[0])


async def test_a_machine_without_a_socket_to_spare_is_one_stacks_bad_luck(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: Any) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "create_server", none_left)
    with pytest.raises(BundleError, match="Too many open files"):
        async with tokens_served(source):
            pass


def listens(port: int | None) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
