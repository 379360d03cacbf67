"""Keeps a run's results on disk until the report is written, so that memory does not grow with the estate."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from records.report import MarketOutcome
from records.results import StackResult


class OutcomeSpool:
    """Takes markets' outcomes in any order and gives their results in the order of markets, as often as asked.

    Holds the place of each market in an unnamed temporary file, which is gone when the spool is closed.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._places: dict[str, tuple[int, int]] = {}

    def add(self, outcome: MarketOutcome) -> None:
        line = outcome.model_dump_json(include={"market", "results"}).encode()
        self._places[outcome.market] = (self._file.seek(0, 2), len(line))
        self._file.write(line)

    def __iter__(self) -> Iterator[StackResult]:
        for market in sorted(self._places):
            start, length = self._places[market]
            self._file.seek(start)
            yield from MarketOutcome.model_validate_json(self._file.read(length)).results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
