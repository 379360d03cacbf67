"""Which stacks there are to check: all that a registry record or a tracker names."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lanes.listing import choose_markets, registered_markets, tracked_stacks
from records.errors import StoreError, UnknownStackError
from records.faults import Fault, FaultCode, RecordKind
from records.names import is_market_key, is_stack_name, registry_blob, tracker_blob
from records.plan_checks import market_and_stack, stack_path
from records.ports import RecordReader
from records.readings import Present, Unreadable
from records.report import WHOLE_ESTATE, Problem
from records.runs import Scope
from records.store_faults import store_fault

_REGISTRIES_AT_ONCE: Final = 16
_SHOWN_NAME_LENGTH: Final = 63


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
    limit = asyncio.Semaphore(_REGISTRIES_AT_ONCE)

    async def of_market(market: str) -> StackList:
        async with limit:
            return await _of_market(records, market, tracked.get(market, set()), is_registered=market in registered)

    found: list[str] = []
    for part in await asyncio.gather(*map(of_market, markets)):
        found += part.stacks
        problems += part.problems
    return StackList(tuple(sorted(_in_scope(found, scope, problems))), tuple(problems))


async def _of_market(records: RecordReader, market: str, tracked: set[str], *, is_registered: bool) -> StackList:
    if not is_market_key(market):
        return StackList((), (_bad_market_name(market),))
    registry = await records.registry(market=market)
    problems = [_bad_tracker_name(market, name) for name in sorted(tracked) if not is_stack_name(name)]
    names = set(filter(is_stack_name, tracked))
    if isinstance(registry, Present):
        named = registry.record.stacks
        names.update(filter(is_stack_name, named))
        problems += [_bad_stack_name(market, name) for name in sorted(named) if not is_stack_name(name)]
    elif isinstance(registry, Unreadable):
        problems.append(Problem.of(market, registry.fault))
    elif is_registered:
        problems.append(_vanished(market))
    return StackList(tuple(stack_path(market, name) for name in names), tuple(problems))


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


def _bad_market_name(market: str) -> Problem:
    return _bad_registry(
        market,
        FaultCode.INVALID_NAME,
        "the folder is no market's key, so nothing in it is checked",
        "Rename the market's folder in the registry, and in trackers to match.",
    )


def _bad_stack_name(market: str, name: str) -> Problem:
    return _bad_registry(
        market,
        FaultCode.INVALID_NAME,
        f"{_shown(name)!r} is no stack's name, so it is not checked",
        "Rename the stack in the registry and its tracker to match: lower-case letters, digits and '-', 63 at most.",
    )


def _bad_tracker_name(market: str, name: str) -> Problem:
    fault = Fault(
        code=FaultCode.INVALID_NAME,
        record=RecordKind.TRACKER,
        blob=tracker_blob(market, _shown(name)),
        message="the file is no stack's name, so it is not checked",
        remedy="Delete the blob, or rename it and the stack in the registry to match.",
    )
    return Problem.of(market, fault)


def _vanished(market: str) -> Problem:
    return _bad_registry(
        market,
        FaultCode.VANISHED,
        "it was there, and gone when it was read",
        "Restore the blob's last version, or remove the market's trackers too.",
    )


def _bad_registry(market: str, code: FaultCode, message: str, remedy: str) -> Problem:
    fault = Fault(code=code, record=RecordKind.REGISTRY, blob=registry_blob(market), message=message, remedy=remedy)
    return Problem.of(market, fault)


def _shown(name: str) -> str:
    return name if len(name) <= _SHOWN_NAME_LENGTH else f"{name[:_SHOWN_NAME_LENGTH]}…"
