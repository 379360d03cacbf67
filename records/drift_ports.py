"""What the plan checks need of the world beside `records.ports`, as Protocols; the adapters fulfil them. Times are UTC."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from records.heals import HealJob, HealRow, Opening
from records.plan_checks import CheckRunRow, StackCheck, StoredCheck
from records.report import Problem
from records.results import Run


class CheckStore(Protocol):
    """Keeps plan checks: of each stack the latest and its history.

    Every method raises `StoreError`. Writes are idempotent: the same check of the same run written twice is there once. A row
    of a form that this version cannot read is passed over.
    """

    async def save_check(self, *, stored: StoredCheck) -> None:
        """Becomes its stack's latest, unless a later run's is, and goes into its history; both or neither.

        What is too large for the store is kept without the values of its attributes.
        """

    async def check_of_run(self, *, run: Run, market: str, stack: str) -> StoredCheck | None:
        """A point read."""

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        """A point read; None where the stack was never checked."""

    def latest(self) -> AsyncIterator[StoredCheck]:
        """Of every stack of every market, in no order, a page at a time."""

    def history_of_stack(self, *, market: str, stack: str) -> AsyncIterator[StoredCheck]:
        """Newest first, a page at a time."""

    async def forget(self, *, market: str, stack: str) -> None:
        """Removes the latest of a stack that is no more; its history stays until it is pruned."""

    async def prune(self, *, started_before: datetime) -> int:
        """Removes history of runs that started before; returns how many rows. The latest are kept, however old."""


class HealLedger(Protocol):
    """Keeps a row for each job. Every method raises `StoreError`."""

    async def open_job(self, *, job: HealJob, run_id: str) -> Opening:
        """Enters a job as queued, before its message is sent: who crashes between the two has queued it no twice.

        A job of this id that is queued already and has not expired by ``job.queued_at`` is left as it is. One that has expired
        is entered anew: its message is gone by then, or was never sent. Of two who open the same job at one moment, one does.
        """

    async def job(self, *, market: str, stack: str, job_id: str) -> HealRow | None:
        """A point read."""


class HealQueue(Protocol):
    """The queue ``auto-apply``, from its sending end."""

    async def send(self, *, job: HealJob) -> None:
        """Puts a job where a worker finds it, until it expires.

        Raises:
            StoreError: the queue did not take it, as far as is known.
        """


class CheckTelemetry(Protocol):
    """Tells whoever watches what a run of plan checks came to. Never raises, and holds no value of a resource."""

    async def checks_ended(
        self, *, row: CheckRunRow, checks: Iterable[StackCheck], problems: Sequence[Problem]
    ) -> None:
        """Once a run; there are neither checks nor problems where it failed. Returns when it has left, or cannot."""
