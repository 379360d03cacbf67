"""What the renderers share: which results come first, what the headline says, by how much a record is off."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from records.report import RunSummary
from records.results import StackResult
from records.spelling import counted, duration
from records.verdicts import OddOneOut, Severity, Tier, Verdict

_MINUS: Final = "\N{MINUS SIGN}"

_COMPARED_WITH: Final = {
    OddOneOut.STATE: "the state, against tracker and registry",
    OddOneOut.TRACKER: "the tracker, against state and registry",
    OddOneOut.REGISTRY: "the registry, against state and tracker",
}
_UNDETERMINED_COMPARED_WITH: Final = {
    Tier.THREE_RECORDS: "the state, against the tracker",
    Tier.REGISTRY_AND_STATE: "the state, against the registry",
    Tier.TIMES: "the state's last change, against the deploy on record",
}


@dataclass(frozen=True, slots=True)
class Told:
    """The results that are told one by one, sorted most urgent first.

    Those of severity info need nobody, as they alert nobody: a deploy is running, or a record may well be right. They are told,
    and give the run its exit status, because they are not healthy either.
    """

    urgent: tuple[StackResult, ...]
    for_information: tuple[StackResult, ...]

    @property
    def all(self) -> tuple[StackResult, ...]:
        return self.urgent + self.for_information


def told_of(results: Iterable[StackResult]) -> Told:
    """What a report tells of these results. Keeps no others."""
    told = most_urgent_first(results)
    urgent = sum(result.severity.urgency < Severity.INFO.urgency for result in told)
    return Told(urgent=tuple(told[:urgent]), for_information=tuple(told[urgent:]))


def most_urgent_first(results: Iterable[StackResult]) -> list[StackResult]:
    """The results that are told, the gravest first, then by market and stack. Keeps no others."""
    told = (result for result in results if result.needs_a_person)
    return sorted(told, key=lambda result: (result.severity.urgency, result.market, result.stack))


def headline(summary: RunSummary, told: Told) -> str:
    """One sentence without a full stop: ``7 of 23 stacks need a person; 1 market could not be read``."""
    unread = len(summary.unread_markets)
    others = sum(not problem.costs_verdicts for problem in summary.problems)
    clauses = [_on_the_stacks(summary, told, markets_read=summary.markets + summary.unchecked_market_count - unread)]
    if told.for_information:
        clauses.append(f"{len(told.for_information):,} for information")
    if unread:
        clauses.append(f"{counted(unread, 'market')} could not be read")
    if others:
        clauses.append(counted(others, "other problem" if unread else "problem"))
    return "; ".join(clauses)


def _on_the_stacks(summary: RunSummary, told: Told, *, markets_read: int) -> str:
    stacks = sum(summary.counts.values())
    needing = len(told.urgent)
    healthy = summary.counts.get(Verdict.HEALTHY, 0)
    if needing:
        return f"{needing:,} of {counted(stacks, 'stack')} need{'s' if needing == 1 else ''} a person"
    if told.for_information:
        return f"None of {counted(stacks, 'stack')} needs a person" if stacks > 1 else "The only stack needs nobody"
    if not stacks:
        return _without_stacks(summary)
    if not healthy:
        return f"None of {counted(stacks, 'stack')} is deployed"
    undeployed = stacks - healthy
    kind = "deployed stack" if undeployed else "stack"
    agreement = (
        f"The only {kind} is healthy"
        if healthy == 1
        else f"All {counted(healthy, kind)} in {counted(markets_read, 'market')} agree"
    )
    return f"{agreement}; {undeployed:,} not deployed" if undeployed else agreement


def _without_stacks(summary: RunSummary) -> str:
    if summary.problems:
        return "No stack was compared"
    if summary.markets:
        return f"No stack is registered in {counted(summary.markets, 'market')}"
    return "No market is registered"


def by_how_much(result: StackResult) -> str:
    """The difference, signed as in the truth table: ``+2 serials``, ``+5 h 12 min``; empty without one."""
    if Verdict.STATE_FORKED in {result.verdict, result.masked_verdict}:
        return "same serial, other content"
    if result.serial_delta is not None:
        return f"{_sign(result.serial_delta)}{counted(abs(result.serial_delta), 'serial')}"
    if result.time_delta_seconds is not None:
        return f"{_sign(result.time_delta_seconds)}{duration(result.time_delta_seconds)}"
    if Verdict.RECORDS_SPLIT in {result.verdict, result.masked_verdict}:
        serials = result.serials
        return f"state {serials.state}, tracker {serials.tracker}, registry {serials.registry}"
    return ""


def compared_with(result: StackResult) -> str:
    """Whose difference `by_how_much` gives, and from what; empty where there is none or a deploy masks it."""
    if not result.serial_delta and not result.time_delta_seconds:
        return ""
    if result.odd_one_out is OddOneOut.UNDETERMINED:
        return _UNDETERMINED_COMPARED_WITH[result.tier] if result.tier else ""
    return _COMPARED_WITH.get(result.odd_one_out, "")


def _sign(number: int) -> str:
    return "+" if number > 0 else _MINUS if number < 0 else ""
