"""Settings come from the environment, and what is wrong with them is said without their values."""

import pytest

from adapters.settings import load_settings
from records.errors import SettingsError

KEY = "hunter2hunter2=="


def test_defaults_need_no_environment() -> None:
    settings = load_settings()
    assert (settings.fan_out_width, settings.registry_container) == (16, "registry")


def test_a_list_is_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_ACCOUNT_HOST_SUFFIXES", ".blob.example.com, .blob.example.org")
    assert load_settings().state_account_host_suffixes == (".blob.example.com", ".blob.example.org")


def test_an_empty_setting_is_an_absent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAN_OUT_WIDTH", "")
    assert load_settings().fan_out_width == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [("FAN_OUT_WIDTH", "many"), ("FAN_OUT_WIDTH", "0"), ("RETENTION_DAYS", "-1"), ("REREAD_DELAY_SECONDS", "1h")],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings()
    assert "docs/configuration.md" in str(caught.value)


def test_two_ways_to_the_same_account_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTATE_ACCOUNT_URL", "https://contoso.blob.core.windows.net")
    monkeypatch.setenv("ESTATE_CONNECTION_STRING", f"AccountName=contoso;AccountKey={KEY}")
    with pytest.raises(SettingsError, match="ESTATE_ACCOUNT_URL or ESTATE_CONNECTION_STRING") as caught:
        load_settings()
    assert KEY not in str(caught.value)


def test_a_connection_string_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTATE_CONNECTION_STRING", f"AccountName=contoso;AccountKey={KEY}")
    assert KEY not in repr(load_settings())


@pytest.mark.parametrize("mode", ["on", "dry-run", "off"])
def test_a_heal_mode_is_one_of_three_words(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEAL_MODE", mode)
    assert load_settings().heal_mode == mode


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEAL_MODE", "true"),
        ("HEAL_MODE", "ON "),
        ("PLAN_CHECK_SCHEDULE", "30 */4 * * *"),
        ("PLAN_CHECK_WIDTH", "257"),
        ("PLANS_PER_INSTANCE", "0"),
        ("PLAN_LIMIT_SECONDS", "29"),
        ("PLAN_LIMIT_SECONDS", "3301"),
        ("FLEET_PERCENT", "101"),
        ("BREAKER_COUNT", "0"),
        ("RESOURCE_GRAPH", "perhaps"),
        ("QUEUE_ACCOUNT_URL", "https://contoso.queue.core.windows.net?sig=c2VjcmV0"),
    ],
)
def test_a_wrong_setting_of_the_plan_checks_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings()
    assert "c2VjcmV0" not in str(caught.value)


def test_variables_that_terraform_may_see_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_PASSED_VARIABLES", "AWS_PROFILE, ,GOOGLE_PROJECT,")
    assert load_settings().tf_passed_variables == ("AWS_PROFILE", "GOOGLE_PROJECT")
