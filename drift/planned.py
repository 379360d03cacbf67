"""What a plan of a deployed bundle shows of a stack: findings, masked, with the names by which a drift is known again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drift.classify import Classification, classify
from drift.fingerprint import fingerprint, fleet_fingerprint
from drift.plan_json import InconclusiveCode, InconclusivePlan, read_plan
from drift.situation import Inconclusive
from records.findings import Finding
from records.plan_checks import PlannedStack
from records.registry import RegistryRecord, StateLocation
from records.terraform import DeployedRoot, MadePlan, NoAnswer

_FLEET_DIGITS: Final = 16
_REMEDIES: Final = {
    InconclusiveCode.UNREADABLE: "Check again; where it stays so, report it with the version of Terraform.",
    InconclusiveCode.UNKNOWN_FORMAT: "Use a Terraform that this trueup reads, or upgrade trueup.",
    InconclusiveCode.ERRORED: "Plan what was deployed by hand to see the error.",
    InconclusiveCode.INCOMPLETE: "Deploy the whole stack, without -target, and check again.",
    InconclusiveCode.CONTRADICTORY: "Check again; where it stays so, report it with the version of Terraform.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What was deployed to a stack, unpacked, with a plan of it that was made."""

    location: StateLocation
    module: DeployedRoot
    made: MadePlan
    names: tuple[str, ...]

    async def plan_again(self) -> PlannedStack | Inconclusive:
        """What a plan shows now, without a lock."""
        made = await self.module.plan()
        return Inconclusive(made.lines) if isinstance(made, NoAnswer) else await read(self.module, made, self.names)


async def read(module: DeployedRoot, made: MadePlan, names: tuple[str, ...]) -> PlannedStack | Inconclusive:
    """What a plan shows that was made; ``names`` are the market's, as of `names_of`."""
    match await module.read(made, lambda document: _classify(document, has_changes=made.has_changes)):
        case InconclusivePlan() as plan:
            return Inconclusive((f"There is no judging the plan: {plan.message}. {_REMEDIES[plan.code]}",))
        case Classification() as classification:
            return _of_a_plan(classification, names)


def names_of(registry: RegistryRecord) -> tuple[str, ...]:
    """The words by which this market differs from the next, as they are found in the names of resources."""
    segments = registry.market.split("/")
    joined = (joint.join(segments) for joint in ("/", "-", "_", ""))
    return (*segments, *joined, registry.subscription_id, *([registry.name] if registry.name else []))


def _classify(document: memoryview, *, has_changes: bool) -> Classification | InconclusivePlan:
    plan = read_plan(document, has_changes=has_changes)
    return plan if isinstance(plan, InconclusivePlan) else classify(plan)


def _of_a_plan(classification: Classification, names: Iterable[str]) -> PlannedStack:
    touched = [finding for finding in classification.findings if finding.is_touched_by_apply]
    return PlannedStack(
        findings=classification.findings,
        managed_resources=classification.managed_count,
        carried_along=classification.carried_along,
        late_reads=classification.late_reads,
        changed_outputs=classification.changed_outputs,
        fingerprint=fingerprint(touched) if touched else None,
        fleet_fingerprints=_of_the_fleet(touched, list(names)),
    )


def _of_the_fleet(findings: Iterable[Finding], names: list[str]) -> tuple[str, ...]:
    """One a finding: an event of the fleet meets stacks in which something else is up as well."""
    return tuple(sorted({fleet_fingerprint([finding], names=names)[:_FLEET_DIGITS] for finding in findings}))
