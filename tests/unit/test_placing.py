"""Which state is which stack's: by a pattern, by a list, and what has no place."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recording.placing import (
    Place,
    Placing,
    StateSource,
    compiled_pattern,
    location_of,
    place_states,
    state_source,
)
from records.errors import RefusedWriteError

USUAL = r"(?P<market>.+)/(?P<stack>[^/]+)\.tfstate"
BLOBS = ("de/app.tfstate", "emea/fr/network.tfstate")


def by_pattern(pattern: str, *blobs: str, exclude: tuple[str, ...] = ()) -> Placing:
    return place_states(blobs, compiled_pattern(pattern), exclude=exclude)


def by_list(rows: list[dict[str, str]], *blobs: str, exclude: tuple[str, ...] = ()) -> Placing:
    return place_states(blobs, rows, exclude=exclude)


def row(key: str, market: str = "de", stack: str = "app", **more: str) -> dict[str, str]:
    return {"key": key, "market": market, "stack": stack} | more


def whys(placing: Placing) -> dict[str, str]:
    return {one.blob: one.why for one in placing.unplaced}


PLACED = [
    pytest.param(USUAL, "de/app.tfstate", "de/app", id="a market and a stack"),
    pytest.param(USUAL, "emea/fr/app.tfstate", "emea/fr/app", id="a market of two segments"),
    pytest.param(USUAL, "de/app.tfstateenv:prod", "de/app", id="a workspace that the pattern says nothing of"),
    pytest.param(r"(?P<stack>\w+)\.tfstateenv:(?P<market>\w+)", "app.tfstateenv:de", "de/app", id="a market in the workspace"),
    pytest.param(r"prod-(?P<stack>\w+)-(?P<market>\w+)", "prod-app-de", "de/app", id="no folders at all"),
    pytest.param(USUAL, "de/app.tfstateenv:default", None, id="a mark that is no workspace"),
    pytest.param(USUAL, "de/app.tfstateenv:", None, id="a mark with nothing after it"),
    pytest.param(USUAL, "de/app.tfstate.backup", None, id="more after the pattern's end"),
    pytest.param(r"(?P<market>[a-z]+)/(?P<stack>[a-z]+)", "de/app.tfstate", None, id="the beginning alone"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "blob", "name"), PLACED)
def test_a_pattern_places_the_whole_of_a_name(pattern: str, blob: str, name: str | None) -> None:
    placing = by_pattern(pattern, blob)
    assert [place.name for place in placing.places] == ([name] if name else [])
    assert list(whys(placing)) == ([] if name else [blob])


def test_a_pattern_may_say_the_subscription() -> None:
    (place,) = by_pattern(r"(?P<subscription_id>[^/]+)/(?P<market>[^/]+)/(?P<stack>[^/]+)", "s-1/de/app").places
    assert place == Place(blob="s-1/de/app", market="de", stack="app", subscription_id="s-1")


BAD_PATTERNS = [
    pytest.param("(?P<market>.+", "no regular expression", id="is no regular expression"),
    pytest.param("", "needs the groups", id="is empty"),
    pytest.param(r"(?P<market>.+)", "needs the groups", id="lacks the stack"),
    pytest.param(r"(.+)/(.+)", "needs the groups", id="has groups without names"),
    pytest.param(USUAL + r"(?P<marekt>.*)", "no other names", id="has a group that is misspelt"),
]


@pytest.mark.parametrize(("pattern", "says"), BAD_PATTERNS)
def test_a_pattern_is_refused_that(pattern: str, says: str) -> None:
    with pytest.raises(RefusedWriteError, match=says):
        compiled_pattern(pattern)


NO_PLACE = [
    pytest.param("De/app.tfstate", "'De' is no market's key", id="a market in capitals"),
    pytest.param("de/App.tfstate", "'App' is no stack's name", id="a stack in capitals"),
    pytest.param(f"de/{'a' * 64}.tfstate", "is no stack's name", id="a stack's name that is too long"),
    pytest.param("de//app.tfstate", "'de/' is no market's key", id="an empty segment"),
    pytest.param("../app.tfstate", "'..' is no market's key", id="a way out of the folder"),
    pytest.param("other.json", "does not match", id="something else"),
]


@pytest.mark.parametrize(("blob", "why"), NO_PLACE)
def test_what_no_records_could_be_written_for_has_no_place(blob: str, why: str) -> None:
    placing = by_pattern(USUAL, blob, *BLOBS)
    assert why in whys(placing)[blob]
    assert [place.blob for place in placing.places] == list(BLOBS)


@pytest.mark.parametrize("blob", ["de\\app.tfstate", "/de.tfstate", "a/../b", "x" * 1025, "a\tb"])
def test_a_name_that_a_registry_entry_cannot_hold_has_no_place(blob: str) -> None:
    assert "no record can hold its name" in whys(by_list([row(blob)], blob))[blob]


@pytest.mark.parametrize("subscription_id", ["a b", "x" * 257, "é"])
def test_a_subscription_that_is_none_has_no_place(subscription_id: str) -> None:
    placing = by_list([row("a", subscription_id=subscription_id)], "a")
    assert "subscription_id" in whys(placing)["a"]


def test_two_states_of_one_stack_have_no_place_and_each_names_the_other() -> None:
    placing = by_pattern(USUAL, "de/app.tfstate", "de/app.tfstateenv:prod", "de/data.tfstate")
    assert whys(placing) == {
        "de/app.tfstate": "it would be de/app, and so would de/app.tfstateenv:prod",
        "de/app.tfstateenv:prod": "it would be de/app, and so would de/app.tfstate",
    }
    assert [place.name for place in placing.places] == ["de/data"]


LISTS = [
    pytest.param([row("a")], ["a"], [], id="a row for each"),
    pytest.param([row("a"), row("b", stack="data")], ["a", "b"], [], id="two rows"),
    pytest.param([row("a")], ["a", "b"], ["b: the list has no row for it"], id="a state that the list forgot"),
    pytest.param(
        [row("a"), row("c", stack="data")],
        ["a"],
        ["c: the list has a row for it, and there is no such state"],
        id="a row of a state that is not there",
    ),
    pytest.param(
        [row("a"), row("a", stack="x")], ["a"], ["a: the list has several rows for it"], id="two rows that disagree"
    ),
    pytest.param([row("a"), row("a")], ["a"], ["a: the list has several rows for it"], id="one row twice"),
    pytest.param([row("A/b")], ["a/b"], ["A/b", "a/b"], id="a key in another case"),
]


@pytest.mark.parametrize(("rows", "blobs", "unplaced"), LISTS)
def test_a_list_and_the_states_name_each_other(
    rows: list[dict[str, str]], blobs: list[str], unplaced: list[str]
) -> None:
    placing = by_list(rows, *blobs)
    said = [f"{one.blob}: {one.why}" for one in placing.unplaced]
    assert [text[: len(start)] for text, start in zip(said, unplaced, strict=True)] == unplaced
    assert {place.blob for place in placing.places} | {one.blob for one in placing.unplaced} >= set(blobs)


def test_a_list_names_a_workspace_by_the_blobs_whole_name() -> None:
    (place,) = by_list([row("app.tfstateenv:de")], "app.tfstateenv:de").places
    location = location_of(place, StateSource())
    assert (location.key, location.workspace, location.blob) == ("app.tfstate", "de", "app.tfstateenv:de")


def test_what_is_excluded_is_left_out_of_the_states_and_of_the_list() -> None:
    excluded = by_pattern(USUAL, "de/app.tfstate", "old/x.tfstate", "old/deep/y.bak", exclude=("old/*",))
    assert ([place.blob for place in excluded.places], excluded.unplaced) == (["de/app.tfstate"], ())
    assert by_list([row("a"), row("old/x", stack="x")], "a", exclude=("old/*",)).unplaced == ()


def test_a_location_says_container_and_account_only_where_they_are_not_the_estates_own() -> None:
    place = Place(blob="de/app.tfstate", market="de", stack="app")
    assert location_of(place, StateSource()).model_dump(exclude_unset=True) == {"key": "de/app.tfstate"}
    elsewhere = state_source(container="de-states", account_url="https://x.blob.core.windows.net")
    assert location_of(place, elsewhere).model_dump(exclude_unset=True) == {
        "key": "de/app.tfstate",
        "container": "de-states",
        "account_url": "https://x.blob.core.windows.net",
    }


@pytest.mark.parametrize(("container", "account_url"), [("De States", None), ("x", None), (None, "h" * 513)])
def test_a_container_or_account_that_no_entry_can_hold_is_refused(
    container: str | None, account_url: str | None
) -> None:
    with pytest.raises(RefusedWriteError, match="--container"):
        state_source(container=container, account_url=account_url)


@given(st.lists(st.text(alphabet="aA/.:-_env\\é \n", max_size=20), max_size=8))
def test_every_blob_is_either_placed_or_named(blobs: list[str]) -> None:
    placing = by_pattern(r"(?P<market>.+?)[/.](?P<stack>.+)", *blobs)
    placed, unplaced = {place.blob for place in placing.places}, {one.blob for one in placing.unplaced}
    assert placed | unplaced == set(blobs)
    assert not placed & unplaced
    assert len({place.name for place in placing.places}) == len(placing.places)
    for place in placing.places:
        assert re.fullmatch("[a-z0-9/-]+", place.name)
        assert location_of(place, StateSource()).blob == place.blob
