"""What plan checks are opened with: the queue's account, one identity, and how Terraform is run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from annotated_types import Ge, Le

from adapters import azure_bootstrap
from adapters.azure_bootstrap import open_azure_estate
from adapters.azure_checks import AzureCheckStore
from adapters.azure_drift_bootstrap import open_azure_drift_stores
from adapters.azure_heal_queue import AzureHealQueue
from adapters.drift_bootstrap import open_folder_drift_stores, terraform_options
from adapters.folder_checks import FolderCheckStore
from adapters.settings import Settings, load_settings
from adapters.terraform_states import AzureStates, FolderStates
from drift.policy import Limits, Policy
from records.errors import SettingsError
from records.heals import HealMode
from records.plan_checks import CheckRunRow
from records.policy_source import MarkedValues
from tests.contract_worlds import SIX

KEY: Final = "aHVudGVyMg=="


class Identity:
    """Stands in for `DefaultAzureCredential`; ``made`` are all that were made."""

    made: Final[list["Identity"]] = []

    def __init__(self) -> None:
        self.is_closed = False
        self.made.append(self)

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        raise AssertionError("nothing is to be asked for")

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Identity]]:
    Identity.made.clear()
    monkeypatch.setattr(azure_bootstrap, "DefaultAzureCredential", Identity)
    yield Identity.made
    Identity.made.clear()


def connection_string(account: str) -> str:
    return f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={KEY};EndpointSuffix=core.windows.net"


ESTATE: Final = "https://contosotf.blob.core.windows.net"
QUEUES: Final = [
    pytest.param({"ESTATE_ACCOUNT_URL": ESTATE}, "contosotf", id="the estate's URL"),
    pytest.param(
        {"ESTATE_ACCOUNT_URL": ESTATE, "RESULTS_ACCOUNT_URL": "https://results.table.core.windows.net"},
        "results",
        id="the results' URL",
    ),
    pytest.param(
        {"ESTATE_ACCOUNT_URL": ESTATE, "RESULTS_CONNECTION_STRING": connection_string("results")},
        "results",
        id="the results' connection string",
    ),
    pytest.param({"ESTATE_CONNECTION_STRING": connection_string("estate")}, "estate", id="the estate's"),
    pytest.param(
        {
            "ESTATE_CONNECTION_STRING": connection_string("estate"),
            "QUEUE_ACCOUNT_URL": "https://q.queue.core.windows.net",
        },
        "q",
        id="one of its own",
    ),
]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def use(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


class TestTheQueue:
    @pytest.mark.parametrize(("environment", "account"), QUEUES)
    async def test_is_in_the_account_that_the_settings_tell(
        self, monkeypatch: pytest.MonkeyPatch, identities: list[Identity], environment: dict[str, str], account: str
    ) -> None:
        settings = use(monkeypatch, environment)
        async with open_azure_estate(settings) as estate, open_azure_drift_stores(estate, settings) as stores:
            assert isinstance(stores.queue, AzureHealQueue)
            assert isinstance(stores.checks, AzureCheckStore)
            assert stores.queue._queue.url == f"https://{account}.queue.core.windows.net/auto-apply"
            assert len(identities) == any("URL" in name for name in environment)
        assert all(identity.is_closed for identity in identities)

    @pytest.mark.parametrize(
        ("environment", "named"),
        [
            pytest.param(
                {
                    "ESTATE_ACCOUNT_URL": "https://e.example.com",
                    "RESULTS_CONNECTION_STRING": "",
                    "RESULTS_ACCOUNT_URL": "https://r.example.com",
                },
                "RESULTS_ACCOUNT_URL",
                id="a results account of another host",
            ),
            pytest.param(
                {
                    "ESTATE_ACCOUNT_URL": ESTATE,
                    "RESULTS_CONNECTION_STRING": f"TableEndpoint=https://r.table.core.windows.net;SharedAccessSignature=sig={KEY}",
                },
                "malformed",
                id="a connection string without a queue",
            ),
        ],
    )
    async def test_that_cannot_be_told_is_a_matter_of_plan_checks_alone(
        self, monkeypatch: pytest.MonkeyPatch, identities: list[Identity], environment: dict[str, str], named: str
    ) -> None:
        settings = use(monkeypatch, environment)
        async with open_azure_estate(settings) as estate:
            with pytest.raises(SettingsError, match="QUEUE_ACCOUNT_URL") as refused:
                async with open_azure_drift_stores(estate, settings):
                    pass
        assert named in str(refused.value)
        assert KEY not in str(refused.value)


async def test_on_disk_all_is_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/policy.yaml").write_text("heal_mode: off\n")
    async with open_folder_drift_stores(tmp_path, load_settings()) as stores:
        await stores.check_runs.save_run(row=CheckRunRow(run_id="r", started_at=SIX))
        assert isinstance(await stores.policy.read(), MarkedValues)
        assert isinstance(stores.checks, FolderCheckStore)
    assert "plancheckruns" in names_in(tmp_path / "tables")


class TestTerraform:
    def test_is_run_as_the_settings_say(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        settings = use(
            monkeypatch,
            {
                "TF_BINARY": "tofu",
                "PLAN_WORK_FOLDER": "/w",
                "PROVIDER_FOLDER": "/p",
                "TF_PASSED_VARIABLES": "A, B",
                "PLAN_LIMIT_SECONDS": "60",
                "PLAN_JSON_MAX_MIB": "2",
                "BUNDLE_MAX_MIB": "3",
                "STATES_CONTAINER": "states",
            },
        )
        options = terraform_options(settings, estate_folder=tmp_path)
        assert options.states == FolderStates(root=tmp_path, container="states")
        assert (options.binary, options.work_folder, options.shared_providers) == ("tofu", Path("/w"), Path("/p"))
        assert (options.also_passed, options.command_limit_seconds) == (("A", "B"), 60)
        assert (options.plan_json_max_bytes, options.bundle_max_bytes) == (2 * 1024**2, 3 * 1024**2)

    @pytest.mark.parametrize(
        ("environment", "account"),
        [
            pytest.param({"ESTATE_ACCOUNT_URL": ESTATE}, "contosotf", id="a URL"),
            pytest.param(
                {"ESTATE_ACCOUNT_URL": "https://Contosotf.privatelink.blob.core.windows.net/"},
                "contosotf",
                id="a private link",
            ),
            pytest.param({"ESTATE_CONNECTION_STRING": connection_string("estate")}, "estate", id="a connection string"),
            pytest.param({"ESTATE_CONNECTION_STRING": "UseDevelopmentStorage=true"}, "devstoreaccount1", id="Azurite"),
        ],
    )
    def test_finds_states_in_the_estate_s_account(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], account: str
    ) -> None:
        options = terraform_options(use(monkeypatch, environment), estate_folder=None)
        assert options.states == AzureStates(account_name=account, container="tfstate")
        assert (options.work_folder, options.shared_providers, options.also_passed) == (None, None, ())

    @pytest.mark.parametrize(
        ("environment", "named"),
        [
            pytest.param({}, "no estate", id="none"),
            pytest.param(
                {"ESTATE_ACCOUNT_URL": "https://storage.example.com"}, "ESTATE_ACCOUNT_URL", id="another host"
            ),
            pytest.param({"ESTATE_CONNECTION_STRING": f"BlobEndpoint=x;Sig={KEY}"}, "AccountName", id="no name"),
        ],
    )
    def test_is_not_sent_to_an_account_that_nobody_named(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: str
    ) -> None:
        with pytest.raises(SettingsError, match=named) as refused:
            terraform_options(use(monkeypatch, environment), estate_folder=None)
        assert KEY not in str(refused.value)


class TestLimits:
    @pytest.mark.parametrize("name", Limits.model_fields)
    def test_of_the_settings_are_those_of_the_policy(self, name: str) -> None:
        setting, limit = Settings.model_fields[name], Limits.model_fields[name]
        bounds = [[mark for mark in field.metadata if isinstance(mark, Ge | Le)] for field in (setting, limit)]
        assert bounds[0] == bounds[1] != []
        assert setting.default == limit.default

    def test_without_settings_the_policy_says_how_far_to_go(self) -> None:
        assert load_settings().heal_mode is None
        assert Policy().heal_mode is HealMode.DRY_RUN
