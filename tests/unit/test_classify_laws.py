"""The laws of classification, held by plans that nobody chose."""

import json
from random import Random
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

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
def test_all_that_an_apply_would_do_is_a_finding_but_for_what_data_sources_read(
    drift: list[Any], changes: list[Any]
) -> None:
    addresses = [one.address for one in classified(drift, changes).findings]
    reads = [one for one in changes if one["mode"] == "data" and one["change"]["actions"] == ["read"]]
    acting = {one["address"] for one in changes if one["change"]["actions"] != ["no-op"] and one not in reads}
    assert acting <= set(addresses) <= acting | {one["address"] for one in drift}
    assert addresses == sorted(set(addresses))


@given(entries(), entries())
def test_all_that_moves_or_is_imported_is_carried_along(drift: list[Any], changes: list[Any]) -> None:
    moved = [change | {"previous_address": "a.old"} for change in changes]
    imported = [change | {"change": change["change"] | {"importing": {"id": "x"}}} for change in changes]
    expected = tuple(sorted(change["address"] for change in changes))
    assert classified(drift, moved).carried_along == classified(drift, imported).carried_along == expected
    assert classified(drift, changes).carried_along == ()


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
            assert json.dumps(new) == json.dumps(old) or (new is None and not old)


MAPS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["", "a", None]), max_size=3)
BLOCKS = st.fixed_dictionaries({"m": SCALARS, "n": SCALARS})
ATTRIBUTES = {
    "p": SCALARS,
    "q": SCALARS,
    "tags": st.none() | MAPS,
    "block": st.none() | BLOCKS,
    "list": st.lists(BLOCKS, max_size=2),
}


@st.composite
def plans(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """What the state has, what is there and what the apply makes, mostly alike; and the tree of what is not known of that."""
    sides: list[dict[str, Any]] = [{name: draw(of) for name, of in ATTRIBUTES.items()} for _ in range(3)]
    whence = {
        name: draw(st.sampled_from([(0, 0, 0), (0, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 2), (0, 1, 2)]))
        for name in ATTRIBUTES
    }
    state, now, after = ({name: sides[place[side]][name] for name, place in whence.items()} for side in range(3))
    unknown: dict[str, Any] = dict.fromkeys(draw(st.sets(st.sampled_from("pq"), max_size=1)), True)
    unknown["tags"] = dict.fromkeys(draw(st.sets(st.sampled_from("xyz"), max_size=1)), True)
    unknown["block"] = dict.fromkeys(draw(st.sets(st.sampled_from("mn"), max_size=1)), True) if after["block"] else {}
    known = {name: value for name, value in after.items() if unknown.get(name) is not True}
    for name in ("tags", "block"):
        if unknown[name]:
            known[name] = {key: value for key, value in (known[name] or {}).items() if key not in unknown[name]}
    return state, now, known, unknown


def changed_paths(state: Any, now: Any, after: Any, unknown: Any) -> list[tuple[Any, Any]]:
    """Of every path to which the apply gives another value: what the state has, and what is there. Without the code under test.

    An object that comes again is one path; but a key of it that the state never had is a path of its own.
    """
    if unknown is True:
        return [(state, now)]
    if _text(now) == _text(after) and not unknown:
        return []
    if isinstance(after, dict) and isinstance(state, dict | None) and isinstance(now, dict | None):
        unknown = unknown if isinstance(unknown, dict) else {}
        keys = after | unknown | (now or {})
        never_there = {key for key in keys if key not in (state or {})}
        below = keys if now else never_there
        found = [] if now or keys.keys() == never_there else [(state, now)]
        for key in below:
            old, current, new = ((side or {}).get(key) for side in (state, now, after))
            found += changed_paths(old, current, new, unknown.get(key))
        return found
    return [(state, now)]


@given(plans())
def test_no_path_that_did_not_drift_gets_another_value_by_a_heal(made: tuple[Any, Any, Any, Any]) -> None:
    state, now, after, unknown = made
    drift, change = resource(UPDATE, state, now), resource(UPDATE, now, after, unknown=unknown)
    for finding in classified([drift], [change]).findings:
        event(finding.kind)
        if finding.kind is PORTAL_DRIFT:
            for recorded, there in changed_paths(state, now, after, unknown):
                assert _text(recorded) != _text(there)


@given(plans())
def test_what_is_made_anew_has_no_value_that_the_state_never_had(made: tuple[Any, Any, Any, Any]) -> None:
    state, _, after, unknown = made
    [finding] = classified([resource(DELETE, state)], [resource(CREATE, None, after, unknown=unknown)]).findings
    if finding.kind is PORTAL_DRIFT:
        for name, value in after.items():
            if not isinstance(value, dict | list) and value is not None:
                assert json.dumps(value) == json.dumps(state[name])
        for key, value in ((after["tags"] or {}) | unknown["tags"]).items():
            assert key in (state["tags"] or {}) or value is None


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
