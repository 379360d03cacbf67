"""How the markets of a run are dealt to lanes and pages."""

import json
from collections.abc import Sequence
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanes.dealing import MOST_BYTES_ON_A_PAGE, MOST_NAMES_ON_A_PAGE, deal
from records.names import MARKET_MAX_LENGTH, is_market_key
from records.plans import Page
from tests.unit.report_samples import problem

LONGEST_KEYS: Final = [f"{'/'.join(['a' * 63] * 6)}/{number:0{MARKET_MAX_LENGTH - 6 * 64}d}" for number in range(600)]
KEYS: Final = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}(/[a-z0-9][a-z0-9-]{0,20}){0,3}", fullmatch=True)
SPELLINGS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
"""A folder of the registry can be called anything, also what is no market's key."""
MARKETS: Final = st.lists(st.one_of(KEYS, SPELLINGS, st.sampled_from(LONGEST_KEYS)), max_size=300, unique=True)
WIDTHS: Final = st.integers(min_value=1, max_value=256)


def on(pages: Sequence[Page]) -> list[str]:
    return [market for page in pages for market in page.names]


def page_bytes(page: Page) -> int:
    return len(json.dumps(page.names, separators=(",", ":")))


@given(MARKETS, WIDTHS)
def test_every_market_is_on_exactly_one_page(markets: list[str], width: int) -> None:
    plan, pages = deal(markets, width=width)
    assert sorted(on(pages)) == sorted(markets)
    assert plan.item_count == len(markets)


@given(MARKETS, WIDTHS)
def test_there_are_at_most_as_many_lanes_as_the_run_is_wide_and_none_is_idle(markets: list[str], width: int) -> None:
    plan, pages = deal(markets, width=width)
    assert len(plan.pages_by_lane) == min(width, len(markets))
    assert [(page.lane, page.number) for page in pages] == [
        (lane, number) for lane, count in enumerate(plan.pages_by_lane) for number in range(count)
    ]
    assert all(page.names for page in pages)


@given(MARKETS, WIDTHS)
def test_lanes_are_as_long_as_each_other(markets: list[str], width: int) -> None:
    _, pages = deal(markets, width=width)
    lengths = [len(on([page for page in pages if page.lane == lane])) for lane in {page.lane for page in pages}]
    assert max(lengths, default=0) - min(lengths, default=0) <= 1


@given(MARKETS, WIDTHS)
def test_no_page_is_larger_than_its_limits(markets: list[str], width: int) -> None:
    _, pages = deal(markets, width=width)
    assert all(len(page.names) <= MOST_NAMES_ON_A_PAGE for page in pages)
    assert all(page_bytes(page) <= MOST_BYTES_ON_A_PAGE + 1 for page in pages)


@given(MARKETS, WIDTHS, st.randoms(use_true_random=False))
def test_the_same_markets_in_any_order_give_the_same_plan(markets: list[str], width: int, chance: Random) -> None:
    shuffled = [*markets, *markets[:3]]
    chance.shuffle(shuffled)
    assert deal(shuffled, width=width) == deal(markets, width=width)


@given(MARKETS, WIDTHS, KEYS)
def test_one_market_more_gives_another_digest(markets: list[str], width: int, more: str) -> None:
    plan, _ = deal([market for market in markets if market != more], width=width)
    assert deal([*markets, more], width=width)[0].digest != plan.digest


@given(MARKETS, WIDTHS, WIDTHS)
def test_another_width_gives_another_digest(markets: list[str], width: int, other: int) -> None:
    assert (deal(markets, width=width)[0].digest == deal(markets, width=other)[0].digest) == (width == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["a", "b"], ["a,b"], id="a name with a comma"),
        pytest.param(["a", "b"], ['a", "b'], id="a name with quotation marks"),
        pytest.param(["a/b"], ["a", "b"], id="a name with a slash"),
        pytest.param([], [""], id="no market, and one of no name"),
    ],
)
def test_lists_that_look_alike_have_digests_of_their_own(one: list[str], other: list[str]) -> None:
    assert deal(one, width=4)[0].digest != deal(other, width=4)[0].digest


@pytest.mark.parametrize("width", [1, 3, 16])
def test_pages_of_the_longest_keys_keep_both_limits(width: int) -> None:
    assert {len(market) for market in LONGEST_KEYS} == {MARKET_MAX_LENGTH}
    assert all(map(is_market_key, LONGEST_KEYS))
    _, pages = deal(LONGEST_KEYS, width=width)
    most = min(MOST_BYTES_ON_A_PAGE // (MARKET_MAX_LENGTH + 3), MOST_NAMES_ON_A_PAGE)
    assert max(len(page.names) for page in pages) == most
    assert max(map(page_bytes, pages)) <= MOST_BYTES_ON_A_PAGE
    assert sorted(on(pages)) == LONGEST_KEYS


def test_pages_of_short_keys_are_held_by_their_number() -> None:
    _, pages = deal((f"m-{number:05d}" for number in range(10_000)), width=16)
    assert {len(page.names) for page in pages if page.number == 0} == {MOST_NAMES_ON_A_PAGE}
    assert {page.lane for page in pages} == set(range(16))


@pytest.mark.parametrize("market", ["🦊" * 500, "\\" * 1000, '"' * 1000], ids=["emoji", "backslashes", "quotes"])
def test_a_page_of_any_blob_names_fits_a_property_of_a_table(market: str) -> None:
    _, pages = deal([f"{market}{number}" for number in range(40)], width=1)
    assert all(len(page.model_dump_json().encode("utf-16-le")) < 64 * 1024 for page in pages)


def test_neighbours_are_on_different_lanes() -> None:
    _, pages = deal([f"region-{region}/{market}" for region in range(4) for market in range(4)], width=4)
    lane_of = {market: page.lane for page in pages for market in page.names}
    for region in range(4):
        assert {lane_of[f"region-{region}/{market}"] for market in range(4)} == {0, 1, 2, 3}


def test_problems_of_the_listing_are_in_the_plan() -> None:
    plan, _ = deal(["de"], width=4, problems=[problem("*")])
    assert plan.problems == (problem("*"),)
