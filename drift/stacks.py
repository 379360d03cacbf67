"""Which stacks there are to check: all that a registry record or a tracker names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lanes.listing import choose_markets, registered_markets, tracked_stacks
from lanes.side_by_side import all_side_by_side
from records.errors import StoreError, UnknownStackError
from records.faults import RecordKind
from records.market_faults import bad_market_name, bad_stack_name, bad_tracker_name, vanished
from records.names import is_market_key, is_stack_name
from records.plan_checks import market_and_stack, stack_path
from records.ports import RecordReader
from records.readings import Present, Unreadable
from records.report import WHOLE_ESTATE, Problem
from records.runs import Scope
from records.store_faults import store_fault

_REGISTRIES_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class StackList:
    """The stacks to check, as ``market/stack``, sorted; and what could not be listed, so that it does not fall silent."""

    stacks: tuple[str, ...]
    problems: tuple[Problem, ...]


async def list_stacks(records: RecordReader, scope: Scope) -> StackList:
    """The stacks in scope.

    Raises:
        UnknownMarketError, UnknownStackError: one was asked for that no record names.
        StoreError: the registry cannot be listed.
    """
    registered = await registered_markets(records)
    problems: list[Problem] = []
    try:
        tracked = await tracked_stacks(records)
    except StoreError as error:
        tracked = {}
        problems.append(Problem.of(WHOLE_ESTATE, store_fault(error, kind=RecordKind.TRACKER, blob=error.place)))
    markets = choose_markets(registered | tracked.keys(), scope.markets)

    async def of_market(market: str) -> StackList:
        return await _of_market(records, market, tracked.get(market, set()), is_registered=market in registered)

    found: list[str] = []
    for part in await all_side_by_side(markets, of_market, width=_REGISTRIES_AT_ONCE):
        found += part.stacks
        problems += part.problems
    return StackList(tuple(sorted(_in_scope(found, scope, problems))), tuple(problems))


async def _of_market(records: RecordReader, market: str, tracked: set[str], *, is_registered: bool) -> StackList:
    if not is_market_key(market):
        return StackList((), (Problem.of(market, bad_market_name(market)),))
    registry = await records.registry(market=market)
    faults = [bad_tracker_name(market, name) for name in sorted(tracked) if not is_stack_name(name)]
    names = set(filter(is_stack_name, tracked))
    if isinstance(registry, Present):
        named = registry.record.stacks
        names.update(filter(is_stack_name, named))
        faults += [bad_stack_name(market, name) for name in sorted(named) if not is_stack_name(name)]
    elif isinstance(registry, Unreadable):
        faults.append(registry.fault)
    elif is_registered:
        faults.append(vanished(market))
    return StackList(
        tuple(stack_path(market, name) for name in names), tuple(Problem.of(market, fault) for fault in faults)
    )


def _in_scope(found: Iterable[str], scope: Scope, problems: Iterable[Problem]) -> Iterable[str]:
    """Those that were asked for; one that is not there may be in a market that could not be read."""
    if not scope.stacks:
        return found
    wanted = [path for path in found if market_and_stack(path)[1] in scope.stacks]
    unknown = set(scope.stacks).difference(market_and_stack(path)[1] for path in wanted)
    if unknown and not list(problems):
        names = sorted({market_and_stack(path)[1] for path in found})
        raise UnknownStackError(
            f"no market that was asked for has stack {', '.join(sorted(unknown))}; there are: {', '.join(names) or 'none'}"
        )
    return wanted
