"""The tables of `docs/costs.md` that follow from its assumptions and prices."""

from collections.abc import Callable, Sequence
from typing import Final

from scripts.costs.document import values_of
from scripts.costs.estate import SIZES, Estate

_MINUS: Final = "\N{MINUS SIGN}"
_CHANGES: Final[dict[str, dict[str, tuple[float, ...]]]] = {
    "checks twice a day": {"check_runs_a_day": (2,)},
    "checks once a day": {"check_runs_a_day": (1,)},
    "all spans of plan checks": {"spans_kept": (1,)},
    "the day's run in UTC, with no tick every 15 minutes": {"ticks_a_day": (1,)},
    "old states kept for 90 days and not 180": {"version_days": (90,)},
    "storage logs kept for 31 days and not 90": {"log_retention_days": (31,)},
    "plans of 150 s, twice as many at once in the largest": {"plan_seconds": (150,), "plans_at_once": (8, 8, 80)},
    "one plan an instance": {"plans_per_instance": (1,)},
    "reads logged as well (`StorageRead`)": {"reads_are_logged": (1,)},
}


def tables(sizes: Sequence[int]) -> dict[str, list[list[str]]]:
    """By the section of the document, with the heads of the columns. ``sizes`` are numbers of markets."""
    heads = [f"{markets:,} markets" for markets in sizes]
    return {
        "Costs": [["of", *heads], *_costs(sizes)],
        "What moves it": [["change", *heads], *_changes(sizes)],
        "Units": [["a month", *heads], *_rows([estate.units() for estate in estates(sizes)])],
    }


def in_markdown(rows: Sequence[Sequence[str]]) -> str:
    """The first of the rows is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def estates(sizes: Sequence[int] = SIZES, **changes: tuple[float, ...]) -> list[Estate]:
    """Estates of these sizes as the document assumes them, but for the assumptions that are named."""
    assumed, prices = values_of("Assumptions"), values_of("Prices")
    assert changes.keys() <= assumed.keys()
    return [Estate(markets, assumed | changes, prices) for markets in sizes]


def _costs(sizes: Sequence[int]) -> list[list[str]]:
    costs = [estate.costs() for estate in estates(sizes)]
    totals = [{"**together**": sum(of_one.values())} for of_one in costs]
    return _rows(costs, _dollars) + _rows(totals, _dollars)


def _changes(sizes: Sequence[int]) -> list[list[str]]:
    before = [sum(estate.costs().values()) for estate in estates(sizes)]
    rows = []
    for name, changes in _CHANGES.items():
        after = [sum(estate.costs().values()) for estate in estates(sizes, **changes)]
        rows.append([name, *(_difference(new - old) for old, new in zip(before, after, strict=True))])
    return rows


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _dollars(value: float) -> str:
    return f"${value:,.0f}" if abs(value) >= 10 else f"${value:.2f}"


def _difference(dollars: float) -> str:
    if abs(dollars) < 0.005:
        return "none"
    return f"{_MINUS if dollars < 0 else '+'}{_dollars(abs(dollars))}"


def _rows(by_estate: list[dict[str, float]], spell: Callable[[float], str] = _rounded) -> list[list[str]]:
    return [[name, *(spell(of_one[name]) for of_one in by_estate)] for name in by_estate[0]]
