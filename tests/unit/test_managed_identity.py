"""When Terraform is given a hand, and what azure-identity's own credential makes of the platform's answers."""

from collections.abc import Iterator
from typing import Final

import pytest

from adapters.azure_retries import RetryLimits
from adapters.managed_identity import needs_a_hand, sign_in_of
from adapters.terraform_sign_in import by_itself
from tests.unit.test_terraform_tokens import STORAGE, ask
from tests.world.identity_endpoint import CLIENT_ID, IdentityEndpoint, Refused, run_identity_endpoint

IN_FUNCTIONS: Final = {
    "ARM_USE_MSI": "true",
    "IDENTITY_ENDPOINT": "http://localhost:8081/msi/token",
    "IDENTITY_HEADER": "header",
}
ONE_TRY: Final = RetryLimits(total=0, backoff_seconds=0)


def without(name: str) -> dict[str, str]:
    return {other: value for other, value in IN_FUNCTIONS.items() if other != name}


@pytest.mark.parametrize(
    ("own", "needed"),
    [
        pytest.param(IN_FUNCTIONS, True, id="in Functions"),
        pytest.param({**IN_FUNCTIONS, "ARM_USE_MSI": "1"}, True, id="in Functions, as Go also spells true"),
        pytest.param(
            {**IN_FUNCTIONS, "MSI_ENDPOINT": "u", "MSI_SECRET": "s"}, True, id="in App Service, with old names"
        ),
        pytest.param({"ARM_USE_MSI": "true"}, False, id="on a machine"),
        pytest.param(without("ARM_USE_MSI"), False, id="with another way to sign in"),
        pytest.param({**IN_FUNCTIONS, "ARM_USE_MSI": "false"}, False, id="with managed identities switched off"),
        pytest.param({**IN_FUNCTIONS, "ARM_MSI_ENDPOINT": "http://x"}, False, id="with an endpoint that somebody set"),
        pytest.param(without("IDENTITY_HEADER"), False, id="in Azure Arc, which has no header"),
        pytest.param({**IN_FUNCTIONS, "IDENTITY_HEADER": ""}, False, id="with an empty header"),
    ],
)
async def test_terraform_is_given_a_hand_only_where_it_cannot_ask_itself(own: dict[str, str], needed: bool) -> None:
    assert needs_a_hand(own) is needed
    if not needed:
        async with sign_in_of(own, ONE_TRY) as sign_in:
            assert sign_in is by_itself
            async with sign_in() as signed_in:
                assert (signed_in.environment, signed_in.secrets, signed_in.failure) == ({}, frozenset(), None)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityEndpoint]:
    with run_identity_endpoint() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


async def test_one_identity_and_its_cache_serve_all_folders(platform: IdentityEndpoint) -> None:
    own = {"ARM_USE_MSI": "true", "ARM_CLIENT_ID": CLIENT_ID, **platform.environment}
    async with sign_in_of(own, ONE_TRY) as sign_in:
        for _ in range(2):
            async with sign_in() as served:
                answer = await ask(served, resource=STORAGE, client_id=CLIENT_ID)
                assert answer.body["access_token"] == platform.issued[0]
    assert platform.resources == [STORAGE]


@pytest.mark.parametrize(
    ("failing", "header", "said"),
    [
        pytest.param(Refused(status=400, message="planted"), None, "HTTP 400", id="it knows no such identity"),
        pytest.param(Refused(status=500, message="planted"), None, "HTTP 500", id="it fails"),
        pytest.param(
            Refused(status=200, message="planted"), None, "an answer without a token", id="it answers without one"
        ),
        pytest.param(None, "another", "HTTP 403", id="the header is not its own"),
    ],
)
async def test_why_there_is_no_token_is_told_without_the_platforms_words(
    platform: IdentityEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    failing: Refused | None,
    header: str | None,
    said: str,
) -> None:
    platform.failing = failing
    if header:
        monkeypatch.setenv("IDENTITY_HEADER", header)
    own = {"ARM_USE_MSI": "true", "ARM_CLIENT_ID": CLIENT_ID, **platform.environment}
    async with sign_in_of(own, ONE_TRY) as sign_in, sign_in() as served:
        answer = await ask(served, resource=STORAGE)
    assert answer.status == 400
    assert f": {said}. Look whether" in answer.body["error_description"]
    assert "planted" not in str(answer.body)


async def test_a_platform_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {**IN_FUNCTIONS, "IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token", "ARM_CLIENT_ID": CLIENT_ID}
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, own[name])
    async with sign_in_of(own, ONE_TRY) as sign_in, sign_in() as served:
        answer = await ask(served, resource=STORAGE)
    assert ": its endpoint did not answer." in answer.body["error_description"]
