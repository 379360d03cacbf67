"""What the ledger knows of a drift from before: when it was healed, and which jobs a person has rejected, or have failed.

What could not be read is not none.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Final

from drift.checks import finding_fingerprints, touched_attributes
from drift.situation import Refusal, Unread
from records.drift_ports import HealLedger
from records.errors import StoreError
from records.findings import Finding
from records.heal_ledger import HealRow, HealStep
from records.spelling import to_the_minute

_DIGITS: Final = 12
"""Of a job's id: as many as the levers need to know it by, and some more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """As a `drift.situation.Situation` has them, which says what each is."""

    heals: tuple[datetime, ...] | Unread = ()
    refusals: tuple[Refusal, ...] | Unread = ()


async def read_past(
    ledger: HealLedger, *, market: str, stack: str, findings: Collection[Finding], job_id: str | None
) -> Past:
    """Of what an apply would change, on whatever serial; none where that is nothing. ``job_id`` is the job that would do it."""
    names = finding_fingerprints(findings)
    if not names:
        return Past()
    try:
        rows = [row async for row in ledger.of_stack(market=market, stack=stack)]
    except StoreError as error:
        unread = Unread(f"The earlier heals cannot be read: {error}.")
        return Past(heals=unread, refusals=unread)
    drift = _Drift(frozenset(names), frozenset(touched_attributes(findings)))
    refused = [row for row in rows if _is_refused(row, drift, job_id)]
    return Past(
        heals=_most_often(dict.fromkeys(drift.known_by(row), row.applied_at) for row in rows),
        refusals=tuple(map(_refusal, sorted(refused, key=lambda row: row.events[-1].at))),
    )


@dataclass(frozen=True, slots=True)
class _Drift:
    findings: frozenset[str]
    attributes: frozenset[str]

    def known_by(self, row: HealRow) -> frozenset[str]:
        """By what a row is of this drift. Of an earlier version's, which does not name attributes, by the same findings."""
        if row.attribute_fingerprints:
            return self.attributes.intersection(row.attribute_fingerprints)
        return self.findings.intersection(row.finding_fingerprints)


def _most_often(heals: Iterable[dict[str, tuple[datetime, ...]]]) -> tuple[datetime, ...]:
    """Since whenever one counts, as many as of what was healed most often since then."""
    by_name: dict[str, list[datetime]] = defaultdict(list)
    for of_row in heals:
        for name, moments in of_row.items():
            by_name[name] += moments
    latest_first = (sorted(moments, reverse=True) for moments in by_name.values())
    return tuple(max(filter(None, ranked)) for ranked in zip_longest(*latest_first))


def _is_refused(row: HealRow, drift: _Drift, job_id: str | None) -> bool:
    if row.step is HealStep.FAILED:
        return row.job.job_id == job_id
    return row.step is HealStep.REJECTED and bool(drift.known_by(row) or row.job.job_id == job_id)


def _refusal(row: HealRow) -> Refusal:
    return Refusal(at=row.events[-1].at, sentence=refused_since(row))


def refused_since(row: HealRow) -> str:
    """What a person is told of a job that is rejected or has failed."""
    last, job = row.events[-1], row.job.job_id[:_DIGITS]
    note = f": {last.note}" if last.note else "."
    stop = "" if note.endswith((".", "!", "?")) else "."
    if row.step is HealStep.REJECTED:
        what, again = f"{last.by or 'Somebody'} rejected job {job}", "takes that back"
    else:
        what, again = f"Job {job} failed", "queues it again"
    return f"{what} on {to_the_minute(last.at)}{note}{stop} `trueup drift retry {job}` {again}."
