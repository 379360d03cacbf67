"""What the app tells the Functions host of its functions, compared with `bindings.json`.

`UPDATE_GOLDEN=1` writes the golden file anew.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, get_type_hints

import pytest
from azure.functions.decorators.function_app import Function

from adapters.settings import Settings
from drift.service.levers_http import ROUTES
from records.errors import SettingsError
from tests.service_world import import_app

GOLDEN: Final = Path(__file__).with_name("bindings.json")

JsonObject = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def functions_of_the_app() -> list[Function]:
    functions: list[Function] = import_app().app.get_functions()
    return functions


def bindings_of(functions: Iterable[Function]) -> dict[str, list[JsonObject]]:
    """As the worker sends them to the host."""
    return {
        str(function.get_function_name()): sorted(
            (json.loads(binding) for binding in function.get_raw_bindings()), key=lambda binding: str(binding["name"])
        )
        for function in functions
    }


def schedule_of_the_app() -> str:
    bindings = bindings_of(functions_of_the_app())["reconcile_daily"]
    (schedule,) = [binding["schedule"] for binding in bindings if binding["type"] == "timerTrigger"]
    assert isinstance(schedule, str)
    return schedule


def test_the_bindings_are_the_golden_ones() -> None:
    written = json.dumps(bindings_of(functions_of_the_app()), indent=1, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(written, encoding="utf-8", newline="\n")
    assert written == GOLDEN.read_text(encoding="utf-8")


def test_every_http_trigger_wants_a_function_key() -> None:
    bindings = [binding for listed in bindings_of(functions_of_the_app()).values() for binding in listed]
    levels = [binding["authLevel"] for binding in bindings if binding["type"] == "httpTrigger"]
    assert levels == ["FUNCTION"] * (4 + len(ROUTES))


def test_with_a_time_zone_the_timer_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_TIME_ZONE", "Europe/Berlin")
    assert schedule_of_the_app() == "0 */15 * * * *"


def test_without_a_time_zone_the_schedule_is_the_timer_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_SCHEDULE", "0 30 5 * * *")
    assert schedule_of_the_app() == "0 30 5 * * *"


def test_a_time_zone_with_a_schedule_that_is_no_time_of_day_stops_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_TIME_ZONE", "Europe/Berlin")
    monkeypatch.setenv("RECONCILE_SCHEDULE", "0 0 * * * *")
    with pytest.raises(SettingsError, match="RECONCILE_SCHEDULE"):
        import_app()


def test_the_worker_takes_the_type_of_every_parameter() -> None:
    """It refuses built-in generics such as ``dict[str, Any]``: github.com/Azure/azure-functions-durable-python/issues/468."""
    refused = [
        f"{function.get_function_name()}: {name}: {annotation}"
        for function in functions_of_the_app()
        for name, annotation in get_type_hints(function.get_user_function()).items()
        if name != "return" and not isinstance(annotation, type)
    ]
    assert refused == []
