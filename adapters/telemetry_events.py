"""How what is told of a run, or of a heal, reaches OpenTelemetry: off the event loop, and gone before it is over.

Nothing here raises: a run is not worth less for want of a watcher.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from opentelemetry import _logs, metrics

from adapters import telemetry_names as names
from records.timestamps import format_utc

_LOG: Final = logging.getLogger(__name__)
_FLUSH_LIMIT_SECONDS: Final = 10
_EVENTS_BETWEEN_FLUSHES: Final = 1_000
"""OpenTelemetry's queue of log records holds 2,048, and drops the oldest of more (``OTEL_BLRP_MAX_QUEUE_SIZE``)."""

Attributes = dict[str, str | int | float]


class Events:
    """Sends the events of one run, however many there are: each thousand leaves before the next is queued."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._count = 0
        self._is_leaving = True

    def send(self, name: str, attributes: Attributes) -> None:
        self._logger.info(name, extra={names.EVENT_NAME_ATTRIBUTE: name, **attributes})
        self._count += 1
        # Where they did not leave once, waiting for each thousand would hold the run up for nothing.
        if self._is_leaving and self._count % _EVENTS_BETWEEN_FLUSHES == 0:
            self._is_leaving = _flush(_logs.get_logger_provider())


def event_logger(given: logging.Logger | None) -> logging.Logger:
    """The logger that is given, or the process's own of events, at a level at which they pass."""
    logger = given or logging.getLogger(names.EVENT_LOGGER)
    logger.setLevel(logging.INFO)
    return logger


async def tell_of_run(run_id: str, logger: logging.Logger, say: Callable[[Events], None]) -> None:
    """`tell`, of a run."""
    await tell(f"run {run_id}", logger, say)


async def tell(of: str, logger: logging.Logger, say: Callable[[Events], None]) -> None:
    """Has ``say`` add to its instruments and send its events, in a thread. Returns when all has left, or cannot.

    ``of`` is what it is said of, for the log.
    """
    try:
        await asyncio.to_thread(_say_and_flush, of, logger, say)
    except Exception as error:  # noqa: BLE001 (an exporter may raise anything, and must not cost the run its row)
        _LOG.warning("telemetry of %s is not whole: %s", of, type(error).__name__)


def present(attributes: Mapping[str, str | int | float | None]) -> Attributes:
    """Those that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def time_text(moment: datetime | None) -> str | None:
    return None if moment is None else format_utc(moment)


def _say_and_flush(of: str, logger: logging.Logger, say: Callable[[Events], None]) -> None:
    say(Events(logger))
    # An instance may be gone a moment later: what was said leaves now.
    if not _flush(metrics.get_meter_provider(), _logs.get_logger_provider()):
        _LOG.warning("telemetry of %s has not left within %s s", of, _FLUSH_LIMIT_SECONDS)


def _flush(*providers: object) -> bool:
    """Sends what is queued, and says whether it has left in time: the SDK and its exporter keep to no limit of their own."""
    flushing = threading.Thread(target=_force_flush, args=providers, name="trueup-telemetry", daemon=True)
    flushing.start()
    flushing.join(_FLUSH_LIMIT_SECONDS)
    return not flushing.is_alive()


def _force_flush(*providers: object) -> None:
    for provider in providers:
        flush = getattr(provider, "force_flush", None)
        if flush:
            try:
                flush()
            except Exception as error:  # noqa: BLE001 (as in tell)
                _LOG.warning("telemetry cannot leave: %s", type(error).__name__)
