"""What is told of one stack: the facts about it, and its three records side by side."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconcile.render.formats import age, words
from reconcile.render.ordering import by_how_much, compared_with
from records.faults import Fault
from records.locks import Lock
from records.report import RunSummary
from records.results import StackResult
from records.spelling import to_the_minute, to_the_second
from records.verdicts import OddOneOut, Tier

RECORDS: Final = (OddOneOut.STATE, OddOneOut.TRACKER, OddOneOut.REGISTRY)
"""The columns of the three records, in their order."""

_ODD_ONES: Final = {
    OddOneOut.UNDETERMINED: "undetermined: nothing says which record is right",
    OddOneOut.NONE: "none",
}
_TIERS: Final = {
    Tier.THREE_RECORDS: "1: all three records",
    Tier.REGISTRY_AND_STATE: "2: registry and state",
    Tier.TIMES: "3: times alone",
    None: "open, while a record cannot be read",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and its value, None where no record gives it. ``is_code`` marks what a machine made."""

    label: str
    value: str | None
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One property of the three records, in the order of `RECORDS`; ``differs`` where all should be alike."""

    label: str
    values: tuple[str | None, str | None, str | None]
    is_code: bool = False
    differs: bool = False


def facts_of(result: StackResult, *, run: RunSummary) -> list[Fact]:
    """What is known of a stack beside its summary and its records, in the order in which it is asked for."""
    facts = [Fact("Odd one out", _ODD_ONES.get(result.odd_one_out, result.odd_one_out.value))]
    if difference := by_how_much(result):
        sides = compared_with(result)
        facts.append(Fact("By how much", f"{difference} ({sides})" if sides else difference))
    facts += [
        Fact("First seen", _since(result.first_seen_at, run)),
        Fact("State changed", _since(result.state_changed_at, run)),
        Fact("Owner", result.owner),
        Fact("Release", result.release, is_code=True),
        Fact("Commit", result.commit, is_code=True),
        Fact("Subscription", result.subscription_id, is_code=True),
        Fact("Tier", _TIERS[result.tier]),
    ]
    if result.masked_verdict:
        facts.append(Fact("Masked verdict", words(result.masked_verdict)))
    if result.notes:
        facts.append(Fact("Notes", ", ".join(words(note) for note in result.notes)))
    return facts


def record_rows(result: StackResult) -> list[RecordRow]:
    """The three records side by side, without the properties that none of them has."""
    serials, lineages, evidence = result.serials, result.lineages, result.evidence
    three = (evidence.state, evidence.tracker, evidence.registry)
    state, tracker, registry = three
    lineage = _compared("Lineage", lineages.state, lineages.tracker, lineages.registry, is_code=True)
    serial = _compared("Serial", serials.state, serials.tracker, serials.registry)
    rows = [
        RecordRow("Status", (words(state.status), words(tracker.status), words(registry.status))),
        replace(serial, differs=serial.differs and not lineage.differs),
        lineage,
        RecordRow("Deployed at", _each(*(_second(record.deployed_at) for record in three))),
        RecordRow("Blob modified", _each(*(_second(record.last_modified) for record in three))),
        RecordRow("Blob", (state.blob, tracker.blob, registry.blob), is_code=True),
        RecordRow("Blob's ETag", (state.etag, tracker.etag, registry.etag), is_code=True),
        _compared("State's MD5", state.md5, tracker.state_md5, None, is_code=True),
        RecordRow("Lock", _each(*(_lock(record.lock) for record in three))),
        RecordRow("Fault", _each(*(_fault(record.fault) for record in three))),
    ]
    return [row for row in rows if any(row.values)]


def _compared(label: str, *values: str | int | None, is_code: bool = False) -> RecordRow:
    spelt = _each(*(None if value is None else str(value) for value in values))
    return RecordRow(label, spelt, is_code, differs=len({value for value in spelt if value}) > 1)


def _each(*values: str | None) -> tuple[str | None, str | None, str | None]:
    state, tracker, registry = values
    return state, tracker, registry


def _since(moment: datetime | None, run: RunSummary) -> str | None:
    return ", ".join(filter(None, (to_the_minute(moment), age(moment, run=run)))) if moment else None


def _second(moment: datetime | None) -> str | None:
    return to_the_second(moment) if moment else None


def _lock(lock: Lock | None) -> str | None:
    if lock is None:
        return None
    since = f" since {to_the_second(lock.created_at)}" if lock.created_at else ""
    operation = f" for {lock.operation}" if lock.operation else ""
    return f"held by {lock.who or 'nobody named'}{since}{operation}" + (f", id {lock.id}" if lock.id else "")


def _fault(fault: Fault | None) -> str | None:
    if fault is None:
        return None
    field = f" in {fault.field}" if fault.field else ""
    return f"{words(fault.code)}{field}: {fault.message}. {fault.remedy}"
