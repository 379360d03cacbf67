"""Attribute by attribute: what counts as the undoing of drift, and what was never deployed."""

from typing import Any

import pytest

from records.findings import FindingKind
from tests.unit.plan_samples import CREATE, DELETE, only_finding, resource, three

PORTAL_DRIFT, PENDING_CHANGE, MIXED = FindingKind.PORTAL_DRIFT, FindingKind.PENDING_CHANGE, FindingKind.MIXED


@pytest.mark.parametrize(
    ("state", "now", "after", "kind"),
    [
        pytest.param({"a": ""}, {"a": "x"}, {"a": None}, PORTAL_DRIFT, id="what was never set is unset: '' for null"),
        pytest.param({"a": False}, {"a": True}, {}, PORTAL_DRIFT, id="what was never set is unset: false for null"),
        pytest.param({"a": []}, {"a": [1]}, {"a": None}, PORTAL_DRIFT, id="what was never set is unset: [] for null"),
        pytest.param({"a": "x"}, {"a": "y"}, {"a": None}, MIXED, id="what was set is unset"),
        pytest.param({"a": ""}, {"a": "x"}, {"a": []}, MIXED, id="one empty value is not another"),
        pytest.param({"a": None}, {"a": [1]}, {"a": []}, PORTAL_DRIFT, id="what was never set is emptied: [] for null"),
        pytest.param({"a": None}, {"a": {"b": 1}}, {"a": {}}, PORTAL_DRIFT, id="what was never set is emptied: {} for null"),
        pytest.param({"a": None}, {"a": True}, {"a": False}, MIXED, id="what was never set is set: false for null"),
        pytest.param({"a": None}, {"a": 7}, {"a": 0}, MIXED, id="what was never set is set: 0 for null"),
        pytest.param({"a": 1, "b": None}, {"a": 2, "b": None}, {"a": 2, "b": False}, MIXED, id="ignored, and null is set"),
        pytest.param({"a": 1, "b": 0}, {"a": 2, "b": 0}, {"a": 2, "b": None}, MIXED, id="ignored, and 0 is unset"),
        pytest.param({"a": 1, "b": 0}, {"a": 2, "b": 0}, {"a": 1, "b": None}, MIXED, id="undone, and 0 is unset"),
        pytest.param({"a": 1, "b": None}, {"a": 2, "b": None}, {"a": 1, "b": []}, MIXED, id="undone, and null is emptied"),
        pytest.param(
            {"s": [{"a": 1, "b": None}]}, {"s": [{"a": 2, "b": None}]}, {"s": [{"a": 1, "b": False}]}, MIXED,
            id="undone in a block, and null is set beside it",
        ),
        pytest.param({"t": {"a": "1"}}, {"t": {}}, {"t": {"a": "1", "b": ""}}, MIXED, id="tags put back, an empty one added"),
        pytest.param({"t": {"a": "1"}}, {"t": {}}, {"t": {"a": "1", "b": None}}, PORTAL_DRIFT, id="tags put back, and a null"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 1.0}, PORTAL_DRIFT, id="1.0 is 1"),
        pytest.param({"a": 1}, {"a": 2}, {"a": True}, MIXED, id="true is not 1"),
        pytest.param({"a": 1}, {"a": 2}, {"a": "1"}, MIXED, id="text is not a number"),
        pytest.param({"l": [1, 2]}, {"l": [2, 1]}, {"l": [1, 2]}, PORTAL_DRIFT, id="a list put back in order"),
        pytest.param(
            {"l": [1, 2, 3]}, {"l": [1, 2, 4]}, {"l": [2, 1, 3]}, MIXED, id="an element restored and a list in another order"
        ),
        pytest.param(
            {"l": [1, 2], "b": 1}, {"l": [2, 1], "b": 1}, {"l": [2, 1], "b": 2}, PENDING_CHANGE, id="a set moved, another set"
        ),
        pytest.param({"s": [1, 2]}, {"s": [1, 2, 9]}, {"s": [1, 2]}, PORTAL_DRIFT, id="an element too many is taken out"),
        pytest.param({"s": [1, 2]}, {"s": [2]}, {"s": [1, 2]}, PORTAL_DRIFT, id="an element is put back"),
        pytest.param({"s": [1, 2]}, {"s": [2]}, {"s": [1, 2, 3]}, MIXED, id="an element is put back and one is new"),
        pytest.param(
            {"s": [{"a": 1, "b": 1}]}, {"s": [{"a": 2, "b": 2}]}, {"s": [{"a": 1, "b": 2}]}, PORTAL_DRIFT, id="half a block"
        ),
        pytest.param(
            {"s": [{"n": "p", "v": 1}, {"n": "q", "v": 2}]},
            {"s": [{"n": "q", "v": 2}, {"n": "z", "v": 1}]},
            {"s": [{"n": "p", "v": 2}, {"n": "z", "v": 1}]},
            MIXED,
            id="elements that moved are not mistaken for their neighbours",
        ),
        pytest.param({"t": {"a": "1"}}, {"t": {"a": "1", "b": "2"}}, {"t": {"a": "1"}}, PORTAL_DRIFT, id="a tag too many"),
        pytest.param({"t": {"a": "1"}}, {"t": None}, {"t": {"a": "1"}}, PORTAL_DRIFT, id="all tags put back"),
        pytest.param({"t": {"a": "1", "b": "2"}}, {"t": None}, {"t": {"a": "1"}}, MIXED, id="some tags put back"),
        pytest.param({"a": 1, "i": 1}, {"a": 2, "i": 2}, {"a": 1, "i": 2}, PORTAL_DRIFT, id="one undone and one ignored"),
    ],
)  # fmt: skip
def test_attribute_by_attribute(state: Any, now: Any, after: Any, kind: FindingKind) -> None:
    assert three(state, now, after).kind is kind


@pytest.mark.parametrize(
    ("state", "now", "after", "unknown", "kind"),
    [
        pytest.param({"a": 1, "e": 1}, {"a": 2, "e": 2}, {"a": 1}, {"e": True}, PORTAL_DRIFT, id="where it drifted too"),
        pytest.param({"a": 1, "e": 1}, {"a": 2, "e": 1}, {"a": 1}, {"e": True}, MIXED, id="where nothing drifted"),
        pytest.param({"a": 1, "e": 1}, {"a": 2, "e": 2}, {"a": 2}, {"e": True}, MIXED, id="and nothing is known to be undone"),
        pytest.param({"a": [1]}, {"a": [2]}, {"a": []}, {"a": [True]}, MIXED, id="in a list where it drifted, alone"),
        pytest.param(
            {"s": [{"a": 1, "i": 7}]}, {"s": []}, {"s": [{"a": 1}]}, {"s": [{"i": True}]}, PORTAL_DRIFT, id="in a block"
        ),
        pytest.param({"a": 1}, {"a": 2}, {"a": 1}, {"a": {"b": True}}, MIXED, id="inside of what is no object"),
        pytest.param(
            {"a": 1, "t": {}}, {"a": 2, "t": {}}, {"a": 2, "t": {}}, {"t": {"x": True}}, MIXED, id="a new tag, the drift left"
        ),
        pytest.param(
            {"a": 1, "t": {}}, {"a": 2, "t": {}}, {"a": 1, "t": {}}, {"t": {"x": True}}, MIXED, id="a new tag, the drift undone"
        ),
        pytest.param({"t": {"o": "1"}}, {"t": {}}, {"t": {"o": "1"}}, {"t": {"x": True}}, MIXED, id="tags put back, one new"),
        pytest.param({"t": {"o": "1"}}, {"t": None}, {"t": {"o": "1"}}, {"t": {"x": True}}, MIXED, id="the same, of no tags"),
        pytest.param({"t": {"o": "1"}}, {"t": {}}, {"t": {}}, {"t": {"o": True}}, MIXED, id="a tag back, not known as what"),
        pytest.param({"s": ["a"]}, {"s": []}, {"s": []}, {"s": [True]}, MIXED, id="an element put back, not known as what"),
        pytest.param(
            {"t": {"o": "1", "p": "2"}}, {"t": {}}, {"t": {"o": "1"}}, {"t": {"p": True}}, PORTAL_DRIFT, id="one known, one not"
        ),
        pytest.param(
            {"s": [{"a": 1}]}, {"s": []}, {"s": [{"a": 1}]}, {"s": [{"x": True}]}, MIXED, id="a block with a key it never had"
        ),
    ],
)  # fmt: skip
def test_unknown_after_the_apply(state: Any, now: Any, after: Any, unknown: Any, kind: FindingKind) -> None:
    finding = three(state, now, after, unknown=unknown)
    assert finding.kind is kind
    assert any(attribute.sensitive for attribute in finding.attributes)


@pytest.mark.parametrize(
    ("state", "after", "unknown", "kind"),
    [
        pytest.param({"id": "/x", "a": 1}, {"a": 1}, {"id": True}, PORTAL_DRIFT, id="what is computed is not known yet"),
        pytest.param({"a": 1, "b": "", "c": 0}, {"a": 1}, {}, PORTAL_DRIFT, id="what was never set"),
        pytest.param({"a": 1, "b": "x"}, {"a": 1}, {}, MIXED, id="what is no longer set"),
        pytest.param({"a": 1}, {"a": 1, "b": "x"}, {}, MIXED, id="what is newly set"),
        pytest.param({"s": [{"a": 1, "i": 7}]}, {"s": [{"a": 1}]}, {"s": [{"i": True}]}, PORTAL_DRIFT, id="in a block"),
        pytest.param({"s": [1]}, {"s": [1, 2]}, {}, MIXED, id="an element more"),
        pytest.param({"t": {"a": "1"}}, {"t": {"a": "1"}}, {"t": {"x": True}}, MIXED, id="a new tag that is not known yet"),
        pytest.param({"t": {"a": "1"}}, {"t": {"a": "1", "x": ""}}, {}, MIXED, id="a new tag that is empty"),
        pytest.param({"t": {"a": "1"}}, {"t": {}}, {"t": {"a": True}}, PORTAL_DRIFT, id="a tag that is not known yet"),
        pytest.param({"a": 1, "b": None}, {"a": 1, "b": False}, {}, MIXED, id="what is newly set to false"),
        pytest.param({"a": 1, "b": None}, {"a": 1}, {"b": True}, PORTAL_DRIFT, id="what was computed as null"),
    ],
)  # fmt: skip
def test_deleted_outside_and_created_again(state: Any, after: Any, unknown: Any, kind: FindingKind) -> None:
    finding = only_finding([resource(DELETE, state)], [resource(CREATE, None, after, unknown=unknown)])
    assert (finding.kind, finding.destructive) == (kind, False)
