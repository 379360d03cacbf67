"""What is read of a plan's JSON, and what is refused."""

import json
import mmap
import tempfile
from pathlib import Path
from typing import Any

import pytest

from drift.classify import classify
from drift.masking import UNKNOWN
from drift.plan_json import InconclusiveCode, InconclusivePlan, Plan, read_plan
from tests.unit.plan_samples import (
    NO_OP,
    READ,
    UPDATE,
    inconclusive,
    plan,
    plan_bytes,
    resource,
)

SECRET = "s3cr3t-"
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        pytest.param(plan_bytes(format_version="2.0"), InconclusiveCode.UNKNOWN_FORMAT, id="another major"),
        pytest.param(
            plan_bytes(format_version="2.0", resource_changes={"a": 1}), InconclusiveCode.UNKNOWN_FORMAT, id="of another shape"
        ),
        pytest.param(plan_bytes(format_version="0.2"), InconclusiveCode.UNKNOWN_FORMAT, id="from before Terraform 1.1"),
        pytest.param(plan_bytes(format_version="11.0"), InconclusiveCode.UNKNOWN_FORMAT, id="a major that begins alike"),
        pytest.param(plan_bytes(format_version=...), InconclusiveCode.UNKNOWN_FORMAT, id="no version"),
        pytest.param(b"{}", InconclusiveCode.UNKNOWN_FORMAT, id="nothing"),
        pytest.param(plan_bytes(format_version=SECRET), InconclusiveCode.UNKNOWN_FORMAT, id="no version but text"),
        pytest.param(plan_bytes(errored=True), InconclusiveCode.ERRORED, id="errored"),
        pytest.param(plan_bytes(complete=False), InconclusiveCode.INCOMPLETE, id="not complete"),
        pytest.param(plan_bytes(errored=True, complete=False), InconclusiveCode.ERRORED, id="errored and not complete"),
        pytest.param(
            plan_bytes(changes=[resource()], applyable=False), InconclusiveCode.CONTRADICTORY, id="changes and not applyable"
        ),
        pytest.param(
            plan_bytes(applyable=True, some_new_changes=[{"change": {"actions": ["frobnicate"]}}]),
            InconclusiveCode.CONTRADICTORY,
            id="something to apply, by a field of a version to come",
        ),
        pytest.param(
            plan_bytes([resource()], [resource(NO_OP)], applyable=True), InconclusiveCode.CONTRADICTORY, id="drift to apply"
        ),
        pytest.param(
            plan_bytes(output_changes={"o": {"actions": ["no-op"]}}, applyable=True),
            InconclusiveCode.CONTRADICTORY,
            id="something to apply, and an output that stays",
        ),
        pytest.param(plan_bytes(changes=[resource()] * 2), InconclusiveCode.CONTRADICTORY, id="an object named twice"),
        pytest.param(b"", InconclusiveCode.UNREADABLE, id="empty"),
        pytest.param(plan_bytes()[:-1], InconclusiveCode.UNREADABLE, id="cut short"),
        pytest.param(b"\xef\xbb\xbf" + plan_bytes(), InconclusiveCode.UNREADABLE, id="a byte-order mark"),
        pytest.param(b"[" * 100_000, InconclusiveCode.UNREADABLE, id="too deep"),
        pytest.param(plan_bytes(x=1).replace(b'"x": 1', b'"x": ' + b'{"a":' * 9999), InconclusiveCode.UNREADABLE, id="deep"),
        pytest.param(plan_bytes(changes=[{"address": 1}]), InconclusiveCode.UNREADABLE, id="no text for an address"),
        pytest.param(
            plan_bytes(changes=[resource()]).replace(b'"before": null', b'"before": "\xff"'),
            InconclusiveCode.UNREADABLE,
            id="no UTF-8",
        ),
        pytest.param(
            plan_bytes(changes=[resource()]).replace(b'"before": null', b'"before": ' + b"9" * 5000),
            InconclusiveCode.UNREADABLE,
            id="a number of 5,000 digits",
        ),
    ],
)  # fmt: skip
def test_inconclusive(document: bytes, code: InconclusiveCode) -> None:
    found = inconclusive(document)
    assert found.code is code
    assert SECRET not in repr(found)
    assert "\n" not in found.message


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"complete": ..., "applyable": ..., "errored": ...}, id="before Terraform 1.5, and OpenTofu"),
        pytest.param({"format_version": "1.99", "brand_new": {"a": [1]}}, id="a minor to come"),
        pytest.param({"applyable": False}, id="nothing to apply"),
        pytest.param({"resource_drift": None, "output_changes": None}, id="nulls"),
    ],
)
def test_read_all_the_same(fields: dict[str, Any]) -> None:
    assert plan(**fields).objects == ()


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(plan_bytes(changes=[resource(READ, mode="data")]), id="a data source that is read"),
        pytest.param(plan_bytes(changes=[resource(NO_OP, previous_address="a.b")]), id="a move"),
        pytest.param(plan_bytes(changes=[resource(NO_OP, importing={"id": "x"})]), id="an import"),
        pytest.param(plan_bytes(changes=[resource(["forget"])]), id="something that is forgotten"),
        pytest.param(plan_bytes(changes=[resource(deposed="abc")]), id="a deposed object"),
        pytest.param(plan_bytes(output_changes={"o": {"actions": ["delete"]}}), id="an output"),
        pytest.param(plan_bytes(action_invocations=[{"address": "action.a.b", "type": "a"}]), id="an action"),
    ],
)
@pytest.mark.parametrize("has_changes", [True, None])
def test_what_an_apply_would_do_is_seen_in_the_plan(document: bytes, has_changes: bool | None) -> None:
    assert json.loads(document)["applyable"]
    assert isinstance(read_plan(document, has_changes=has_changes), Plan)


@pytest.mark.parametrize(
    ("changes", "has_changes", "is_believed"),
    [
        ([], None, True),
        ([], False, True),
        ([], True, False),
        ([resource()], None, True),
        ([resource()], True, True),
        ([resource()], False, False),
    ],
)
def test_of_a_plan_that_says_nothing_of_itself_the_exit_status_is_believed(
    changes: list[Any], has_changes: bool | None, is_believed: bool
) -> None:
    """Before Terraform 1.8, and OpenTofu."""
    found = read_plan(plan_bytes(changes=changes, applyable=..., complete=...), has_changes=has_changes)
    assert isinstance(found, Plan) == is_believed


@pytest.mark.parametrize("path", sorted((GOLDEN / "plans").glob("*.json")), ids=lambda path: str(path.stem))
def test_the_real_terraform_does_not_contradict_itself(path: Path) -> None:
    expected = json.loads((GOLDEN / "plan_findings.json").read_text(encoding="utf-8"))[path.stem]["inconclusive"]
    document = path.read_bytes()
    found = read_plan(document, has_changes=json.loads(document)["applyable"])
    assert (found.code if isinstance(found, InconclusivePlan) else None) == expected


def test_nothing_refers_to_a_mapped_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(plan_bytes([resource(UPDATE, {"a": "x"}, {"a": "y"})], []))
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            found = read_plan(view)
    assert isinstance(found, Plan)
    assert len(classify(found).findings) == 1


def test_what_nothing_is_up_with_is_not_decoded() -> None:
    broken = resource(NO_OP, "?").copy()
    document = plan_bytes(changes=[broken]).replace(b'"?"', b"9" * 5000)
    found = read_plan(document)
    assert isinstance(found, Plan)
    assert (found.objects, found.managed_count) == ((), 1)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("2.50", 2.5),
        ("3.0", 3),
        ("1e3", 1000),
        ("12345678901234567890123", 12345678901234567890123),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("1e400", "1e400"),
    ],
)
def test_a_number_is_what_is_written(number: str, shown: Any) -> None:
    document = plan_bytes([resource(UPDATE, {"a": None}, {"a": "?"})], []).replace(b'"?"', number.encode())
    found = read_plan(document)
    assert isinstance(found, Plan)
    assert classify(found).findings[0].attributes[0].after == shown


def test_two_numbers_that_a_float_takes_for_one_differ() -> None:
    document = plan_bytes([resource(UPDATE, {"a": "?"}, {"a": "!"})], [])
    document = document.replace(b'"?"', b"0.12345678901234567").replace(b'"!"', b"0.12345678901234568")
    found = read_plan(document)
    assert isinstance(found, Plan)
    assert len(classify(found).findings) == 1


def test_unknown_is_seen_wherever_it_is() -> None:
    unknown = {"a": True, "l": [False, True], "o": {"p": True}, "x": [True]}
    after = {"l": [1], "o": {"q": 1}, "x": "text"}
    [one] = plan([], [resource(UPDATE, {}, after, unknown=unknown)]).objects
    assert one.change
    assert one.change.after == {"a": UNKNOWN, "l": [1, UNKNOWN], "o": {"q": 1, "p": UNKNOWN}, "x": UNKNOWN}
