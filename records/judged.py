"""What was read of a market, with what the records of each stack say together: what a writer of records decides by."""

from dataclasses import dataclass

from records.readings import Reading, StackReadings
from records.registry import RegistryRecord
from records.report import Problem
from records.results import StackResult


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedStack:
    """A verdict and the readings that it is a verdict on, each with the ETag of its blob."""

    result: StackResult
    readings: StackReadings


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMarket:
    """A market's stacks, sorted by name, and the registry reading that they were all judged by.

    ``registry`` is None where the market's name is no market's; ``problems`` are as in its `MarketOutcome`, and cost the market
    its verdicts where it has none.
    """

    market: str
    registry: Reading[RegistryRecord] | None
    stacks: tuple[JudgedStack, ...] = ()
    problems: tuple[Problem, ...] = ()
    has_verdicts: bool
