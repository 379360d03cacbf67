"""Which variables Terraform gets."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from adapters.terraform_environment import secrets_of, terraform_environment
from records.errors import SettingsError

PASSED = [
    "PATH", "ARM_CLIENT_SECRET", "ARM_USE_OIDC", "ARM_ACCESS_KEY", "TF_VAR_market", "TF_TOKEN_example_test", "TF_ENCRYPTION",
    "TF_REGISTRY_CLIENT_TIMEOUT", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "ACTIONS_ID_TOKEN_REQUEST_URL",
    "SYSTEM_OIDCREQUESTURI", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE",
]  # fmt: skip
KEPT_BACK = [
    "ESTATE_CONNECTION_STRING", "RESULTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_CONNECTION_STRING", "AzureWebJobsStorage",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_CLIENT_SECRET", "WEBSITE_AUTH_ENCRYPTION_KEY", "GITHUB_TOKEN", "LD_PRELOAD",
    "PYTHONPATH", "TF_LOG", "TF_LOG_PATH", "TF_LOG_PROVIDER", "TF_CLI_ARGS", "TF_CLI_ARGS_plan", "TF_DATA_DIR",
    "TF_REATTACH_PROVIDERS", "TF_BINARY", "TF_ACC", "TF_CLOUD_HOSTNAME", "TF_STATE_PERSIST_INTERVAL", "TF_UNHEARD_OF",
    "TF_WORKSPACE",
]  # fmt: skip
NO_SIGN_IN: Mapping[str, str] = MappingProxyType({})


def environment(
    own: dict[str, str],
    *,
    workspace: str | None = None,
    subscription_id: str | None = None,
    also: tuple[str, ...] = (),
    sign_in: Mapping[str, str] = NO_SIGN_IN,
) -> dict[str, str]:
    return terraform_environment(
        own,
        home=Path("/private/h"),
        temporary=Path("/private/t"),
        plugin_cache=Path("/private/c"),
        workspace=workspace,
        subscription_id=subscription_id,
        also=also,
        sign_in=sign_in,
    )


@pytest.mark.parametrize("name", PASSED)
def test_terraform_sees_what_it_needs(name: str) -> None:
    assert environment({name: "value"})[name] == "value"


@pytest.mark.parametrize("name", KEPT_BACK)
def test_terraform_does_not_see_what_is_not_on_the_list(name: str) -> None:
    assert "hunter2" not in environment({name: "hunter2"}).values()


def test_what_is_ours_to_say_is_not_the_callers() -> None:
    ours = {
        "HOME": "/private/h",
        "TMPDIR": "/private/t",
        "TF_PLUGIN_CACHE_DIR": "/private/c",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }
    assert environment(dict.fromkeys(ours, "other")) == ours
    assert environment({"ARM_SUBSCRIPTION_ID": "own"}, subscription_id="of-the-market", workspace="prod") == ours | {
        "ARM_SUBSCRIPTION_ID": "of-the-market",
        "TF_WORKSPACE": "prod",
    }


def test_further_variables_go_through_by_name() -> None:
    assert (
        environment({"DATADOG_API_KEY": "a", "DATADOG_APP_KEY": "b"}, also=("DATADOG_API_KEY",))["DATADOG_API_KEY"]
        == "a"
    )


@pytest.mark.parametrize(
    "name", ["TF_LOG", "TF_CLI_ARGS_plan", "AzureWebJobsStorage", "ESTATE_CONNECTION_STRING", "HOME"]
)
def test_some_variables_go_through_by_no_name(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        environment({name: "hunter2"}, also=(name,))


def test_what_terraform_finds_through_home_is_still_found(tmp_path: Path) -> None:
    assert "TF_CLI_CONFIG_FILE" not in environment({"HOME": str(tmp_path)})
    (tmp_path / ".terraformrc").touch()
    (tmp_path / ".azure").mkdir()
    found = environment({"HOME": str(tmp_path)})
    assert (found["TF_CLI_CONFIG_FILE"], found["AZURE_CONFIG_DIR"]) == (
        f"{tmp_path}/.terraformrc",
        f"{tmp_path}/.azure",
    )
    named = environment({"HOME": str(tmp_path), "TF_CLI_CONFIG_FILE": "mirror.tfrc", "AZURE_CONFIG_DIR": "/srv/azure"})
    assert named["TF_CLI_CONFIG_FILE"] == str(Path("mirror.tfrc").absolute())
    assert named["AZURE_CONFIG_DIR"] == "/srv/azure"


def test_terraform_that_is_given_tokens_sees_no_other_way_to_the_apps_identities() -> None:
    platforms = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET")
    told = dict.fromkeys(platforms, "of-the-platform") | {"ARM_USE_MSI": "true", "ARM_CLIENT_ID": "own"}
    ours = {"ARM_MSI_ENDPOINT": "http://127.0.0.1/k", "IDENTITY_ENDPOINT": "http://127.0.0.1/k", "IDENTITY_HEADER": "k"}
    seen = environment(told, sign_in=ours, also=("MSI_SECRET",))
    assert "of-the-platform" not in seen.values()
    assert {name: seen[name] for name in (*ours, "ARM_USE_MSI", "ARM_CLIENT_ID")} == ours | {
        "ARM_USE_MSI": "true",
        "ARM_CLIENT_ID": "own",
    }


def test_credentials_variables_and_a_proxys_password_are_secrets() -> None:
    told = {
        "ARM_CLIENT_SECRET": "client-secret", "ARM_ACCESS_KEY": "access-key", "TF_VAR_password": "pass", "TF_VAR_n": "3",
        "TF_TOKEN_example_test": "registry", "IDENTITY_HEADER": "header", "HTTPS_PROXY": "http://me:hunter2@proxy:3128",
        "ARM_TENANT_ID": "tenant", "PATH": "/usr/bin", "no_proxy": "127.0.0.1", "HTTP_PROXY": "http://proxy:3128/a@b",
    }  # fmt: skip
    assert secrets_of(told) == {
        "client-secret", "access-key", "pass", "registry", "header", "http://me:hunter2@proxy:3128"
    }  # fmt: skip


def test_every_value_that_goes_through_by_its_name_is_a_secret() -> None:
    named = {"GOOGLE_CREDENTIALS": "Sesamoeffnedich", "DATABRICKS_PAT": "Sesamschliessdich", "OCI_TTL": "3"}
    told = environment({**named, "ARM_TENANT_ID": "tenant", "PATH": "/bin"}, also=tuple(named))
    assert secrets_of(told, also=tuple(named)) == {"Sesamoeffnedich", "Sesamschliessdich"}
    assert secrets_of(told) == frozenset()
