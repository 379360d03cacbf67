"""Where a stack's state is, as a registry entry says it."""

from pathlib import Path
from typing import Any

import pytest

from adapters.settings import Settings
from adapters.state_locations import location_in_azure, location_of_options, location_on_disk
from adapters.terraform_backend import AzurermBackend, LocalBackend, OtherBackend
from records.errors import SettingsError
from records.registry import Elsewhere, StateLocation

OWN = Settings(estate_account_url="https://contosotf.blob.core.windows.net")
BY_STRING = Settings.model_validate(
    {"estate_connection_string": "AccountName=contosotf;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/contosotf"}
)


def backend(**changes: Any) -> AzurermBackend:
    said = {"storage_account_name": "contosotf", "container": "tfstate", "key": "de/app.tfstate", "workspace": None}
    return AzurermBackend(**(said | changes))


@pytest.mark.parametrize("settings", [OWN, BY_STRING], ids=["by an identity", "by a connection string"])
@pytest.mark.parametrize(
    ("changes", "location"),
    [
        pytest.param({}, {}, id="the estate's own"),
        pytest.param({"storage_account_name": None}, {}, id="no account"),
        pytest.param({"container": "states-de"}, {"container": "states-de"}, id="another container"),
        pytest.param({"workspace": "prod"}, {"workspace": "prod"}, id="a workspace"),
    ],
)
def test_what_is_the_estates_own_goes_without_saying(
    settings: Settings, changes: dict[str, Any], location: dict[str, str]
) -> None:
    assert location_in_azure(backend(**changes), settings) == StateLocation(key="de/app.tfstate", **location)


def test_another_account_has_the_url_of_the_estates_cloud() -> None:
    sovereign = Settings(estate_account_url="https://contosotf.blob.core.chinacloudapi.cn")
    location = location_in_azure(backend(storage_account_name="marketde"), sovereign)
    assert isinstance(location, StateLocation)
    assert location.account_url == "https://marketde.blob.core.chinacloudapi.cn"


def test_another_account_than_a_connection_string_s_must_be_said() -> None:
    with pytest.raises(SettingsError, match=r"marketde.*--state-account-url"):
        location_in_azure(backend(storage_account_name="marketde"), BY_STRING)


def test_the_emulator_s_account_is_the_estate_s_own() -> None:
    settings = Settings.model_validate({"estate_connection_string": "UseDevelopmentStorage=true"})
    location = location_in_azure(backend(storage_account_name="devstoreaccount1"), settings)
    assert location == StateLocation(key="de/app.tfstate")


def test_a_connection_string_that_is_none_is_named_and_not_shown() -> None:
    settings = Settings.model_validate({"estate_connection_string": "AccountKey=a2V5;hunter2"})
    with pytest.raises(SettingsError, match="ESTATE_CONNECTION_STRING") as refused:
        location_in_azure(backend(), settings)
    assert "hunter2" not in str(refused.value)


def test_an_estate_on_disk_has_no_accounts(tmp_path: Path) -> None:
    location = location_on_disk(backend(storage_account_name="any"), OWN, estate=tmp_path)
    assert location == StateLocation(key="de/app.tfstate")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        pytest.param("estate/tfstate/de/app.tfstate", "de/app.tfstate", id="among the estate's states"),
        pytest.param("root/../estate/tfstate/app.tfstate", "app.tfstate", id="by a roundabout way"),
        pytest.param("root/terraform.tfstate", None, id="elsewhere"),
        pytest.param("estate/tfstate-de/app.tfstate", None, id="in a folder whose name begins so"),
    ],
)
def test_a_file_is_a_state_of_the_estate_where_it_is_among_them(path: str, key: str | None, tmp_path: Path) -> None:
    location = location_on_disk(LocalBackend(path=tmp_path / path), OWN, estate=tmp_path / "estate")
    assert (location.key if isinstance(location, StateLocation) else None) == key


def test_a_file_is_nowhere_in_azure() -> None:
    assert location_in_azure(LocalBackend(path=Path("x.tfstate")), OWN) == Elsewhere(where="the file x.tfstate")


def test_a_backend_of_another_type_is_elsewhere(tmp_path: Path) -> None:
    elsewhere = Elsewhere(where="a backend of type s3")
    assert location_in_azure(OtherBackend(type="s3"), OWN) == elsewhere
    assert location_on_disk(OtherBackend(type="s3"), OWN, estate=tmp_path) == elsewhere


def test_options_that_say_nothing_are_no_place() -> None:
    assert location_of_options(key=None, workspace=None, container=None, account_url=None) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({"key": None, "workspace": "prod"}, "--state-key", id="without a key"),
        pytest.param({"key": "../x"}, "--state-key", id="a key that climbs out"),
        pytest.param({"key": "x", "container": "NO"}, "--state-container", id="a container that can be none"),
    ],
)
def test_an_option_that_is_wrong_is_named(options: dict[str, Any], says: str) -> None:
    nothing = {"key": None, "workspace": None, "container": None, "account_url": None}
    with pytest.raises(SettingsError, match=says):
        location_of_options(**(nothing | options))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"workspace": "a\\b"}, "backend: workspace", id="a workspace that no blob's name can hold"),
        pytest.param({"key": "/de//x"}, "backend: key", id="a key that no blob's name is"),
    ],
)
def test_a_backend_that_no_entry_can_name_is_named(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=says):
        location_in_azure(backend(**changes), OWN)
    with pytest.raises(SettingsError, match=says):
        location_on_disk(backend(**changes), OWN, estate=tmp_path)
