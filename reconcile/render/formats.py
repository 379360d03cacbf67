"""How words and ages are spelt for a person, alike in every format."""

from datetime import datetime

from records.spelling import duration


def words(name: str) -> str:
    """A verdict, status or note as words: ``pipeline_drift`` is ``pipeline drift``."""
    return name.replace("_", " ")


def age(since: datetime, *, at: datetime) -> str:
    """How long before a run something was so; ``in this run`` where it is less than a minute, or later."""
    seconds = int((at - since).total_seconds())
    return "in this run" if seconds < 60 else f"{duration(seconds)} before this run"
