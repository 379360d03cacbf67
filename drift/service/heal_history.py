"""The history of heals, newest first and a page at a time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from records.heal_ledger import HealRow
from records.timestamps import format_utc, parse_utc

DEFAULT_PAGE: Final = 50
LARGEST_PAGE: Final = 500

_PARTED_BY: Final = "~"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a job stands in the history: when it took its last step (UTC), and its id."""

    moved_at: datetime
    job_id: str = ""

    @classmethod
    def of(cls, row: HealRow) -> "Place":
        return cls(row.events[-1].at if row.events else row.job.queued_at, row.job.job_id)

    @classmethod
    def parse(cls, text: str) -> "Place":
        """What `str` gave; a time alone is before all jobs of that time.

        Raises:
            ValueError: it is neither.
        """
        moment, _, job_id = text.partition(_PARTED_BY)
        return cls(parse_utc(moment), job_id)

    def __str__(self) -> str:
        return f"{format_utc(self.moved_at)}{_PARTED_BY}{self.job_id}"


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first; ``next`` is the place from which the page after this one goes on, None where there is none."""

    rows: tuple[HealRow, ...]
    next: Place | None


async def newest_heals(rows: AsyncIterator[HealRow], *, limit: int, before: Place | None) -> Page:
    """The newest jobs of those that come before a place, of rows in any order; no more than twice a page is held.

    A job that takes a step between two pages moves to the front, and is not in the later page.

    Raises:
        StoreError
    """
    found: list[HealRow] = []
    async for row in rows:
        if before is None or Place.of(row) < before:
            found.append(row)
        if len(found) > 2 * limit:
            found = _newest(found, limit + 1)
    page = _newest(found, limit + 1)
    return Page(tuple(page[:limit]), Place.of(page[limit - 1]) if len(page) > limit else None)


def _newest(rows: list[HealRow], count: int) -> list[HealRow]:
    return sorted(rows, key=Place.of, reverse=True)[:count]
