"""Reconciles one market: gather its records, compare them, keep the results. What a Functions activity does."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lanes.side_by_side import all_side_by_side
from reconcile.compare import StackIdentity, compare
from reconcile.stack_readings import entry_reading, read_stack
from records.errors import StoreError
from records.faults import Fault, RecordKind
from records.judged import JudgedMarket, JudgedStack
from records.market_faults import bad_market_name, bad_tracker_name, not_found, vanished
from records.modules import deployed_modules
from records.names import is_market_key, is_stack_name, market_and_stack_of_tracker_blob
from records.ports import Clock, RecordReader, ResultStore
from records.readings import Absent, Present, Reading, Unreadable
from records.registry import RegistryRecord
from records.report import MarketOutcome, Problem
from records.results import Coverage, Run, StackResult, StoredResult
from records.store_faults import store_fault
from records.transience import may_pass
from records.verdicts import Verdict

_STACKS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that a reconciliation obeys."""

    in_flight_minutes: int
    reread_delay_seconds: float
    retention_days: int

    def oldest_kept(self, started_at: datetime) -> datetime:
        """History of runs that started before this moment goes; never before the calendar's first day."""
        age = min(timedelta(days=self.retention_days), started_at - datetime.min.replace(tzinfo=UTC))
        return started_at - age


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketReconciler:
    """Reconciles markets of one run. ``results`` is None where nothing is to be kept."""

    records: RecordReader
    results: ResultStore | None
    run: Run
    rules: Rules
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def reconcile(
        self, market: str, *, tracked: Set[str] | None = None, wanted: Collection[str] = (), tries_left: int = 0
    ) -> MarketOutcome:
        """The outcome of one market; what cannot be read of it is in ``problems``, and nothing is raised for it.

        ``tracked`` are the stacks that have a tracker, where a listing of the whole estate has told; else they are listed.
        ``wanted`` are the stacks to look at, where not all. Where ``tries_left`` are to come and a fault that may pass has
        cost a stack its verdict, nothing is kept: the next try would compare with what this one could not read.
        """
        judged, previous, unreadable_history = await self._judge(market, tracked, wanted)
        results, problems = [stack.result for stack in judged.stacks], judged.problems
        if not judged.has_verdicts:
            return MarketOutcome(market=market, problems=problems)
        # Written over a history that could not be read, the results would forget since when each verdict has stood.
        coverage = Coverage.SOME_STACKS if wanted else Coverage.WHOLE_MARKET
        if not tries_left or not may_pass(results, problems):
            kept = unreadable_history or await self._keep(market, results, previous, coverage)
            problems += tuple(Problem.of(market, fault) for fault in kept)
        registry = judged.registry
        locations = registry.record.locations() if isinstance(registry, Present) else []
        return MarketOutcome(
            market=market,
            results=tuple(results),
            problems=problems,
            states=tuple(one.blob for one in locations if one and self.records.is_in_shared_container(location=one)),
            names_all_its_states=None not in locations,
            modules=tuple(
                module
                for stack in judged.stacks
                if isinstance(stack.readings.tracker, Present)
                for module in deployed_modules(stack.readings.tracker.record)
            ),
        )

    async def judge(self, market: str, *, wanted: Collection[str] = ()) -> JudgedMarket:
        """The verdicts of a market with what they are verdicts on. As `reconcile` in all else, and keeps nothing."""
        judged, _, _ = await self._judge(market, None, wanted)
        return judged

    async def _judge(
        self, market: str, tracked: Set[str] | None, wanted: Collection[str]
    ) -> tuple[JudgedMarket, Mapping[str, StoredResult], list[Fault]]:
        """With the results of the runs before it, or why they cannot be read."""
        if not is_market_key(market):
            return _no_verdicts(market, None, bad_market_name(market))
        registry = await self.records.registry(market=market)
        if isinstance(registry, Unreadable):
            return _no_verdicts(market, registry, registry.fault)
        was_listed = tracked is not None
        try:
            tracked = await self._tracked_stacks(market) if tracked is None else tracked
        except StoreError as error:
            return _no_verdicts(market, registry, store_fault(error, kind=RecordKind.TRACKER, blob=f"{market}/"))
        named = set(registry.record.stacks) if isinstance(registry, Present) else set()
        if not tracked and not isinstance(registry, Present):
            return _no_verdicts(market, registry, vanished(market) if was_listed else not_found(market))
        stacks = sorted(name for name in named | tracked if is_stack_name(name) and (not wanted or name in wanted))
        faults = _bad_stack_names(market, registry, named, tracked)
        previous, unreadable_history = await self._previous(market)
        registry, judged = await self._judge_twice(market, stacks, registry, previous)
        judged_market = JudgedMarket(
            market=market,
            registry=registry,
            stacks=tuple(judged),
            problems=tuple(Problem.of(market, fault) for fault in faults),
            has_verdicts=True,
        )
        return judged_market, previous, unreadable_history

    async def _tracked_stacks(self, market: str) -> set[str]:
        """Stacks that have a tracker, leaving out those of the markets that are nested in this one's folder."""
        claims = [market_and_stack_of_tracker_blob(blob) async for blob in self.records.tracker_blobs(market=market)]
        return {claim[1] for claim in claims if claim and claim[0] == market}

    async def _previous(self, market: str) -> tuple[Mapping[str, StoredResult], list[Fault]]:
        if self.results is None:
            return {}, []
        try:
            return await self.results.latest_of_market(market=market), []
        except StoreError as error:
            return {}, [store_fault(error, kind=RecordKind.RESULTS, blob=error.place)]

    async def _judge_twice(
        self,
        market: str,
        stacks: list[str],
        registry: Reading[RegistryRecord],
        previous: Mapping[str, StoredResult],
    ) -> tuple[Reading[RegistryRecord], list[JudgedStack]]:
        """Compares, and reads what disagrees once more: a deploy that ended between two reads is not drift.

        Returns the registry reading that what disagrees was judged by.
        """
        judged = await self._judge_all(market, stacks, registry, previous, thorough=False)
        in_doubt = [stack for stack, one in judged.items() if one.result.verdict is not Verdict.HEALTHY]
        if in_doubt:
            await self.sleep(self.rules.reread_delay_seconds)
            again = await self.records.registry(market=market)
            if isinstance(again, Absent) and isinstance(registry, Present):
                again = Unreadable(vanished(market), again.blob)
            judged |= await self._judge_all(market, in_doubt, again, previous, thorough=True)
            registry = again
        return registry, [judged[stack] for stack in stacks]

    async def _judge_all(
        self,
        market: str,
        stacks: list[str],
        registry: Reading[RegistryRecord],
        previous: Mapping[str, StoredResult],
        *,
        thorough: bool,
    ) -> dict[str, JudgedStack]:
        record = registry.record if isinstance(registry, Present) else None

        async def judged(stack: str) -> JudgedStack:
            readings = await read_stack(self.records, registry, market=market, stack=stack, thorough=thorough)
            result = compare(
                StackIdentity(
                    market=market,
                    stack=stack,
                    subscription_id=record.subscription_id if record else None,
                    owner=record.owner if record else None,
                ),
                readings,
                now=self.clock(),
                in_flight_minutes=self.rules.in_flight_minutes,
                previous=previous[stack].result if stack in previous else None,
            )
            return JudgedStack(result=result, readings=readings)

        return dict(zip(stacks, await all_side_by_side(stacks, judged, width=_STACKS_AT_ONCE), strict=True))

    async def _keep(
        self, market: str, results: list[StackResult], previous: Mapping[str, StoredResult], coverage: Coverage
    ) -> list[Fault]:
        if self.results is None or (not results and coverage is Coverage.SOME_STACKS):
            return []
        today = self.run.started_at.date()
        begun = (stored for stored in previous.values() if stored.run_id == self.run.run_id)
        run = next((self.run.model_copy(update={"started_at": one.run_started_at}) for one in begun), self.run)
        try:
            await self.results.save_market(run=run, market=market, results=results, coverage=coverage)
            if any(stored.run_started_at.date() < today for stored in previous.values()):
                # Once a day: history grows old by the day, and a run on demand should not pay for it.
                cutoff = self.rules.oldest_kept(self.run.started_at)
                await self.results.prune_market(market=market, started_before=cutoff)
        except StoreError as error:
            return [store_fault(error, kind=RecordKind.RESULTS, blob=error.place)]
        return []


def _no_verdicts(
    market: str, registry: Reading[RegistryRecord] | None, fault: Fault
) -> tuple[JudgedMarket, Mapping[str, StoredResult], list[Fault]]:
    problems = (Problem.of(market, fault),)
    return JudgedMarket(market=market, registry=registry, problems=problems, has_verdicts=False), {}, []


def _bad_stack_names(market: str, registry: Reading[RegistryRecord], named: Set[str], tracked: Set[str]) -> list[Fault]:
    faults = [
        reading.fault
        for reading in (entry_reading(registry, stack) for stack in sorted(named) if not is_stack_name(stack))
        if isinstance(reading, Unreadable)
    ]
    return faults + [bad_tracker_name(market, stack) for stack in sorted(tracked) if not is_stack_name(stack)]
