"""What is drift and what only looks like it: the table of the design, and the laws that keep a heal from doing harm."""

import json
from pathlib import Path
from typing import Any

import pytest

from drift.classify import classify
from drift.plan_json import Plan, read_plan
from records.findings import AttributeChange, FindingKind
from tests.unit.plan_samples import (
    CREATE,
    DELETE,
    NO_OP,
    READ,
    REPLACE,
    REPLACE_CREATED_FIRST,
    RULE,
    UPDATE,
    classified,
    only_finding,
    plan_bytes,
    resource,
    three,
)

PORTAL_DRIFT, STALE_STATE = FindingKind.PORTAL_DRIFT, FindingKind.STALE_STATE
PENDING_CHANGE, MIXED, UNSAFE = FindingKind.PENDING_CHANGE, FindingKind.MIXED, FindingKind.UNSAFE
DENY, ALLOW = {"access": "Deny", "priority": 100}, {"access": "Allow", "priority": 100}
DRIFTED = resource(UPDATE, DENY, ALLOW)
GONE = resource(DELETE, DENY)

TABLE: dict[str, tuple[Any, Any, FindingKind]] = {
    "a click that the apply reverts": (DRIFTED, resource(UPDATE, ALLOW, DENY), PORTAL_DRIFT),
    "deleted outside and created again": (GONE, resource(CREATE, None, DENY), PORTAL_DRIFT),
    "deleted outside and created as something else": (GONE, resource(CREATE, None, ALLOW), MIXED),
    "deleted outside and no longer configured": (GONE, None, STALE_STATE),
    "deleted outside and the apply does nothing": (GONE, resource(NO_OP), STALE_STATE),
    "drift that the plan says nothing of": (DRIFTED, None, STALE_STATE),
    "drift that the configuration does not care about": (DRIFTED, resource(NO_OP, ALLOW, ALLOW), STALE_STATE),
    "an update without drift": (None, resource(UPDATE, DENY, ALLOW), PENDING_CHANGE),
    "a creation without drift": (None, resource(CREATE, None, DENY), PENDING_CHANGE),
    "a deletion without drift": (None, resource(DELETE, DENY), PENDING_CHANGE),
    "a replacement without drift": (None, resource(REPLACE, DENY, ALLOW), PENDING_CHANGE),
    "only a mark or a move in the drift": (resource(NO_OP, DENY, DENY), resource(UPDATE, DENY, ALLOW), PENDING_CHANGE),
    "an update that has nothing to show": (None, resource(UPDATE, DENY, DENY), PENDING_CHANGE),
    "the drift undone and another attribute changed": (
        DRIFTED,
        resource(UPDATE, ALLOW, DENY | {"priority": 200}),
        MIXED,
    ),
    "the drift left and another attribute changed": (DRIFTED, resource(UPDATE, ALLOW, ALLOW | {"priority": 2}), MIXED),
    "the drift turned into a third value": (DRIFTED, resource(UPDATE, ALLOW, ALLOW | {"access": "Log"}), MIXED),
    "drift, and the apply deletes": (DRIFTED, resource(DELETE, ALLOW), MIXED),
    "drift, and the apply creates over it": (DRIFTED, resource(CREATE, None, DENY), MIXED),
    "drift, and an update that has nothing to show": (DRIFTED, resource(UPDATE, ALLOW, ALLOW), MIXED),
    "drift and a change of different objects": (DRIFTED, resource(UPDATE, ALLOW | {"priority": 1}, DENY), MIXED),
    "deleted outside, and the apply replaces": (GONE, resource(REPLACE, None, DENY), MIXED),
    "a click that is undone by a replacement": (DRIFTED, resource(REPLACE, ALLOW, DENY), PORTAL_DRIFT),
    "a click that is undone, created first": (DRIFTED, resource(REPLACE_CREATED_FIRST, ALLOW, DENY), PORTAL_DRIFT),
    "a click, and a replacement by something else": (DRIFTED, resource(REPLACE, ALLOW, ALLOW | {"a": 1}), MIXED),
    "a click on a resource that also moved": (
        DRIFTED,
        resource(UPDATE, ALLOW, DENY, previous_address="azurerm_network_security_rule.old"),
        PORTAL_DRIFT,
    ),
    "drift of what is imported": (DRIFTED, resource(UPDATE, ALLOW, DENY, importing={"id": "x"}), MIXED),
    "an import that also changes": (None, resource(UPDATE, ALLOW, DENY, importing={"id": "x"}), PENDING_CHANGE),
    "forgotten": (None, resource(["forget"], DENY), UNSAFE),
    "created and the former forgotten": (None, resource(["create", "forget"], DENY, ALLOW), UNSAFE),
    "drift of what is forgotten": (DRIFTED, resource(["forget"], ALLOW), UNSAFE),
    "an action of a version to come": (None, resource(["migrate"], DENY, ALLOW), UNSAFE),
    "no action at all": (None, resource([], DENY, ALLOW), UNSAFE),
    "drift by an action of a version to come": (
        resource(["migrate"], DENY, ALLOW),
        resource(UPDATE, ALLOW, DENY),
        UNSAFE,
    ),
    "a managed resource that is read": (None, resource(READ, DENY, ALLOW), UNSAFE),
    "a data source that is updated": (None, resource(UPDATE, DENY, ALLOW, mode="data"), UNSAFE),
    "a mode of a version to come": (None, resource(UPDATE, DENY, ALLOW, mode="ephemeral"), UNSAFE),
}


@pytest.mark.parametrize(("drift", "change", "kind"), TABLE.values(), ids=TABLE.keys())
def test_the_table(drift: Any, change: Any, kind: FindingKind) -> None:
    finding = only_finding([drift] if drift else [], [change] if change else [])
    assert finding.kind is kind
    actions = tuple(change["change"]["actions"]) if change else NO_OP
    assert finding.actions == actions
    assert finding.destructive == ("delete" in actions)


@pytest.mark.parametrize(
    ("drift", "change"),
    [
        pytest.param(None, resource(READ, DENY, ALLOW, mode="data"), id="a data source that is read"),
        pytest.param(None, resource(NO_OP, DENY, DENY, previous_address="a.b"), id="a move alone"),
        pytest.param(None, resource(NO_OP, DENY, DENY, importing={"id": "x"}), id="an import alone"),
        pytest.param(resource(NO_OP, DENY, DENY), None, id="drift that is none"),
        pytest.param(resource(UPDATE, {"a": None}, {}), resource(NO_OP), id="null became absent"),
        pytest.param(resource(UPDATE, {"a": 1}, {"a": 1.0}), None, id="1 became 1.0"),
        pytest.param(resource(UPDATE, {"s": [1, 2]}, {"s": [2, 1]}), None, id="elements of a set moved"),
    ],
)
def test_no_finding(drift: Any, change: Any) -> None:
    assert classified([drift] if drift else [], [change] if change else []).findings == ()


MOVED: dict[str, Any] = {"previous_address": "azurerm_network_security_rule.old"}
IMPORTED: dict[str, Any] = {"importing": {"id": "x"}}


@pytest.mark.parametrize(
    ("drift", "change", "kinds"),
    [
        pytest.param(None, resource(NO_OP, DENY, DENY, **MOVED), [], id="a move alone"),
        pytest.param(None, resource(NO_OP, DENY, DENY, **IMPORTED), [], id="an import alone"),
        pytest.param(DRIFTED | MOVED, resource(UPDATE, ALLOW, DENY, **MOVED), [PORTAL_DRIFT], id="a move with a click"),
        pytest.param(DRIFTED | MOVED, resource(NO_OP, ALLOW, ALLOW, **MOVED), [STALE_STATE], id="a move with ignored drift"),
        pytest.param(DRIFTED | MOVED, None, [STALE_STATE], id="a move that only the drift tells of"),
        pytest.param(None, resource(UPDATE, ALLOW, DENY, **MOVED), [PENDING_CHANGE], id="a move with a change"),
        pytest.param(None, resource(UPDATE, ALLOW, DENY, **IMPORTED), [PENDING_CHANGE], id="an import with a change"),
        pytest.param(DRIFTED, resource(UPDATE, ALLOW, DENY, **IMPORTED), [MIXED], id="an import with drift"),
        pytest.param(None, resource(["forget"], DENY, **MOVED), [UNSAFE], id="a move of what is forgotten"),
    ],
)  # fmt: skip
def test_what_an_apply_would_carry_along_is_told_whatever_the_finding(
    drift: Any, change: Any, kinds: list[FindingKind]
) -> None:
    other = "azurerm_lb.a"
    found = classified(
        [*([drift] if drift else []), resource(UPDATE, DENY, ALLOW, address=other)],
        [*([change] if change else []), resource(UPDATE, ALLOW, DENY, address=other)],
    )
    assert [one.kind for one in found.findings] == [PORTAL_DRIFT, *kinds]
    assert found.carried_along == (RULE,)


def test_what_is_carried_along_is_sorted_and_told_once() -> None:
    moves = [resource(NO_OP, address=address, **MOVED) for address in ("a.z", "a.b")]
    found = classified([], [*moves, resource(DELETE, DENY, address="a.z", deposed="abc", **MOVED)])
    assert found.carried_along == ("a.b", "a.z")


def test_outputs_and_checks_alone_are_no_finding() -> None:
    outputs = {"a": {"actions": ["update"]}, "b": {"actions": ["no-op"]}}
    found = classified(output_changes=outputs, checks=[{"status": "fail"}])
    assert found.findings == ()


def test_attributes_are_what_the_apply_changes() -> None:
    now = {"access": "Allow", "tags": {"a b": "1"}, "set": [{"n": "q"}, {"n": "r"}], "same": 1}
    after = {"access": "Deny", "tags": {}, "set": [{"n": "p"}, {"n": "q"}, {"n": "r"}], "same": 1.0}
    assert three(after, now, after).attributes == (
        AttributeChange(path="access", before="Allow", after="Deny"),
        AttributeChange(path="set[2].n", before=None, after="p"),
        AttributeChange(path='tags["a b"]', before="1", after=None),
    )


def test_a_list_in_another_order_is_shown_where_nothing_else_differs() -> None:
    assert three({"l": [1, 2]}, {"l": [2, 1]}, {"l": [1, 2]}).attributes == (
        AttributeChange(path="l", before=[2, 1], after=[1, 2]),
    )


def test_of_stale_state_the_attributes_are_what_the_state_has_and_what_is_there() -> None:
    assert only_finding([DRIFTED], []).attributes == (AttributeChange(path="access", before="Deny", after="Allow"),)


def test_a_deposed_object_is_apart() -> None:
    current = [resource(UPDATE, ALLOW, DENY), resource(DELETE, DENY, deposed="abc")]
    found = classified([DRIFTED], current).findings
    assert [(one.address, one.deposed, one.kind) for one in found] == [
        (RULE, None, PORTAL_DRIFT),
        (RULE, "abc", PENDING_CHANGE),
    ]


@pytest.mark.parametrize(
    "address",
    ['module.hub["de"].module.x[0].azurerm_lb.a', 'azurerm_lb.a["b \\"q\\" . c"]', "azurerm_lb.a[12]"],
)
def test_addresses_pair_drift_and_change(address: str) -> None:
    other = resource(UPDATE, DENY, ALLOW, address="azurerm_lb.other")
    drift = resource(UPDATE, DENY, ALLOW, address=address)
    found = classified([drift], [other, resource(UPDATE, ALLOW, DENY, address=address)]).findings
    assert {one.address: one.kind for one in found} == {address: PORTAL_DRIFT, "azurerm_lb.other": PENDING_CHANGE}


def test_an_action_that_the_apply_would_run_is_unsafe() -> None:
    invoked = [{"address": "action.azurerm_vm_power.stop", "type": "azurerm_vm_power"}]
    finding = only_finding(action_invocations=invoked)
    assert (finding.address, finding.kind) == ("action.azurerm_vm_power.stop", UNSAFE)


def test_the_resources_of_the_stack_are_counted() -> None:
    changes = [resource(NO_OP, address=f"azurerm_lb.a[{number}]") for number in range(5)]
    changes += [resource(READ, mode="data", address="data.a.b"), resource(DELETE, deposed="x")]
    assert classified([GONE], changes).managed_count == 6


@pytest.mark.parametrize(
    ("own", "expected"),
    [({"id": "/subscriptions/1/x"}, "/subscriptions/1/x"), ({"id": "7"}, None), ({}, None), ({"id": None}, None)],
)
def test_the_azure_id(own: dict[str, Any], expected: str | None) -> None:
    assert only_finding([resource(DELETE, own | {"a": 1})], []).resource_id == expected


GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("path", sorted((GOLDEN / "plans").glob("*.json")), ids=lambda path: str(path.stem))
def test_plans_of_the_real_terraform(path: Path) -> None:
    expected = json.loads((GOLDEN / "plan_findings.json").read_text(encoding="utf-8"))[path.stem]
    found = read_plan(path.read_bytes())
    if not isinstance(found, Plan):
        assert expected["inconclusive"] == found.code
        return
    classification = classify(found)
    assert {one.address: one.kind for one in classification.findings} == expected["findings"]
    assert list(classification.carried_along) == expected["carried_along"]


def test_a_plan_of_nothing_has_no_finding() -> None:
    found = read_plan(plan_bytes(resource_drift=..., resource_changes=...))
    assert isinstance(found, Plan)
    assert classify(found).findings == ()
