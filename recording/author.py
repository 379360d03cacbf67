"""Whose hand writes the records."""

from dataclasses import dataclass
from datetime import datetime

from records.record_log import RecordCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who writes, by which command, and when the command began (UTC). ``session_id`` tells its rows from all others'."""

    by: str
    command: RecordCommand
    at: datetime
    session_id: str
    run_id: str | None = None
    reason: str | None = None
