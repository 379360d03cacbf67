"""That no secret of a plan comes out of it, and that what is masked can still be compared."""

import dataclasses
import gc
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.classify import Classification, classify
from drift.fingerprint import fingerprint, fleet_fingerprint
from drift.masking import Masked
from drift.plan_json import InconclusivePlan, Plan, read_plan
from records.findings import Finding, FindingKind
from tests.unit.plan_samples import (
    DELETE,
    UPDATE,
    classified,
    only_finding,
    plan,
    plan_bytes,
    resource,
    three,
)

SECRET = "s3cr3t-"


def test_masked_values_can_still_be_compared() -> None:
    [one] = plan([resource(UPDATE, {"p": "a"}, {"p": "b"}, sensitive={"p": True})], []).objects
    assert one.drift
    assert isinstance(one.drift.before, dict)
    assert isinstance(one.drift.before["p"], Masked)
    assert one.drift.before != one.drift.after
    assert repr(one.drift.before["p"]) == "Masked()"


def test_a_sensitive_attribute_that_was_put_back_is_portal_drift_without_its_values() -> None:
    drift = [resource(UPDATE, {"p": "secret-1"}, {"p": "secret-2"}, sensitive={"p": True})]
    finding = only_finding(drift, [resource(UPDATE, {"p": "secret-2"}, {"p": "secret-1"}, sensitive={"p": True})])
    assert finding.kind is FindingKind.PORTAL_DRIFT
    [attribute] = finding.attributes
    assert attribute.model_dump() == {"path": "p", "before": None, "after": None, "sensitive": True}


def test_a_third_secret_is_no_revert() -> None:
    drift = [resource(UPDATE, {"p": "secret-1"}, {"p": "secret-2"}, sensitive={"p": True})]
    changes = [resource(UPDATE, {"p": "secret-2"}, {"p": "secret-3"}, sensitive={"p": True})]
    assert only_finding(drift, changes).kind is FindingKind.MIXED


@pytest.mark.parametrize(
    ("before", "after", "sensitive", "sensitive_after"),
    [
        pytest.param({"p": SECRET}, {"p": SECRET + "2"}, {"p": True}, {}, id="marked before alone"),
        pytest.param({"p": SECRET}, {"p": SECRET + "2"}, {}, {"p": True}, id="marked after alone"),
        pytest.param({"p": SECRET}, {"p": None}, {"p": True}, {}, id="taken away"),
        pytest.param(SECRET, None, True, False, id="all of it"),
        pytest.param({"l": ["a", SECRET]}, {"l": ["a"]}, {"l": [False, True]}, {}, id="an element"),
        pytest.param({"l": [SECRET, "a"]}, {"l": ["a", SECRET]}, {"l": [True, False]}, {}, id="an element that moved"),
        pytest.param({"m": {"a": {"b": [{"c": SECRET}]}}}, {}, {"m": {"a": {"b": [{"c": True}]}}}, {}, id="deep down"),
        pytest.param({"m": {SECRET: 1}}, {}, {"m": True}, {}, id="a key under a mark"),
        pytest.param({"m": {"a": SECRET}}, {}, {"m": [True]}, {}, id="a mark of another shape"),
        pytest.param({"m": SECRET}, {}, {"m": {"a": True}}, {}, id="a mark of what text does not have"),
        pytest.param({"m": SECRET}, {}, {"m": "yes"}, {}, id="a mark that is not known"),
        pytest.param({"p": "s3cr", "q": "s3cr"}, {"p": "a", "q": "b"}, {"p": True}, {}, id="a short echo"),
        pytest.param(
            {"p": SECRET + "1", "q": f"Key={SECRET}1;"}, {"p": "a", "q": "b"}, {"p": True}, {}, id="an echo in a longer text"
        ),
        pytest.param({"p": SECRET + "1", "q": {SECRET + "1": 1}}, {}, {"p": True}, {}, id="an echo in a key"),
    ],
)  # fmt: skip
def test_no_secret_comes_out(before: Any, after: Any, sensitive: Any, sensitive_after: Any) -> None:
    marked = {"sensitive": sensitive, "sensitive_after": sensitive_after}
    changed = resource(UPDATE, after, before, sensitive=sensitive_after, sensitive_after=sensitive)
    for drift, changes in (([], [resource(UPDATE, before, after, **marked)]), ([changed], []), ([changed], [changed])):
        document = plan_bytes(drift, changes)
        assert b"s3cr" in document
        assert "s3cr" not in everything_of(document)


@pytest.mark.parametrize(
    ("value", "marks"),
    [
        pytest.param(1234, {"a": True}, id="a number, marked as an object"),
        pytest.param([1234], {"a": True}, id="a list, marked as an object"),
        pytest.param({"a": 1234}, [True], id="an object, marked as a list"),
        pytest.param(1234, True, id="a number"),
    ],
)
def test_a_mark_covers_what_it_does_not_fit(value: Any, marks: Any) -> None:
    finding = only_finding([], [resource(UPDATE, {"p": value}, {"p": None}, sensitive={"p": marks})])
    assert [(one.path, one.before, one.sensitive) for one in finding.attributes] == [("p", None, True)]


@pytest.mark.parametrize(
    ("secret", "echo", "is_masked"),
    [
        pytest.param(4711, 4711, True, id="a number"),
        pytest.param(-4711.5, -4711.5, True, id="a number with a fraction"),
        pytest.param(471147114711, "pin=471147114711", True, id="a number in a text"),
        pytest.param("471147114711", 471147114711, True, id="a text that became a number"),
        pytest.param(100, 100, False, id="a priority"),
        pytest.param(-12.5, -12.5, False, id="three digits"),
        pytest.param(True, True, False, id="yes or no"),
    ],
)
def test_an_echo_of_a_number_is_masked(secret: Any, echo: Any, is_masked: bool) -> None:
    """From four digits: a port that equals a secret one is hidden in that object alone."""
    own = resource(UPDATE, {"p": secret, "q": echo}, {"p": None, "q": None}, sensitive={"p": True}, address="a.a")
    other = resource(UPDATE, {"q": 4711}, {"q": None}, address="a.b")
    one, two = classified([], [own, other]).findings
    assert [(a.path, a.sensitive) for a in one.attributes] == [("p", True), ("q", is_masked)]
    assert [a.before for a in two.attributes] == [4711]


def test_a_long_number_is_masked_in_another_resource_too() -> None:
    own = resource(UPDATE, {"p": 471147114711}, {"p": 1}, sensitive={"p": True}, address="a.a")
    other = resource(UPDATE, {"q": 471147114711}, {"q": 1}, address="a.b")
    assert "4711" not in everything_of(plan_bytes([], [own, other]))


def test_an_echo_in_another_resource_is_masked() -> None:
    own = resource(UPDATE, {"p": SECRET + "long"}, {"p": "x"}, sensitive={"p": True}, address="a.a")
    other = resource(UPDATE, {"q": SECRET + "long"}, {"q": "y"}, address="a.b")
    assert SECRET not in everything_of(plan_bytes([], [own, other]))


def test_marks_of_the_drift_hold_for_the_change() -> None:
    drift = resource(UPDATE, {"p": "old"}, {"p": SECRET}, sensitive={"p": True})
    assert SECRET not in everything_of(plan_bytes([drift], [resource(UPDATE, {"p": SECRET}, {"p": "old"})]))


def test_secrets_elsewhere_in_the_plan_are_never_read() -> None:
    document = plan_bytes(
        [resource(DELETE, {"a": 1})],
        variables={"v": {"value": SECRET}},
        planned_values={"outputs": {"o": {"value": SECRET, "sensitive": True}}},
        prior_state={"values": SECRET},
        configuration={"provider_config": SECRET},
        output_changes={"o": {"actions": ["update"], "before": SECRET, "after": SECRET, "before_sensitive": True}},
    )
    assert SECRET not in everything_of(document)


COUNT = st.integers(min_value=0, max_value=10**6)


@st.composite
def planted(draw: st.DrawFn, depth: int = 3) -> tuple[Any, Any]:
    """A value with secrets, and the tree that marks them all."""
    kind = draw(st.sampled_from(["plain", "secret", "subtree", "list", "object"] if depth else ["plain", "secret"]))
    if kind == "plain":
        return draw(st.one_of(st.none(), st.booleans(), COUNT, st.sampled_from(["", "a", "b"]))), False
    if kind == "secret":
        return f"{SECRET}{draw(COUNT):07}", True
    below = draw(st.lists(planted(depth=depth - 1), max_size=3))
    if kind == "list":
        return [value for value, _ in below], [mark for _, mark in below]
    value = {name: value for name, (value, _) in zip("abc", below, strict=False)}
    if kind == "subtree":
        return value | {"own": f"{SECRET}{draw(COUNT):07}"}, True
    return value, {name: mark for name, (_, mark) in zip("abc", below, strict=False) if mark is not False}


@given(planted(), planted(), planted(), st.sampled_from([{}, {"a": True}, [True], True]), st.booleans())
def test_no_planted_secret_can_be_reached(
    state: tuple[Any, Any], now: tuple[Any, Any], after: tuple[Any, Any], unknown: Any, has_drift: bool
) -> None:
    of_state, of_now, of_after = ({"v": mark} for _, mark in (state, now, after))
    drift = resource(UPDATE, {"v": state[0]}, {"v": now[0]}, sensitive=of_state, sensitive_after=of_now)
    change = resource(
        UPDATE, {"v": now[0]}, {"v": after[0]}, sensitive=of_now, sensitive_after=of_after, unknown={"v": unknown}
    )
    assert SECRET not in everything_of(plan_bytes([drift] if has_drift else [], [change]))


def everything_of(document: bytes) -> str:
    """All that can be got at from what is returned: as text, as JSON, pickled, and object by object."""
    found = read_plan(document)
    assert isinstance(found, Plan), found
    classification = classify(found)
    texts = [repr(found), repr(classification), str(classification), repr(pickle.dumps((found, classification)))]
    texts += [finding.model_dump_json() for finding in classification.findings]
    texts += [fingerprint(classification.findings), fleet_fingerprint(classification.findings, names=["de"])]
    texts += [json.dumps(dataclasses.asdict(found), default=repr)]
    return "\n".join([*texts, *_reachable(found), *_reachable(classification)])


def _reachable(root: Plan | Classification) -> list[str]:
    seen: dict[int, Any] = {}
    waiting: list[Any] = [root]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, type):
            seen[id(one)] = one
            waiting += gc.get_referents(one)
    return [one if isinstance(one, str) else repr(one) for one in seen.values() if isinstance(one, str | bytes)]


def test_an_error_in_building_a_finding_echoes_no_value() -> None:
    with pytest.raises(ValueError, match="Finding") as raised:
        Finding.model_validate({"address": [SECRET], "type": SECRET})
    assert SECRET not in str(raised.value)


def test_a_plan_that_cannot_be_read_says_nothing_of_its_values() -> None:
    document = plan_bytes(changes=[resource(UPDATE, {"p": SECRET}, mode=SECRET) | {"deposed": [SECRET]}])
    found = read_plan(document)
    assert isinstance(found, InconclusivePlan)
    assert SECRET not in repr(found)


def test_the_same_plan_twice_is_the_same_classification() -> None:
    drift = [resource(UPDATE, {"p": "secret-1"}, {"p": "secret-2"}, sensitive={"p": True})]
    assert classified(drift) == classified(drift)


def test_what_is_sensitive_and_what_is_not_are_told_apart_in_one_object() -> None:
    finding = three({"p": "old"}, {"p": "new"}, {"p": "old"}, sensitive={"q": True})
    assert [attribute.sensitive for attribute in finding.attributes] == [False]
