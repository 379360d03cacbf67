"""What is said of a row that this version cannot read, the same on disk and in Azure: which one, and what mends it."""

from adapters.table_names import HEALS_TABLE, PLAN_CHECKS_TABLE
from records.errors import StoreUnavailableError


def unreadable_check(name: str) -> StoreUnavailableError:
    """Of the latest check of a stack, which its next check writes over."""
    return StoreUnavailableError(
        PLAN_CHECKS_TABLE,
        f"this version cannot read the latest check of {name}; check that stack, or delete the row where it is no more",
    )


def unreadable_job(job_id: object) -> StoreUnavailableError:
    return StoreUnavailableError(HEALS_TABLE, f"this version cannot read the row of job {job_id}")
