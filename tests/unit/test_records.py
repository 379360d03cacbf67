"""The reading rules of the registry and the tracker: bad input gets a fault that names the field and the remedy."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from records.errors import RecordError
from records.faults import Fault, FaultCode
from records.locks import UNREADABLE_LOCK, read_lock
from records.names import is_market_key, is_stack_name
from records.registry import RegistryRecord, StateLocation, parse_registry
from records.timestamps import format_utc, parse_utc
from records.tracker import TrackerRecord, parse_tracker

ENTRY: dict[str, Any] = {"state": {"key": "de/network.tfstate"}, "serial": 42}
REGISTRY: dict[str, Any] = {"schema_version": 1, "market": "de", "subscription_id": "S-1", "stacks": {"network": ENTRY}}
TRACKER: dict[str, Any] = {"schema_version": 1, "market": "de", "stack": "network", "serial": 42}


def registry_of(content: bytes) -> RegistryRecord:
    return parse_registry(content, market="de")


def tracker_of(content: bytes, subscription_id: str | None = "s-1") -> TrackerRecord:
    return parse_tracker(content, market="de", stack="network", subscription_id=subscription_id)


def encoded(record: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({k: v for k, v in (record | changes).items() if v != "absent"}).encode()


def fault_of_tracker(content: bytes) -> Fault:
    with pytest.raises(RecordError) as caught:
        tracker_of(content)
    return caught.value.fault


BAD_TRACKERS = [
    pytest.param(b"", "empty", None, id="0 bytes"),
    pytest.param(encoded(TRACKER)[:-20], "not_json", None, id="truncated"),
    pytest.param(b"\xef\xbb\xbf" + encoded(TRACKER), "byte_order_mark", None, id="a byte-order mark"),
    pytest.param(json.dumps(TRACKER).encode("utf-16"), "not_utf8", None, id="UTF-16 with a mark"),
    pytest.param(json.dumps(TRACKER).encode("utf-16-le"), "not_utf8", None, id="UTF-16 without a mark"),
    pytest.param(b'{"market": "\xff"}', "not_json", None, id="bytes that are no UTF-8"),
    pytest.param(b"\0" * 100, "not_utf8", None, id="zeros"),
    pytest.param(b"[]", "not_an_object", None, id="an array"),
    pytest.param(b"7", "not_an_object", None, id="a number"),
    pytest.param(b"null", "not_an_object", None, id="null"),
    pytest.param(b"[" * 100_000, "not_json", None, id="deeply nested"),
    pytest.param(b'{"a":' * 100_000, "not_json", None, id="deeply nested objects"),
    pytest.param(encoded(TRACKER, schema_version=2), "unknown_schema_version", "schema_version", id="schema 2"),
    pytest.param(encoded(TRACKER, schema_version="1"), "unknown_schema_version", "schema_version", id="schema as text"),
    pytest.param(
        encoded(TRACKER, schema_version="absent"), "unknown_schema_version", "schema_version", id="no schema version"
    ),
    pytest.param(encoded({"schema_version": 3}), "unknown_schema_version", "schema_version", id="schema before fields"),
    pytest.param(encoded(TRACKER, stack="absent"), "missing_field", "stack", id="a field missing"),
    pytest.param(encoded(TRACKER, serial=-1), "invalid_field", "serial", id="a negative serial"),
    pytest.param(encoded(TRACKER, serial=42.0), "invalid_field", "serial", id="a serial that is a float"),
    pytest.param(encoded(TRACKER, serial="42"), "invalid_field", "serial", id="a serial that is text"),
    pytest.param(encoded(TRACKER, serial=True), "invalid_field", "serial", id="a serial that is a boolean"),
    pytest.param(encoded(TRACKER, serial=10**30), "invalid_field", "serial", id="a serial of 10^30"),
    pytest.param(encoded(TRACKER, serial=2**64), "invalid_field", "serial", id="a serial beyond uint64"),
    pytest.param(
        b'{"schema_version":1,"market":"de","stack":"network","serial":' + b"9" * 5000 + b"}",
        "not_json", None, id="a serial of 5,000 digits",
    ),
    pytest.param(encoded(TRACKER, state_md5="df62"), "invalid_field", "state_md5", id="an MD5 that is too short"),
    pytest.param(encoded(TRACKER, deployed_at="yesterday"), "invalid_field", "deployed_at", id="no time"),
    pytest.param(encoded(TRACKER, deployed_at=1764000000), "invalid_field", "deployed_at", id="a time as a number"),
    pytest.param(encoded(TRACKER, deployed_at="2026-11-23"), "invalid_field", "deployed_at", id="a date alone"),
    pytest.param(
        encoded(TRACKER, deployed_at="0001-01-01T00:00:00+14:00"), "invalid_field", "deployed_at", id="before year 1"
    ),
    pytest.param(encoded(TRACKER, release="x" * 300), "invalid_field", "release", id="a release of 300 characters"),
    pytest.param(encoded(TRACKER, bundle={"blob": "../x", "sha256": "0" * 64}), "invalid_field", "bundle.blob", id="a way out"),
    pytest.param(encoded(TRACKER, modules=[{"name": "a"}]), "missing_field", "modules[0].source", id="inside a list"),
    pytest.param(b'{"serial":99,' + encoded(TRACKER)[1:], "invalid_field", "serial", id="a key twice"),
    pytest.param(encoded(TRACKER)[:-1] + b',"x":[{"y":1,"y":1}]}', "invalid_field", "x[0].y", id="a key twice, deep inside"),
    pytest.param(encoded(TRACKER, x=float("nan")), "invalid_field", "x", id="NaN"),
    pytest.param(encoded(TRACKER)[:-1] + b',"x":-1e999}', "invalid_field", "x", id="a number beyond a float"),
    pytest.param(encoded(TRACKER, serial=""), "invalid_field", "serial", id="an empty serial"),
    pytest.param(encoded(TRACKER, market="fr"), "copied", "market", id="another market's"),
    pytest.param(encoded(TRACKER, stack="app"), "copied", "stack", id="another stack's"),
    pytest.param(encoded(TRACKER, subscription_id="S-2"), "copied", "subscription_id", id="another subscription's"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "code", "field"), BAD_TRACKERS)
def test_a_bad_tracker_gets_a_named_fault(content: bytes, code: str, field: str | None) -> None:
    fault = fault_of_tracker(content)
    assert (fault.code, fault.field, fault.record, fault.blob) == (code, field, "tracker", "de/network.json")
    assert fault.message
    assert fault.remedy.endswith((".", "`."))


def test_a_fault_never_holds_a_value_of_the_record() -> None:
    secret = "hunter2-hunter2"
    for field in ("serial", "deployed_at", "state_md5", "schema_version", "bundle", "market"):
        assert secret not in fault_of_tracker(encoded(TRACKER, **{field: secret})).model_dump_json()
    assert secret not in fault_of_tracker(f'{{"x": "{secret}'.encode()).model_dump_json()


def test_unknown_fields_are_kept_and_survive_a_rewrite() -> None:
    content = encoded(TRACKER, costs={"centre": 7}, deployed_at="2026-11-23T05:12:00Z")
    rewritten = json.loads(tracker_of(content).model_dump_json(exclude_unset=True))
    assert rewritten == json.loads(content)
    nested = encoded(REGISTRY, stacks={"network": ENTRY | {"x": 1}}, y=2)
    assert json.loads(registry_of(nested).model_dump_json(exclude_unset=True)) == json.loads(nested)


EMPTY_IN_A_TRACKER = ("lineage", "state_md5", "release", "commit", "run_id", "run_url", "deployed_at", "deployed_by")


def test_what_may_be_absent_is_so_where_it_is_an_empty_text() -> None:
    tracker = tracker_of(encoded(TRACKER, **dict.fromkeys(EMPTY_IN_A_TRACKER, "")))
    assert tracker == tracker_of(encoded(TRACKER))
    places = {"workspace": "", "container": "", "account_url": ""}
    content = encoded(REGISTRY, stacks={"network": ENTRY | {"state": ENTRY["state"] | places, "deployed_at": ""}})
    entry = registry_of(content).entry("network")
    assert entry == registry_of(encoded(REGISTRY)).entry("network")


def test_a_key_that_stands_twice_is_named() -> None:
    content = encoded(REGISTRY).replace(b'"network"', b'"network": {}, "network"')
    with pytest.raises(RecordError) as caught:
        registry_of(content)
    assert caught.value.fault.message == "stacks.network stands twice in its object"


def test_a_subscription_id_is_compared_without_case_and_only_where_both_have_one() -> None:
    assert tracker_of(encoded(TRACKER, subscription_id="s-1"), "S-1").serial == 42
    assert tracker_of(encoded(TRACKER), "S-1").serial == 42
    assert tracker_of(encoded(TRACKER, subscription_id="s-1"), None).serial == 42


@pytest.mark.parametrize(
    ("content", "code", "field"),
    [
        pytest.param(encoded(REGISTRY, market="fr"), "copied", "market", id="another market's"),
        pytest.param(encoded(REGISTRY, subscription_id=7), "invalid_field", "subscription_id", id="an id of the wrong type"),
        pytest.param(encoded(REGISTRY, stacks="absent"), "missing_field", "stacks", id="no stacks"),
        pytest.param(encoded(REGISTRY, stacks=[]), "invalid_field", "stacks", id="stacks in a list"),
        pytest.param(encoded(REGISTRY, owner=["a"]), "invalid_field", "owner", id="an owner of the wrong type"),
    ],
)  # fmt: skip
def test_a_bad_registry_gets_a_named_fault(content: bytes, code: str, field: str) -> None:
    with pytest.raises(RecordError) as caught:
        registry_of(content)
    assert (caught.value.fault.code, caught.value.fault.field) == (code, field)


@pytest.mark.parametrize(
    ("stack", "entry", "code", "field"),
    [
        ("network", {**ENTRY, "serial": "42"}, "invalid_field", "stacks.network.serial"),
        ("network", {"serial": 42}, "missing_field", "stacks.network.state"),
        ("network", {"state": {}}, "missing_field", "stacks.network.state.key"),
        ("network", 7, "invalid_field", "stacks.network"),
        ("network", {"state": {"key": "../trackers/x"}}, "invalid_field", "stacks.network.state.key"),
        ("network", {"state": {"key": "/x"}}, "invalid_field", "stacks.network.state.key"),
        ("network", {"state": {"key": "a\\b"}}, "invalid_field", "stacks.network.state.key"),
        ("network", {"state": {"key": "a\nb"}}, "invalid_field", "stacks.network.state.key"),
        ("network", {"state": {"key": "x", "container": "../y"}}, "invalid_field", "stacks.network.state.container"),
        ("Net work", ENTRY, "invalid_name", "stacks.Net work"),
        ("a" * 100, ENTRY, "invalid_name", f"stacks.{'a' * 80}…"),
    ],
)
def test_a_bad_entry_costs_one_stack(stack: str, entry: Any, code: str, field: str) -> None:
    record = registry_of(encoded(REGISTRY, stacks={stack: entry, "app": ENTRY}))
    assert record.entry("app").serial == 42
    with pytest.raises(RecordError) as caught:
        record.entry(stack)
    assert (caught.value.fault.code, caught.value.fault.field) == (code, field)


@pytest.mark.parametrize(
    ("workspace", "blob"), [(None, "a.tfstate"), ("default", "a.tfstate"), ("dev", "a.tfstateenv:dev")]
)
def test_a_workspaces_state_is_where_the_azurerm_backend_puts_it(workspace: str | None, blob: str) -> None:
    assert StateLocation(key="a.tfstate", workspace=workspace).blob == blob


@pytest.mark.parametrize("name", ["de", "emea/fr", "a/b/c", "0", "a" * 63, "emea-2/x-1"])
def test_names_of_markets(name: str) -> None:
    assert is_market_key(name)
    assert is_stack_name(name) == ("/" not in name)


@pytest.mark.parametrize(
    "name",
    ["", "De", "a b", "..", "a/../b", "a//b", "/a", "a/", "-a", "a.b", "ä", "a" * 64, "a\n", "a\0", "a/" * 250 + "a"],
)
def test_names_that_no_market_and_no_stack_has(name: str) -> None:
    assert not is_market_key(name)
    assert not is_stack_name(name)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-23T05:12:00Z", "2026-11-23T05:12:00Z"),
        ("2026-11-23T05:12:00", "2026-11-23T05:12:00Z"),
        ("2026-11-23T06:12:00+01:00", "2026-11-23T05:12:00Z"),
        ("2026-11-23 05:12", "2026-11-23T05:12:00Z"),
        ("2026-11-23T05:12:00.123456789Z", "2026-11-23T05:12:00.123456Z"),
    ],
)
def test_times_are_read_as_utc_and_written_with_z(text: str, written: str) -> None:
    assert format_utc(parse_utc(text)) == written


LOCK_INFO = base64.b64encode(
    json.dumps(
        {
            "ID": "6f",
            "Operation": "OperationTypeApply",
            "Who": "alice@laptop",
            "Created": "2026-11-23T05:12:00.123456789Z",
        }
    ).encode()
).decode()


def test_a_lock_is_a_lease_described_by_metadata_whatever_the_keys_case() -> None:
    for key in ("terraformlockid", "Terraformlockid"):
        lock = read_lock(leased=True, metadata={key: LOCK_INFO})
        assert lock is not None
        assert (lock.id, lock.who, lock.operation) == ("6f", "alice@laptop", "OperationTypeApply")
        assert lock.created_at == datetime(2026, 11, 23, 5, 12, 0, 123456, tzinfo=UTC)


def test_metadata_without_a_lease_is_no_lock() -> None:
    assert read_lock(leased=False, metadata={"terraformlockid": LOCK_INFO}) is None


@pytest.mark.parametrize(
    "described", [{}, {"terraformlockid": "%%"}, {"terraformlockid": "e30x"}, {"terraformlockid": "W10="}]
)
def test_a_lease_without_a_readable_description_is_a_lock_of_unknown_age(described: dict[str, str]) -> None:
    assert read_lock(leased=True, metadata=described) == UNREADABLE_LOCK


def test_every_fault_code_is_used() -> None:
    seen = {param.values[1] for param in BAD_TRACKERS}
    assert seen <= set(FaultCode)
