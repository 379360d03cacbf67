"""Readings of a stack in a few words, for tests of the truth table."""

from datetime import UTC, datetime, timedelta
from typing import Any

from records.faults import Fault, FaultCode, RecordKind
from records.locks import Lock
from records.readings import (
    Absent,
    BlobFacts,
    ContentSighting,
    NotLookedFor,
    Present,
    Reading,
    StackReadings,
    StateHead,
    Unreadable,
)
from records.registry import RegistryEntry, StateLocation
from records.tracker import TrackerRecord

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
LAST_CHANGE = NOW - timedelta(days=3)
MD5 = "df62027f52563fb0898558c0edbb6d30"
OTHER_MD5 = "0" * 32
LINEAGE = "edd2705f-7116-be1f-264c-8eebc32084c8"


def facts(name: str = "de/network.tfstate", **changes: Any) -> BlobFacts:
    values: dict[str, Any] = {
        "name": name,
        "etag": '"0x8D"',
        "last_modified": LAST_CHANGE,
        "size_bytes": 1000,
        "content_md5": MD5,
    }
    return BlobFacts(**values | changes)


def state(serial: int = 42, lineage: str | None = LINEAGE, **changes: Any) -> Present[StateHead]:
    return Present(StateHead(serial=serial, lineage=lineage), facts(**changes))


def tracker(serial: int | None = 42, lineage: str | None = LINEAGE, **changes: Any) -> Present[TrackerRecord]:
    record = TrackerRecord(schema_version=1, market="de", stack="network", serial=serial, lineage=lineage, **changes)
    return Present(record, facts("de/network.json"))


def registry(serial: int | None = 42, lineage: str | None = LINEAGE, **changes: Any) -> Present[RegistryEntry]:
    location = StateLocation(key="de/network.tfstate")
    record = RegistryEntry(state=location, serial=serial, lineage=lineage, **changes)
    return Present(record, facts("de/subscription.json"))


def unreadable(kind: RecordKind) -> Unreadable:
    fault = Fault(code=FaultCode.NOT_JSON, record=kind, blob="x", message="is not JSON", remedy="Mend it.")
    return Unreadable(fault)


def readings(
    of_state: Reading[StateHead] | NotLookedFor,
    of_tracker: Reading[TrackerRecord],
    of_registry: Reading[RegistryEntry],
    *earlier: ContentSighting,
) -> StackReadings:
    return StackReadings(state=of_state, tracker=of_tracker, registry=of_registry, earlier=earlier)


def lock(age: timedelta, who: str = "alice@laptop") -> Lock:
    return Lock(id="6f", operation="OperationTypeApply", who=who, created_at=NOW - age)


NO_STATE = Absent("de/network.tfstate")
NO_TRACKER = Absent("de/network.json")
NOT_IN_REGISTRY = Absent("de/subscription.json")
