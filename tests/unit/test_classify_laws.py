"""The laws of classification, held by plans that nobody chose."""

import json
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drift.classify import Passed
from drift.fingerprint import fingerprint
from records.findings import FindingKind
from tests.unit.plan_samples import (
    CREATE,
    DELETE,
    NO_OP,
    READ,
    REPLACE,
    REPLACE_CREATED_FIRST,
    UPDATE,
    classified,
    resource,
)

PORTAL_DRIFT, PENDING_CHANGE = FindingKind.PORTAL_DRIFT, FindingKind.PENDING_CHANGE

ACTIONS = st.sampled_from(
    [NO_OP, UPDATE, CREATE, DELETE, READ, REPLACE, REPLACE_CREATED_FIRST, ("forget",), ("create", "forget"), ("x",), ()]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "a", "b"]))
VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3)
)
OBJECTS = st.one_of(st.none(), st.dictionaries(st.sampled_from("pqr"), VALUES, max_size=3))
ADDRESSES = st.sampled_from(["a.a", "a.b", 'module.m["x"].a.c', "data.d.e"])


def entries() -> st.SearchStrategy[list[dict[str, Any]]]:
    entry = st.builds(
        resource,
        ACTIONS,
        OBJECTS,
        OBJECTS,
        address=ADDRESSES,
        mode=st.sampled_from(["managed", "managed", "data", "x"]),
        unknown=st.sampled_from([{}, {"p": True}, {"q": [True]}]),
    )
    return st.lists(entry, max_size=4, unique_by=lambda one: one["address"])


@given(entries(), entries())
def test_every_object_is_a_finding_or_is_explained(drift: list[Any], changes: list[Any]) -> None:
    found = classified(drift, changes)
    named = {one["address"] for one in drift}
    named |= {one["address"] for one in changes if one["change"]["actions"] != ["no-op"]}
    addresses = [one.address for one in found.findings] + [one.address for one in found.passed]
    assert sorted(addresses) == sorted(named)
    assert [one.address for one in found.findings] == sorted(one.address for one in found.findings)
    assert all(
        one.reason is not Passed.SAME for one in found.passed if one.address not in {d["address"] for d in drift}
    )


@given(entries(), entries())
def test_what_deletes_is_destructive_and_never_drift_unless_it_is_made_again(
    drift: list[Any], changes: list[Any]
) -> None:
    for finding in classified(drift, changes).findings:
        assert finding.destructive == ("delete" in finding.actions)
        if finding.kind is PORTAL_DRIFT:
            assert finding.actions in {UPDATE, CREATE, REPLACE, REPLACE_CREATED_FIRST}


@given(OBJECTS, OBJECTS, OBJECTS)
def test_only_what_the_state_recorded_is_ever_restored(state: Any, now: Any, after: Any) -> None:
    """Checked without the code under test: at every path that the apply changes, it writes what the state had."""
    if three_or_none(state, now, after) is not PORTAL_DRIFT:
        return
    for key in (now or {}) | (after or {}):
        old, current, new = ((one or {}).get(key) for one in (state, now, after))
        if not isinstance(new, dict | list) and json.dumps(new) != json.dumps(current):
            assert json.dumps(new) == json.dumps(old) or (new is None and not old) or (old is None and not new)


def three_or_none(state: Any, now: Any, after: Any) -> FindingKind | None:
    found = classified([resource(UPDATE, state, now)], [resource(UPDATE, now, after)]).findings
    return found[0].kind if found else None


@given(OBJECTS, OBJECTS)
def test_an_exact_revert_is_portal_drift(state: Any, now: Any) -> None:
    kind = three_or_none(state, now, state)
    same = _text(state) == _text(now)
    assert kind is (PENDING_CHANGE if same else PORTAL_DRIFT)


def _text(value: Any) -> str:
    def bare(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: bare(below) for key, below in one.items() if below is not None}
        return [bare(below) for below in one] if isinstance(one, list) else one

    return json.dumps(bare(value), sort_keys=True)


@given(entries(), entries(), st.randoms())
def test_the_order_of_the_plan_never_matters(drift: list[Any], changes: list[Any], random: Random) -> None:
    one = classified(drift, changes)
    other = classified(random.sample(drift, len(drift)), random.sample(changes, len(changes)))
    assert one == other
    assert fingerprint(one.findings) == fingerprint(other.findings)
