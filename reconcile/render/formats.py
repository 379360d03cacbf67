"""How words and ages are spelt for a person, alike in every format."""

from datetime import datetime

from records.report import RunSummary
from records.spelling import duration


def words(name: str) -> str:
    """A verdict, status or note as words: ``pipeline_drift`` is ``pipeline drift``."""
    return name.replace("_", " ")


def age(since: datetime, *, run: RunSummary) -> str:
    """How long before the run: ``in this run`` from a minute before it until its end, and empty where it is later than that."""
    if since > run.finished_at:
        return ""
    seconds = int((run.started_at - since).total_seconds())
    return "in this run" if seconds < 60 else f"{duration(seconds)} before this run"
