"""What the registry says of a stack after its tracker was written: the same, in the registry's own words. Pure."""

from collections.abc import Iterable

from pydantic import JsonValue, ValidationError

from records.errors import RecordError, RefusedWriteError
from records.faults import RecordKind
from records.json_reading import fault_of
from records.json_writing import to_document
from records.names import registry_blob
from records.registry import RegistryEntry, RegistryRecord, StateLocation
from records.tracker import TrackerRecord

_FOLLOWING = ("lineage", "serial", "release", "commit", "deployed_at")


def registry_following(
    registry: RegistryRecord | None, trackers: dict[str, TrackerRecord], *, market: str
) -> RegistryRecord:
    """The market's record with an entry for each tracker, by stack, that says what the tracker says; made where there is none.

    Raises:
        RefusedWriteError: the market is new, and no tracker knows its subscription.
        RecordError: an entry has a field that is wrong and that a tracker says nothing of.
    """
    record = registry or new_market(market, trackers.values())
    for stack, tracker in sorted(trackers.items()):
        record = record.with_entry(stack, entry_following(tracker, record.stacks.get(stack), location=tracker.state))
    return record


def entry_following(
    tracker: TrackerRecord, previous: JsonValue | None, *, location: StateLocation | None
) -> RegistryEntry:
    """One stack's entry. Fields that this version does not know go on; what the tracker does not say is said no more.

    ``location`` is None where the entry alone says where the state is.

    Raises:
        RecordError: the entry has a field that is wrong and that a tracker says nothing of.
    """
    document: dict[str, JsonValue] = dict(previous) if isinstance(previous, dict) else {}
    said = to_document(tracker)
    for field in _FOLLOWING:
        document.pop(field, None)
        if field in said:
            document[field] = said[field]
    if location and not _names(document, location):
        document.pop("state", None)
        document = {"state": to_document(location), **document}
    try:
        return RegistryEntry.model_validate(document)
    except ValidationError as error:
        blob = registry_blob(tracker.market)
        fault = fault_of(error, kind=RecordKind.REGISTRY, blob=blob, under=f"stacks.{tracker.stack}")
        raise RecordError(fault) from None


def _names(document: dict[str, JsonValue], location: StateLocation) -> bool:
    try:
        return _place(StateLocation.model_validate(document.get("state"))) == _place(location)
    except ValidationError:
        return False


def _place(location: StateLocation) -> tuple[str, str | None, str | None]:
    return location.blob, location.container, location.account_url


def new_market(market: str, trackers: Iterable[TrackerRecord]) -> RegistryRecord:
    """A market's record without stacks.

    Raises:
        RefusedWriteError: the trackers name no subscription, or several.
    """
    known = {tracker.subscription_id for tracker in trackers if tracker.subscription_id}
    if len(known) != 1:
        raise RefusedWriteError(
            f"{registry_blob(market)}: there is no such record, and its trackers name "
            + (
                "no subscription. `trueup record --subscription-id` makes it."
                if not known
                else "several subscriptions."
            )
        )
    return RegistryRecord.model_validate(
        {"schema_version": 1, "market": market, "subscription_id": known.pop(), "stacks": {}}
    )
