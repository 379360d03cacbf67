"""The matrix of markets and stacks, a market at a time, and the first pass over the results that it needs."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from reconcile.render.ordering import Told, most_urgent_first, told_of
from records.report import Report
from records.results import StackResult
from records.verdicts import Verdict

MOST_COLUMNS: Final = 24
"""With more different stack names than this, each market lists its own: nobody reads so wide a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What must be known of all results before the first of them is written.

    ``stack_names`` are the matrix's columns, None where there are none or too many. ``unread`` are markets
    with a problem and no result, ``partly_read`` those with both.
    """

    told: Told
    stack_names: tuple[str, ...] | None
    unread: tuple[str, ...]
    partly_read: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One market's results by stack; none where it was not read."""

    market: str
    results: Mapping[str, StackResult]
    was_read: bool = True
    has_problem: bool = False

    @property
    def told(self) -> list[StackResult]:
        return most_urgent_first(self.results.values())

    @property
    def others(self) -> dict[Verdict, list[str]]:
        """The names of the stacks that are not told, by verdict."""
        names: dict[Verdict, list[str]] = {}
        for result in self.results.values():
            if not result.needs_a_person:
                names.setdefault(result.verdict, []).append(result.stack)
        return names


def survey(report: Report) -> Survey:
    """Goes through the results once and keeps only those that are told, and `MOST_COLUMNS` names."""
    names: set[str] = set()
    with_problems = {problem.market for problem in report.summary.problems}
    partly_read: set[str] = set()

    def noted(results: Iterable[StackResult]) -> Iterator[StackResult]:
        for result in results:
            if len(names) <= MOST_COLUMNS:
                names.add(result.stack)
            if result.market in with_problems:
                partly_read.add(result.market)
            yield result

    told = told_of(noted(report.results))
    return Survey(
        told=told,
        stack_names=tuple(sorted(names)) if 0 < len(names) <= MOST_COLUMNS else None,
        unread=tuple(name for name in report.summary.unread_markets if name not in partly_read),
        partly_read=frozenset(partly_read),
    )


def matrix_rows(report: Report, surveyed: Survey) -> Iterator[MatrixRow]:
    """A row for each market in order, also for those that were not read. Holds few of them at a time."""
    read = (
        MatrixRow(
            market=market,
            results={result.stack: result for result in results},
            has_problem=market in surveyed.partly_read,
        )
        for market, results in groupby(report.results, key=lambda result: result.market)
    )
    unread = (MatrixRow(market=name, results={}, was_read=False) for name in surveyed.unread)
    return heapq.merge(read, unread, key=lambda row: row.market)
