"""Sees one stack: what its records say together, and what a plan of the bundle that was deployed shows. Decides nothing.

The order is the design's (docs/concepts.md): nothing is planned without a bundle and a state that the records name, and no plan
is believed over which the records have moved.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from drift.planned import Deployed, names_of, read
from drift.situation import Inconclusive
from records.bundles import bundle_blob
from records.errors import BundleError, StoreError
from records.judged import JudgedMarket, JudgedStack
from records.plan_checks import PlannedStack, StackObservation
from records.ports import Clock, MarketJudge, RecordReader
from records.readings import Present, StateHead
from records.registry import RegistryRecord, StateLocation
from records.store_faults import told
from records.terraform import NoAnswer, Planner
from records.tracker import Bundle
from records.verdicts import Verdict

_NO_REGISTRY: Final = "No registry entry that can be read says where the state is. See the stack's verdict."


@dataclass(frozen=True, slots=True, kw_only=True)
class StackObserver:
    """``plan_limit_seconds`` is how long all of one stack's Terraform may take together."""

    judge: MarketJudge
    records: RecordReader
    planner: Planner
    bundle_max_bytes: int
    plan_limit_seconds: float
    clock: Clock

    async def observe(self, market: str, stack: str) -> StackObservation:
        """What is seen of it; why there is no plan, where there is none, is in its diagnostics.

        Raises:
            SettingsError: there is no Terraform, or no place to run it.
        """
        async with self.looking(market, stack) as look:
            return look.seen

    @asynccontextmanager
    async def looking(
        self, market: str, stack: str, *, lock_timeout_seconds: int | None = None
    ) -> AsyncIterator["Look"]:
        """The same, with the plan at hand while the block lasts. ``lock_timeout_seconds`` is as in `DeployedRoot.plan`.

        Raises:
            SettingsError: as `observe`, on entering.
        """
        async with AsyncExitStack() as opened:
            yield await self._look(opened, market, stack, lock_timeout_seconds)

    async def _look(self, opened: AsyncExitStack, market: str, stack: str, lock_timeout_seconds: int | None) -> "Look":
        before = await self.judge.judge(market, wanted=[stack])
        seen = _observation(before, market, stack, self.clock)
        judged = _stack_of(before, stack)
        if judged is None:
            return Look(seen=seen)
        if judged.result.verdict is Verdict.NOT_DEPLOYED:
            return Look(seen=seen.model_copy(update={"plan": PlannedStack()}))
        if not isinstance(before.registry, Present):
            return Look(seen=_without_a_plan(seen, _NO_REGISTRY))
        ground = _ground(judged)
        if isinstance(ground, Inconclusive):
            return Look(seen=_without_a_plan(seen, *ground.diagnostics))
        look = await self._planned(opened, before.registry.record, ground, seen, lock_timeout_seconds)
        if look.seen.plan is None:
            return look
        if lock_timeout_seconds is not None:
            # Whoever had the lock before has given it to this plan.
            look = replace(look, seen=look.seen.model_copy(update={"lock": None}))
        return replace(look, seen=_believed(look.seen, ground, await self.judge.judge(market, wanted=[stack])))

    async def _planned(
        self,
        opened: AsyncExitStack,
        registry: RegistryRecord,
        ground: "_Ground",
        seen: StackObservation,
        lock_timeout_seconds: int | None,
    ) -> "Look":
        try:
            async with asyncio.timeout(self.plan_limit_seconds):
                content = await self.records.bundle(bundle=ground.bundle, max_bytes=self.bundle_max_bytes)
                module = await opened.enter_async_context(
                    self.planner.deployed(
                        content=content,
                        bundle=ground.bundle,
                        state=ground.location,
                        subscription_id=registry.subscription_id,
                    )
                )
                made = await module.plan(lock_timeout_seconds=lock_timeout_seconds)
                if isinstance(made, NoAnswer):
                    return Look(seen=_without_a_plan(seen, *made.lines))
                planned = await read(module, made, names_of(registry))
        except TimeoutError:
            why = (
                f"Terraform took longer than {self.plan_limit_seconds:g} s and was stopped. "
                "Raise PLAN_LIMIT_SECONDS, or split the stack."
            )
            return Look(seen=_without_a_plan(seen, why))
        except BundleError as error:
            return Look(seen=_without_a_plan(seen, str(error)))
        except StoreError as error:
            return Look(seen=_without_a_plan(seen, f"The bundle that the tracker names cannot be read: {told(error)}"))
        if isinstance(planned, Inconclusive):
            return Look(seen=_without_a_plan(seen, *planned.diagnostics))
        return Look(
            seen=seen.model_copy(update={"plan": planned, "diagnostics": ()}),
            deployed=Deployed(location=ground.location, module=module, made=made, names=names_of(registry)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is seen of a stack. ``deployed`` is there where there is a plan of what was deployed."""

    seen: StackObservation
    deployed: Deployed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What a plan is made of and over: it says nothing once any of it has changed."""

    subscription_id: str | None
    location: StateLocation
    state: StateHead
    content: str
    """The state blob's MD5. Where storage keeps none its ETag, which every lock moves: held without need rather than wrong."""
    bundle: Bundle


def _ground(judged: JudgedStack) -> _Ground | Inconclusive:
    readings = judged.readings
    if not isinstance(readings.registry, Present):
        return _inconclusive(_NO_REGISTRY)
    if not isinstance(readings.tracker, Present) or readings.tracker.record.bundle is None:
        return _inconclusive(
            "No tracker that can be read names a bundle of what was deployed, and nothing else is ever planned. "
            "Record the next deploy with `trueup record --bundle`."
        )
    bundle = readings.tracker.record.bundle
    if bundle.blob != bundle_blob(judged.result.market, judged.result.stack, bundle.sha256):
        return _inconclusive(
            "The tracker names another stack's bundle. Record the next deploy with `trueup record --bundle`."
        )
    if not isinstance(readings.state, Present):
        return _inconclusive(
            "The state is not there, or cannot be read. Nothing was planned: Terraform would write an empty one. "
            "See the stack's verdict."
        )
    return _Ground(
        subscription_id=judged.result.subscription_id,
        location=readings.registry.record.state,
        state=readings.state.record,
        content=readings.state.blob.content_md5 or readings.state.blob.etag,
        bundle=bundle,
    )


def _inconclusive(why: str) -> Inconclusive:
    return Inconclusive((why,))


def _observation(judged: JudgedMarket, market: str, stack: str, clock: Clock) -> StackObservation:
    """What the records say. Without a plan yet, its diagnostics are why the records say nothing, where they do not."""
    one = _stack_of(judged, stack)
    problems = tuple(
        f"{problem.record} {problem.blob}: {problem.message}. {problem.remedy}" for problem in judged.problems
    )
    if one is None:
        nobody = (f"No record names {market}/{stack} any more.",)
        return StackObservation(market=market, stack=stack, checked_at=clock(), diagnostics=problems or nobody)
    state, tracker = one.readings.state, one.readings.tracker
    head = state.record if isinstance(state, Present) else None
    bundle = tracker.record.bundle if isinstance(tracker, Present) else None
    return StackObservation(
        market=market,
        stack=stack,
        subscription_id=one.result.subscription_id,
        checked_at=clock(),
        verdict=one.result.verdict,
        lineage=head.lineage if head else None,
        serial=head.serial if head else None,
        bundle_sha256=bundle.sha256 if bundle else None,
        lock=state.blob.lock if isinstance(state, Present) else None,
        diagnostics=problems,
    )


def _believed(planned: StackObservation, ground: _Ground, now: JudgedMarket) -> StackObservation:
    """The plan as it counts beside the records as they are once it is made: a deploy may have begun, or ended, meanwhile."""
    after = _stack_of(now, planned.stack)
    if after is None or _ground(after) != ground:
        return _without_a_plan(
            planned.model_copy(update={"plan": None}),
            "The records moved while the plan was made, so it is of neither deploy. The next check plans anew.",
        )
    lock = after.readings.state.blob.lock if isinstance(after.readings.state, Present) else None
    # A verdict that was not healthy stays, but for that of a deploy whose lock was waited for.
    is_later = planned.verdict is Verdict.HEALTHY or (planned.verdict is Verdict.IN_FLIGHT and planned.lock is None)
    return planned.model_copy(
        update={"verdict": after.result.verdict if is_later else planned.verdict, "lock": lock or planned.lock}
    )


def _stack_of(judged: JudgedMarket, stack: str) -> JudgedStack | None:
    return next((one for one in judged.stacks if one.result.stack == stack), None)


def _without_a_plan(seen: StackObservation, *diagnostics: str) -> StackObservation:
    return seen.model_copy(update={"diagnostics": (*diagnostics, *seen.diagnostics)})
