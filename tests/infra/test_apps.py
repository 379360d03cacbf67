"""Which functions run where and with which settings, as deployed: held against the code that is deployed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.settings import Settings
from drift.service import healing
from drift.service.functions import CHECK_ON_SCHEDULE, PLAN_CHECKS
from drift.service.levers_http import ROUTES
from reconcile.service.functions import RECONCILIATION
from tests.infra.stand_in import INFRA, VARIABLES, JsonObject, Module, copy_module
from tests.world.commands import ROOT

pytestmark = pytest.mark.terraform

DUTIES: Final = ("apply", "plan", "reconcile")
DISABLED: Final = re.compile(r"AzureWebJobs\.(\w+)\.Disabled")
OF_THE_HOST: Final = re.compile(
    r"AzureWebJobsStorage__(accountName|credential|clientId)|AzureFunctionsJobHost__functionTimeout"
    r"|AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions|AzureWebJobs\.\w+\.Disabled"
    rf"|{healing.QUEUE_CONNECTION}__(queueServiceUri|credential|clientId)"
)
OF_OTHERS: Final = re.compile(r"ARM_\w+|AZURE_CLIENT_ID|TF_CLI_CONFIG_FILE|APPLICATIONINSIGHTS_\w+|OTEL_TRACES_\w+")
"""Of azure-identity, Terraform and the exporter of telemetry."""
LEFT_UNSET: Final = {
    "ESTATE_CONNECTION_STRING": "for Azurite",
    "RESULTS_CONNECTION_STRING": "for Azurite",
    "TF_PASSED_VARIABLES": "Terraform sees nothing beside the allow-list",
    "PROVIDER_FOLDER": "the package holds a mirror",
    "PLAN_WORK_FOLDER": "the temporary folder is an instance's local disk",
    "POLICY_FILE": "the policy is the blob in config",
}
"""Settings without a default that no app is given, and what is so then."""

NOT_TUNABLE: Final = {
    "ESTATE_CONNECTION_STRING", "RESULTS_CONNECTION_STRING", "PLAN_WORK_FOLDER", "POLICY_FILE",
    "REGISTRY_CONTAINER", "TRACKERS_CONTAINER", "STATES_CONTAINER", "BUNDLES_CONTAINER", "REPORTS_CONTAINER",
    "CONFIG_CONTAINER", "LOCKS_CONTAINER",
}  # fmt: skip

_FUNCTIONS: Final = """
import json
from function_app import app
print(json.dumps([function.get_function_name() for function in app.get_functions()]))
"""


ENDPOINT: Final = re.compile(r"^primary_(blob|queue|table)_endpoint-[0-9a-f-]+")
"""What the stand-in says for an account's endpoint."""


@pytest.fixture(scope="module")
def apps(deployed: Module) -> dict[str, JsonObject]:
    """The app of each duty."""
    found = {
        each["values"]["name"].removeprefix("contoso-"): each["values"]
        for each in deployed.resources()
        if each["type"] == "azurerm_function_app_flex_consumption"
    }
    assert tuple(sorted(found)) == DUTIES
    return found


@pytest.fixture(scope="module")
def settings_of(apps: dict[str, JsonObject]) -> dict[str, dict[str, str]]:
    """The application settings of each duty's app, with endpoints of the form that Azure gives."""
    return {
        duty: {
            **{name: as_in_azure(value) for name, value in app["app_settings"].items()},
            # The provider makes a setting of it.
            "APPLICATIONINSIGHTS_CONNECTION_STRING": app["site_config"][0]["application_insights_connection_string"],
        }
        for duty, app in apps.items()
    }


def as_in_azure(value: str) -> str:
    return ENDPOINT.sub(r"https://contosoestate.\1.core.windows.net", value)


def in_the_app(code: str, settings: Mapping[str, str]) -> Any:
    """What ``code`` prints as JSON in a process with an app's settings. Telemetry stays off: there is nobody to take it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_START") if name in os.environ}
    silent = {"APPLICATIONINSIGHTS_CONNECTION_STRING": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**kept, **settings, **silent},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_function_is_on_in_exactly_one_app(settings_of: dict[str, dict[str, str]]) -> None:
    functions = in_the_app(_FUNCTIONS, settings_of["reconcile"])
    on = {
        duty: [name for name in functions if f"AzureWebJobs.{name}.Disabled" not in settings]
        for duty, settings in settings_of.items()
    }
    assert sorted(name for names in on.values() for name in names) == sorted(functions)


def test_nothing_is_switched_off_that_is_not_there(settings_of: dict[str, dict[str, str]]) -> None:
    functions = set(in_the_app(_FUNCTIONS, settings_of["reconcile"]))
    for settings in settings_of.values():
        off = {found[1] for name in settings if (found := DISABLED.fullmatch(name))}
        assert off < functions
        assert all(settings[f"AzureWebJobs.{name}.Disabled"] == "true" for name in off)


FUNCTIONS_OF: Final = {
    "reconcile": {
        "reconcile_daily",
        "start_run",
        "get_run",
        "get_market",
        "get_health",
        *asdict(RECONCILIATION.functions).values(),
    },
    "plan": {CHECK_ON_SCHEDULE, *asdict(PLAN_CHECKS.functions).values()},
    "apply": {healing.HEAL, healing.FAIL, *(route.function for route in ROUTES)},
}


def test_a_duty_has_its_own_functions_and_no_other(settings_of: dict[str, dict[str, str]]) -> None:
    functions = set(in_the_app(_FUNCTIONS, settings_of["reconcile"]))
    for duty, settings in settings_of.items():
        assert {name for name in functions if f"AzureWebJobs.{name}.Disabled" not in settings} == FUNCTIONS_OF[duty]


@pytest.mark.parametrize("duty", DUTIES)
def test_an_app_sets_nothing_that_nobody_reads(duty: str, settings_of: dict[str, dict[str, str]]) -> None:
    ours = {name.upper() for name in Settings.model_fields}
    unknown = {
        name
        for name in settings_of[duty]
        if name not in ours and not OF_THE_HOST.fullmatch(name) and not OF_OTHERS.fullmatch(name)
    }
    assert unknown == set()


@pytest.mark.parametrize("duty", DUTIES)
def test_every_setting_is_set_or_has_a_default(duty: str, settings_of: dict[str, dict[str, str]]) -> None:
    without = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if field.default is None and name.upper() not in settings_of[duty]
    }
    assert without == set(LEFT_UNSET)


@pytest.mark.parametrize("duty", DUTIES)
def test_the_settings_of_an_app_are_read_as_they_are_meant(duty: str, settings_of: dict[str, dict[str, str]]) -> None:
    code = "from adapters.settings import load_settings; print(load_settings().model_dump_json())"
    read = in_the_app(code, settings_of[duty])
    assert read["estate_account_url"] == settings_of[duty]["ESTATE_ACCOUNT_URL"]
    assert read["reconcile_time_zone"] == "Europe/Berlin"
    assert read["heal_mode"] == VARIABLES["heal_mode"]
    assert read["plan_check_schedule"] == VARIABLES["plan_check_schedule"]
    assert read["fleet_percent"] == int(VARIABLES["settings"]["FLEET_PERCENT"])
    assert read["queue_account_url"] == settings_of[duty][f"{healing.QUEUE_CONNECTION}__queueServiceUri"]
    assert read["estate_connection_string"] is None


def test_what_may_be_set_besides_are_settings_that_nothing_else_sets(settings_of: dict[str, dict[str, str]]) -> None:
    """A new setting is one that users may set, or is given here, or is left out on purpose."""
    text = (INFRA / "variables.apps.tf").read_text(encoding="utf-8")
    tunable = set(re.findall(r'"([A-Z_]+)"', text.split("tunable_settings = toset([")[1].split("])")[0]))
    ours = {name.upper() for name in Settings.model_fields}
    given = {name for settings in settings_of.values() for name in settings} - set(VARIABLES["settings"])
    assert tunable <= ours - given
    assert ours - given - tunable == NOT_TUNABLE


def test_what_runs_terraform_is_told_where_it_is(settings_of: dict[str, dict[str, str]]) -> None:
    for duty in ("plan", "apply"):
        assert settings_of[duty]["TF_BINARY"].startswith("/home/site/wwwroot/")
        for name in ("ARM_USE_MSI", "ARM_USE_AZUREAD", "ARM_STORAGE_USE_AZUREAD"):
            assert settings_of[duty][name] == "true"
        assert settings_of[duty]["ARM_RESOURCE_PROVIDER_REGISTRATIONS"] == "none"
        assert settings_of[duty]["ARM_CLIENT_ID"] == settings_of[duty]["AZURE_CLIENT_ID"]
    assert "TF_BINARY" not in settings_of["reconcile"]


def test_each_app_has_its_own_identity_and_no_other(apps: dict[str, JsonObject], deployed: Module) -> None:
    ids = {
        each["index"]: each["values"]["id"]
        for each in deployed.resources()
        if each["type"] == "azurerm_user_assigned_identity"
    }
    for duty, app in apps.items():
        assert app["identity"] == [{**app["identity"][0], "type": "UserAssigned", "identity_ids": [ids[duty]]}]
        assert app["storage_user_assigned_identity_id"] == ids[duty]


def test_telemetry_is_sent_with_the_identity(settings_of: dict[str, dict[str, str]]) -> None:
    """Where no key is taken, an app without this says nothing at all."""
    for settings in settings_of.values():
        client_id = settings["AZURE_CLIENT_ID"]
        assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"Authorization=AAD;ClientId={client_id}"
        assert settings["PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"] == "true"


def test_an_app_answers_those_who_are_named_and_the_planner_s_nobody(apps: dict[str, JsonObject]) -> None:
    for duty, app in apps.items():
        (site,) = app["site_config"]
        assert site["ip_restriction_default_action"] == "Deny"
        allowed = [rule["ip_address"] for rule in site["ip_restriction"] if rule["action"] == "Allow"]
        assert allowed == ([] if duty == "plan" else VARIABLES["http_allowed_ip_ranges"])


def test_an_app_goes_through_the_subnet_that_is_given(apps: dict[str, JsonObject]) -> None:
    for app in apps.values():
        assert app["virtual_network_subnet_id"] == VARIABLES["subnet_id"]
        assert app["site_config"][0]["vnet_route_all_enabled"]


def test_settings_without_a_key_are_removed_after_each_write_of_an_app(deployed: Module) -> None:
    removed = [each for each in deployed.az_commands() if each.startswith("functionapp config appsettings delete")]
    assert {re.findall(r"--name (\S+)", each)[0] for each in removed} == {f"contoso-{duty}" for duty in DUTIES}
    for each in removed:
        assert "--setting-names AzureWebJobsStorage DEPLOYMENT_STORAGE_CONNECTION_STRING" in each
        assert "--resource-group rg-contoso" in each


@pytest.mark.slow
def test_a_package_is_sent_to_each_app_once_and_again_when_it_has_changed(cli_config: Path, tmp_path: Path) -> None:
    package = tmp_path / "trueup.zip"

    def sent() -> list[str]:
        return [each for each in module.az_commands() if each.startswith("functionapp deployment source config-zip")]

    def build(content: bytes) -> None:
        package.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        package.with_name("trueup.zip.sha256").write_text(f"{digest}  trueup.zip\n", encoding="utf-8")

    build(b"one")
    module = copy_module(
        INFRA, tmp_path / "infra", cli_config=cli_config, variables={**VARIABLES, "package": str(package)}
    )
    module.apply()
    assert sorted(re.findall(r"--name (\S+) --src (\S+)", " ".join(sent()))) == [
        (f"contoso-{duty}", str(package)) for duty in DUTIES
    ]
    module.apply()
    assert len(sent()) == len(DUTIES)
    build(b"two")
    module.apply()
    assert len(sent()) == 2 * len(DUTIES)


def test_each_app_signs_in_as_itself(settings_of: dict[str, dict[str, str]]) -> None:
    ids = {settings["AZURE_CLIENT_ID"] for settings in settings_of.values()}
    assert len(ids) == len(DUTIES)
    for settings in settings_of.values():
        for name in ("AzureWebJobsStorage__clientId", f"{healing.QUEUE_CONNECTION}__clientId"):
            assert settings[name] == settings["AZURE_CLIENT_ID"]


def test_no_setting_is_a_key(settings_of: dict[str, dict[str, str]]) -> None:
    for settings in settings_of.values():
        assert not re.search(r"AccountKey|SharedAccess|sig=", json.dumps(settings))
        # azurerm reads it back as nothing, and would write the app anew with every apply.
        assert "AzureWebJobsStorage" not in settings


def test_the_app_that_applies_has_the_time_for_it(settings_of: dict[str, dict[str, str]]) -> None:
    hours, minutes, seconds = map(int, settings_of["apply"]["AzureFunctionsJobHost__functionTimeout"].split(":"))
    limit: int = Settings.model_fields["plan_limit_seconds"].default
    assert hours * 3600 + minutes * 60 + seconds > 5 * limit


def test_an_instance_takes_no_more_activities_than_it_makes_plans(settings_of: dict[str, dict[str, str]]) -> None:
    name = "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"
    assert settings_of["plan"][name] == settings_of["plan"]["PLANS_PER_INSTANCE"]


def test_all_instances_are_used_by_a_run_of_checks(
    settings_of: dict[str, dict[str, str]], apps: dict[str, JsonObject]
) -> None:
    settings = settings_of["plan"]
    plans = apps["plan"]["maximum_instance_count"] * int(settings["PLANS_PER_INSTANCE"])
    assert plans == int(settings["PLAN_CHECK_WIDTH"]) == Settings.model_fields["plan_check_width"].default


def test_the_day_s_run_begins_when_its_alert_says(settings_of: dict[str, dict[str, str]]) -> None:
    rules = (INFRA / "alerts.rules.tf").read_text(encoding="utf-8")
    (hour,) = re.findall(r"^  run_due_at +=( \d+)$", rules, re.MULTILINE)
    for settings in settings_of.values():
        assert settings["RECONCILE_SCHEDULE"] == f"0 0{hour} * * *"
        assert settings["RECONCILE_TIME_ZONE"] == VARIABLES["time_zone"]
