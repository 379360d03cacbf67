"""Sees one stack: what its records say together, and what a plan of the bundle that was deployed shows. Decides nothing.

The order is the design's (docs/concepts.md): nothing is planned without a bundle and a state that the records name, and no plan
is believed over which the records have moved.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drift.classify import Classification, Passed, classify
from drift.fingerprint import fingerprint, fleet_fingerprint
from drift.plan_json import InconclusiveCode, InconclusivePlan, read_plan
from records.errors import BundleError, StoreError
from records.findings import Finding, FindingKind
from records.judged import JudgedMarket, JudgedStack
from records.plan_checks import PlannedStack, StackObservation
from records.ports import Clock, MarketJudge, RecordReader
from records.readings import Present, StateHead
from records.registry import RegistryRecord, StateLocation
from records.store_faults import told
from records.terraform import Inconclusive, Planner
from records.tracker import Bundle
from records.verdicts import Verdict

_CARRIED_ALONG: Final = frozenset({Passed.MOVED, Passed.IMPORTED})
_FLEET_DIGITS: Final = 16
_REMEDIES: Final = {
    InconclusiveCode.UNREADABLE: "Check again; where it stays so, report it with the version of Terraform.",
    InconclusiveCode.UNKNOWN_FORMAT: "Use a Terraform that this trueup reads, or upgrade trueup.",
    InconclusiveCode.ERRORED: "Plan what was deployed by hand to see the error.",
    InconclusiveCode.INCOMPLETE: "Deploy the whole stack, without -target, and check again.",
    InconclusiveCode.CONTRADICTORY: "Check again; where it stays so, report it with the version of Terraform.",
}
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
        before = await self.judge.judge(market, wanted=[stack])
        seen = _observation(before, market, stack, self.clock)
        judged = _stack_of(before, stack)
        if judged is None:
            return seen
        if judged.result.verdict is Verdict.NOT_DEPLOYED:
            return seen.model_copy(update={"plan": PlannedStack()})
        ground = _ground(judged)
        if isinstance(ground, str) or not isinstance(before.registry, Present):
            return _without_a_plan(seen, ground if isinstance(ground, str) else _NO_REGISTRY)
        planned = await self._plan(before.registry.record, ground, seen)
        if planned.plan is None:
            return planned
        return _believed(planned, ground, await self.judge.judge(market, wanted=[stack]))

    async def _plan(self, registry: RegistryRecord, ground: "_Ground", seen: StackObservation) -> StackObservation:
        try:
            async with asyncio.timeout(self.plan_limit_seconds):
                content = await self.records.bundle(bundle=ground.bundle, max_bytes=self.bundle_max_bytes)
                planned = await self._classified(registry, ground, content)
        except TimeoutError:
            return _without_a_plan(
                seen,
                f"Terraform took longer than {self.plan_limit_seconds:g} s and was stopped. "
                "Raise PLAN_LIMIT_SECONDS, or split the stack.",
            )
        except BundleError as error:
            return _without_a_plan(seen, str(error))
        except StoreError as error:
            return _without_a_plan(seen, f"The bundle that the tracker names cannot be read: {told(error)}")
        match planned:
            case Inconclusive():
                return _without_a_plan(seen, planned.message, *map(str, planned.diagnostics))
            case InconclusivePlan():
                why = f"There is no judging the plan: {planned.message}. {_REMEDIES[planned.code]}"
                return _without_a_plan(seen, why)
            case Classification():
                names = _names_of(registry)
                return seen.model_copy(update={"plan": _planned(planned, names), "diagnostics": ()})

    async def _classified(
        self, registry: RegistryRecord, ground: "_Ground", content: bytes
    ) -> Classification | InconclusivePlan | Inconclusive:
        async with self.planner.deployed(
            content=content, bundle=ground.bundle, state=ground.location, subscription_id=registry.subscription_id
        ) as module:
            made = await module.plan()
            return made if isinstance(made, Inconclusive) else await module.read(made, _classify)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What a plan is made of and over: it says nothing once any of it has changed."""

    subscription_id: str | None
    location: StateLocation
    state: StateHead
    content: str
    """The state blob's MD5. Where storage keeps none its ETag, which every lock moves: held without need rather than wrong."""
    bundle: Bundle


def _ground(judged: JudgedStack) -> _Ground | str:
    """Or why there is none."""
    readings = judged.readings
    if not isinstance(readings.registry, Present):
        return _NO_REGISTRY
    if not isinstance(readings.tracker, Present) or readings.tracker.record.bundle is None:
        return (
            "No tracker that can be read names a bundle of what was deployed, and nothing else is ever planned. "
            "Record the next deploy with `trueup record --bundle`."
        )
    if not isinstance(readings.state, Present):
        return (
            "The state is not there, or cannot be read. Nothing was planned: Terraform would write an empty one. "
            "See the stack's verdict."
        )
    return _Ground(
        subscription_id=judged.result.subscription_id,
        location=readings.registry.record.state,
        state=readings.state.record,
        content=readings.state.blob.content_md5 or readings.state.blob.etag,
        bundle=readings.tracker.record.bundle,
    )


def _classify(document: memoryview) -> Classification | InconclusivePlan:
    plan = read_plan(document)
    return plan if isinstance(plan, InconclusivePlan) else classify(plan)


def _planned(classification: Classification, names: Iterable[str]) -> PlannedStack:
    touched = [finding for finding in classification.findings if finding.kind is not FindingKind.STALE_STATE]
    return PlannedStack(
        findings=classification.findings,
        managed_resources=classification.managed_count,
        carried_along=tuple(one.address for one in classification.passed if one.reason in _CARRIED_ALONG),
        fingerprint=fingerprint(touched) if touched else None,
        fleet_fingerprints=_of_the_fleet(touched, list(names)),
    )


def _of_the_fleet(findings: Iterable[Finding], names: list[str]) -> tuple[str, ...]:
    """One a finding: an event of the fleet meets stacks in which something else is up as well."""
    return tuple(sorted({fleet_fingerprint([finding], names=names)[:_FLEET_DIGITS] for finding in findings}))


def _names_of(registry: RegistryRecord) -> Iterable[str]:
    """The words by which this market differs from the next, as they are found in the names of resources."""
    segments = registry.market.split("/")
    yield from segments
    for joint in ("/", "-", "_", ""):
        yield joint.join(segments)
    yield registry.subscription_id
    if registry.name:
        yield registry.name


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
    was_healthy = planned.verdict is Verdict.HEALTHY
    return planned.model_copy(
        update={"verdict": after.result.verdict if was_healthy else planned.verdict, "lock": lock or planned.lock}
    )


def _stack_of(judged: JudgedMarket, stack: str) -> JudgedStack | None:
    return next((one for one in judged.stacks if one.result.stack == stack), None)


def _without_a_plan(seen: StackObservation, *diagnostics: str) -> StackObservation:
    return seen.model_copy(update={"diagnostics": (*diagnostics, *seen.diagnostics)})
