"""What is said of a row that this version cannot read, the same on disk and in Azure: which one it is."""

from adapters.table_names import HEALS_TABLE, PLAN_CHECKS_TABLE
from records.errors import UnreadableRowError


def unreadable_check(name: str) -> UnreadableRowError:
    """Of the latest check of a stack, which its next check writes over."""
    return UnreadableRowError(PLAN_CHECKS_TABLE, f"this version cannot read the latest check of {name}")


def unreadable_job(job_id: object) -> UnreadableRowError:
    return UnreadableRowError(HEALS_TABLE, f"this version cannot read the row of job {job_id}")
