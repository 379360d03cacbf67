"""Who is told what runs and heals come to, and where that is sent.

Nothing is sent where no pipeline is configured, and nothing here raises: a run is not worth less for want of a watcher.
"""

import logging
from dataclasses import dataclass
from typing import Final

from adapters.check_telemetry import NoCheckTelemetry, OpenTelemetryOfChecks
from adapters.heal_telemetry import NoHealTelemetry, OpenTelemetryOfHeals
from adapters.run_telemetry import NoRunTelemetry, OpenTelemetryOfRuns
from adapters.settings import Settings
from records.drift_ports import CheckTelemetry, HealTelemetry
from records.ports import Telemetry

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told of this process's runs, of those that reconcile and of those that check by a plan, and of its heals."""

    runs: Telemetry
    checks: CheckTelemetry
    heals: HealTelemetry


def configure_watchers(settings: Settings) -> Watchers:
    """Those of this process: on the worker's pipeline where it has one, else on ours where there is somewhere to send it.

    To be called once a process: each call that is not left to the worker sets up a pipeline of its own.
    """
    if _has_pipeline(settings):
        return Watchers(runs=OpenTelemetryOfRuns(), checks=OpenTelemetryOfChecks(), heals=OpenTelemetryOfHeals())
    return Watchers(runs=NoRunTelemetry(), checks=NoCheckTelemetry(), heals=NoHealTelemetry())


def _has_pipeline(settings: Settings) -> bool:
    """Whether what is told goes anywhere; sets that up where nobody else does."""
    # The SDKs log each request; what is worth knowing of one is its span.
    logging.getLogger("azure").setLevel(logging.WARNING)
    if settings.python_applicationinsights_enable_telemetry:
        return True
    if settings.applicationinsights_connection_string is None:
        return False
    try:
        # Takes a second to import, which an app without telemetry should not pay at each cold start.
        from azure.monitor.opentelemetry import configure_azure_monitor  # noqa: PLC0415

        configure_azure_monitor(
            connection_string=settings.applicationinsights_connection_string.get_secret_value(),
            enable_live_metrics=False,
        )
    except Exception as error:  # noqa: BLE001 (whatever is wrong with it, the service is of use without)
        _LOG.warning("no telemetry: Azure Monitor cannot be configured (%s)", type(error).__name__)
        return False
    return True
