"""Keys of the tables' rows.

A key may hold neither ``/ \\ # ?`` nor control characters
(https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model). Markets and stacks are
lower-case letters, digits, ``-`` and ``/``, so ``:`` is free to stand for ``/`` and to part what a key is made of.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

_LAST_MILLISECOND: Final = int(datetime.max.replace(tzinfo=UTC).timestamp() * 1000)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

LATEST: Final = "latest"
HISTORY: Final = "history"
RUNS_PARTITION: Final = "runs"
_BY_ID: Final = "id"


def market_key(market: str) -> str:
    return market.replace("/", ":")


def latest_key(stack: str) -> str:
    return f"{LATEST}:{stack}"


def history_key(stack: str, *, started_at: datetime, run_id: str) -> str:
    return f"{HISTORY}:{stack}:{newest_first(started_at)}:{run_id}"


def run_key(*, started_at: datetime, run_id: str) -> str:
    return f"{newest_first(started_at)}:{run_id}"


def run_by_id_key(run_id: str) -> str:
    return f"{_BY_ID}:{run_id}"


def newest_first(moment: datetime) -> str:
    """Text that sorts later moments before earlier ones, to the millisecond: a table is read in the order of its keys."""
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return f"{_LAST_MILLISECOND - milliseconds:015d}"


def starting_with(prefix: str) -> tuple[str, str]:
    """The half-open range of keys that begin with ``prefix:``; ``;`` follows ``:`` in the tables' order."""
    return f"{prefix}:", f"{prefix};"
