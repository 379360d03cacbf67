"""What runs are called, and the orchestrations that do them: derived, so that a second start is the same run.

The run of a day is its orchestration. A run on demand has its start in its id, since the same scope is asked for again another
day; its orchestration is named by the scope alone, so that the same scope asked for twice while it runs is one run.
"""

import hashlib
import re
from datetime import date, datetime
from typing import Final

from records.names import DAILY_RUN, REQUESTED_RUN
from records.results import Run
from records.runs import WHOLE_SCOPE, Scope

_DAILY: Final = re.compile(rf"{DAILY_RUN}-(\d{{4}}-\d{{2}}-\d{{2}})")
_ON_DEMAND: Final = re.compile(rf"({REQUESTED_RUN}-[0-9a-f]{{16}})-\d{{8}}T\d{{9}}Z")
_DIGITS: Final = 16


def daily_run(day: date, *, started_at: datetime) -> Run:
    return Run(run_id=f"{DAILY_RUN}-{day.isoformat()}", started_at=started_at)


def day_of(run_id: str) -> date | None:
    """The local day of a daily run; None for any other."""
    match = _DAILY.fullmatch(run_id)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def run_on_demand(scope: Scope, *, started_at: datetime) -> Run:
    return Run(run_id=f"{_name_of(scope)}-{Run.named_by(started_at).run_id}", started_at=started_at)


def instance_of(run_id: str) -> str | None:
    """The orchestration that does a run of the service; None for a run of another kind."""
    if day_of(run_id):
        return run_id
    match = _ON_DEMAND.fullmatch(run_id)
    return match[1] if match else None


def _name_of(scope: Scope) -> str:
    if scope == WHOLE_SCOPE:
        return f"{REQUESTED_RUN}-{'0' * _DIGITS}"
    digest = hashlib.sha256(scope.normalised().model_dump_json().encode()).hexdigest()
    return f"{REQUESTED_RUN}-{digest[:_DIGITS]}"
