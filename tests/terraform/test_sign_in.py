"""The real Terraform and its azurerm backend in an app whose platform gives tokens to who sends a header that they do not.

Storage is Azurite with tokens, and no key is in Terraform's environment. Terraform's proxy lets it reach storage alone, so
that no other way to a token is open.
"""

import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from adapters.azure_retries import RetryLimits
from adapters.managed_identity import sign_in_of
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_environment import own_environment
from adapters.terraform_sign_in import SignIn
from adapters.terraform_states import AzureStates
from records.registry import StateLocation
from records.terraform import Applied, Cause, DeployedRoot, MadePlan, NoAnswer, Step
from tests.terraform.checked_estate import CheckedEstate, checked_estate, rule
from tests.terraform.leaks import leaks
from tests.terraform.test_terraform_cli import Packed, packed, stand_in, wait_for
from tests.world.identity_endpoint import CLIENT_ID, TENANT_ID, IdentityEndpoint, Refused, run_identity_endpoint
from tests.world.sim_cloud import SimCloud, make_sim_cloud
from tests.world.terraform_backend import TerraformWorld

pytestmark = [pytest.mark.terraform, pytest.mark.azurite]

CONTAINER: Final = "signin"
HUB: Final = StateLocation(key="de/hub.tfstate")
STORAGE: Final = "https://storage.azure.com"
OF_THE_APP: Final = {
    "ARM_USE_MSI": "true",
    "ARM_CLIENT_ID": CLIENT_ID,
    "ARM_TENANT_ID": TENANT_ID,
    "ARM_USE_AZUREAD": "true",
    "ARM_STORAGE_USE_AZUREAD": "true",
}
ASK: Final = """
ask() {{
  {python} -c "
import os, sys, urllib.error, urllib.request as u
try:
    status = u.urlopen(u.Request(os.environ['ARM_MSI_ENDPOINT'] + sys.argv[1], headers={{'Metadata': 'true'}})).status
except urllib.error.HTTPError as error:
    status = error.code
print(status, end='')" "?resource=https://storage.azure.com$1" > {folder}/answer
}}
"""
ASKS_WHEN_IT_IS_STOPPED: Final = (
    ASK
    + """
stop() {{ ask; exit 1; }}
trap stop INT
touch {folder}/ready
sleep 73 & wait
"""
)
IS_REFUSED_BEFORE_IT_FAILS: Final = (
    ASK
    + """
case "$1" in init) ask '&client_id=another'; exec terraform "$@";; esac
exit 1
"""
)
NOT_FOUND: Final = Refused(status=400, message="No Managed Identity found, said with planted-in-the-error")


@pytest.fixture
def platform() -> Iterator[IdentityEndpoint]:
    with run_identity_endpoint() as running:
        yield running


@pytest.fixture
def cloud(tmp_path: Path) -> SimCloud:
    return make_sim_cloud(tmp_path / "cloud")


@pytest.fixture
def app(
    terraform_world: TerraformWorld, platform: IdentityEndpoint, cloud: SimCloud, monkeypatch: pytest.MonkeyPatch
) -> TerraformWorld:
    """This process's environment is the app's."""
    monkeypatch.setenv("HTTPS_PROXY", terraform_world.proxy.url)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # Go goes to loopback without a proxy, whatever this says
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(terraform_world.certificate.certificate_file))
    monkeypatch.delenv("ARM_ACCESS_KEY", raising=False)
    for name, value in {**OF_THE_APP, **platform.environment, **cloud.environment}.items():
        monkeypatch.setenv(name, value)
    return terraform_world


@pytest.fixture
def work() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    yield folder
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
def deployed(app: TerraformWorld, cloud: SimCloud, tmp_path: Path) -> Packed:
    """By a pipeline, with the account's key."""
    stack = app.stack(tmp_path / "deployed", key=HUB.key, container=CONTAINER, environment=cloud.environment)
    stack.write(rule("ssh-hub"))
    stack.init()
    stack.apply()
    return packed(stack.folder)


@asynccontextmanager
async def module_of(
    world: TerraformWorld, made: Packed, work: Path, *, binary: str = "terraform"
) -> AsyncIterator[tuple[DeployedRoot, SignIn]]:
    """As the service opens one, with what it is signed in by."""
    states = AzureStates(account_name=world.azurite.account.name, container=CONTAINER)
    async with sign_in_of(own_environment(), RetryLimits(total=1, backoff_seconds=0)) as open_sign_in:
        opened: list[SignIn] = []

        @asynccontextmanager
        async def seen() -> AsyncIterator[SignIn]:
            async with open_sign_in() as sign_in:
                opened.append(sign_in)
                yield sign_in

        options = TerraformOptions(states=states, binary=binary, work_folder=work, grace_seconds=10.0, sign_in=seen)
        async with TerraformCli(options).deployed(content=made.content, bundle=made.bundle, state=HUB) as module:
            yield module, opened[0]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file() and not file.is_symlink()}


async def test_a_drift_is_planned_under_a_lock_and_healed_with_the_apps_identity(
    app: TerraformWorld,
    platform: IdentityEndpoint,
    cloud: SimCloud,
    deployed: Packed,
    work: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    cloud.change("azsim_network_security_rule.ssh-hub", access="Allow")
    async with module_of(app, deployed, work) as (module, signed_in):
        plan = await module.plan(lock_timeout_seconds=0)
        assert isinstance(plan, MadePlan), plan
        assert plan.has_changes
        assert await module.apply(plan, lock_timeout_seconds=0) == Applied(most_writes=1)
        again = await module.plan()
        assert isinstance(again, MadePlan)
        assert not again.has_changes
        written = files_of(work)
    assert cloud.attributes("azsim_network_security_rule.ssh-hub")["access"] == "Deny"
    # One request for all commands: the others had it from azure-identity's cache.
    assert [resource.rstrip("/") for resource in platform.resources] == [STORAGE]
    assert platform.refused == []
    assert any(name.endswith(".plan.out") for name in written)
    assert leaks([*signed_in.secrets, platform.header], {**written, "logs": caplog.text}) == []
    assert set(platform.issued) < signed_in.secrets


async def test_without_an_answer_from_here_terraform_cannot_sign_in(
    app: TerraformWorld, platform: IdentityEndpoint, deployed: Packed, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written about Functions: hand Terraform the platform's own endpoint. That nothing is done then is tested too."""
    monkeypatch.setenv("ARM_MSI_ENDPOINT", platform.url)
    async with module_of(app, deployed, work) as (module, _):
        failed = await module.plan()
    assert isinstance(failed, NoAnswer), failed
    assert (failed.step, failed.cause) == (Step.INIT, Cause.FAILED)
    assert set(platform.refused) == {"does not support the API version '2018-02-01'"}
    assert platform.issued == []


async def test_an_identity_that_fails_makes_a_check_inconclusive_and_is_named(
    app: TerraformWorld, platform: IdentityEndpoint, deployed: Packed, work: Path
) -> None:
    platform.failing = NOT_FOUND
    async with module_of(app, deployed, work) as (module, _):
        failed = await module.plan()
        assert isinstance(failed, NoAnswer), failed
        assert (failed.step, failed.cause) == (Step.INIT, Cause.NOT_SIGNED_IN)
        assert failed.message == (
            "`init` failed: the app's managed identity gave no token for storage.azure.com: HTTP 400. Look whether the app has "
            "the identity that ARM_CLIENT_ID names."
        )
        assert "planted" not in f"{failed}"
        platform.failing = None
        assert isinstance(await module.plan(), MadePlan)


async def test_a_terraform_that_is_stopped_can_still_sign_in_to_give_its_lock_back(
    app: TerraformWorld, platform: IdentityEndpoint, work: Path, tmp_path: Path
) -> None:
    made = packed(tmp_path / "root", {"main.tf": ""})
    binary = stand_in(tmp_path, ASKS_WHEN_IT_IS_STOPPED.format(folder=tmp_path, python=sys.executable))

    async def check() -> None:
        async with module_of(app, made, work, binary=binary) as (module, _):
            await module.plan()

    checking = asyncio.create_task(check())
    await asyncio.to_thread(wait_for, tmp_path / "ready")
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    assert (tmp_path / "answer").read_text() == "200"
    assert platform.resources == [STORAGE]


async def test_a_token_that_an_earlier_command_was_refused_is_not_why_a_later_one_failed(
    app: TerraformWorld, deployed: Packed, work: Path, tmp_path: Path
) -> None:
    binary = stand_in(tmp_path, IS_REFUSED_BEFORE_IT_FAILS.format(folder=tmp_path, python=sys.executable))
    async with module_of(app, deployed, work, binary=binary) as (module, _):
        failed = await module.plan()
    assert (tmp_path / "answer").read_text() == "400"
    assert isinstance(failed, NoAnswer), failed
    assert (failed.step, failed.cause) == (Step.PLAN, Cause.FAILED)


@pytest.fixture
def estate(terraform_world: TerraformWorld, tmp_path: Path) -> Iterator[CheckedEstate]:
    with checked_estate(terraform_world, tmp_path / "estate") as made:
        made.deploy({"de/network": rule("ssh-de")})
        made.cloud.change("azsim_network_security_rule.ssh-de", access="Allow")
        yield made


def test_a_check_and_a_heal_as_they_are_called(estate: CheckedEstate, platform: IdentityEndpoint) -> None:
    app = {**OF_THE_APP, **platform.environment, "ARM_ACCESS_KEY": "", "HEAL_MODE": "on", "RETRY_TOTAL": "1"}
    platform.failing = NOT_FOUND
    held = estate.check("--queue", environment=app)
    platform.failing = None
    found = estate.check("--queue", environment=app)
    healed = estate.command.run("drift", "heal", environment=app)
    assert (held.status, held.of("de/network")["decision"], held.of("de/network")["reason"]) == (
        2,
        "hold",
        "inconclusive",
    )
    assert "managed identity gave no token for storage.azure.com" in held.of("de/network")["diagnostics"][0]
    assert (found.status, found.of("de/network")["decision"]) == (2, "heal")
    assert (healed.status, [job["step"] for job in healed.answer["jobs"]]) == (0, ["verified"])
    assert estate.cloud.attributes("azsim_network_security_rule.ssh-de")["access"] == "Deny"
    said = {str(number): f"{one.stdout}{one.stderr}" for number, one in enumerate((held.ended, found.ended, healed))}
    rows = {table: str(estate.rows(table)) for table in ("planchecks", "heals")}
    assert leaks([*platform.issued, platform.header], {**said, **rows}) == []
    assert leaks(["planted-in-the-error"], {**said, **rows}) == []
