"""Tells what each object in a plan is: the work of a click in the portal, or one of the things that only look like it.

The table is the design's ("Classifying", docs/concepts.md) and ADR 0011 says what it leaves open. Whatever is not certainly
the undoing of drift gets a kind that is never healed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drift.differences import Effect, differences, effects, is_same, recreates
from drift.masking import Unknown, Value, holds
from drift.plan_configuration import ChangedOutput, configured
from drift.plan_document import NO_OP, READ
from drift.plan_json import Change, InvokedAction, Plan, PlannedObject
from records.findings import AttributeChange, Finding, FindingKind

_CREATE: Final = ("create",)
_UPDATE: Final = ("update",)
_DELETE: Final = ("delete",)
_REPLACE: Final = frozenset({("delete", "create"), ("create", "delete")})
_ACTING: Final = frozenset({_CREATE, _UPDATE, _DELETE, *_REPLACE})
_PROVISIONED: Final = frozenset({_CREATE, _DELETE, *_REPLACE})
_DRIFTED: Final = frozenset({_UPDATE, _DELETE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a plan comes to.

    ``carried_along`` are the addresses that any apply of the plan would move or import, with a finding or without: sorted, each
    once, the new one of what moves. ``late_reads`` are the data sources that only the apply reads, where a value may be made of
    them that the plan does not know; ``changed_outputs`` those that the apply would leave in the state as others than they are
    there, and that nothing which is made anew explains. A heal must do none of these (`drift.plan_conditions` holds it as
    ``mixed``); a finding's own kind does not tell. ``managed_count`` is what a share of the stack is a share of.
    """

    findings: tuple[Finding, ...]
    carried_along: tuple[str, ...]
    late_reads: tuple[str, ...]
    changed_outputs: tuple[str, ...]
    managed_count: int


def classify(plan: Plan) -> Classification:
    """The findings of a plan, sorted by address."""
    judged = [*map(_judge, plan.objects), *map(_of_action, plan.invoked_actions)]
    findings = [one for one in judged if one]
    return Classification(
        findings=tuple(sorted(findings, key=lambda one: (one.address, one.deposed or "", one.type))),
        carried_along=tuple(sorted({one.address for one in plan.objects if one.moved_from or one.is_imported})),
        late_reads=plan.late_reads if any(map(_leaves_open, plan.objects)) else (),
        changed_outputs=_unexplained(plan.changed_outputs, findings),
        managed_count=plan.managed_count,
    )


def _leaves_open(planned: PlannedObject) -> bool:
    """Whether the apply may give it a value that the plan does not show."""
    change = planned.change
    if change is None or change.actions not in _ACTING:
        return False
    return change.actions == _CREATE or holds([change.after], Unknown)


def _unexplained(outputs: Iterable[ChangedOutput], findings: Iterable[Finding]) -> tuple[str, ...]:
    """Those that are not made of what was deleted outside alone, and unknown until that is there again.

    One that is made of nothing, and unknown, is a function's, such as the time: any apply leaves another, drift or not.
    """
    kinds: dict[str, set[FindingKind]] = {}
    created = set()
    for finding in findings:
        block = configured(finding.address)
        kinds.setdefault(block, set()).add(finding.kind)
        if finding.actions == _CREATE:
            created.add(block)
    remade = {block for block in created if kinds[block] == {FindingKind.PORTAL_DRIFT}}
    return tuple(
        output.name
        for output in outputs
        if not (output.is_unknown and output.references is not None and output.references <= remade)
    )


def _judge(planned: PlannedObject) -> Finding | None:
    actions = planned.change.actions if planned.change else NO_OP
    if _is_unsafe(planned, actions):
        return _finding(planned, FindingKind.UNSAFE)
    if actions in _ACTING and planned.change:
        return _finding(planned, _kind_of(planned, planned.change))
    if _has_drifted(planned) and planned.drift:
        return _finding(planned, FindingKind.STALE_STATE)
    return None


def _is_unsafe(planned: PlannedObject, actions: tuple[str, ...]) -> bool:
    """Whether the plan holds something that this version does not know, or knows to lose sight of the resource (``forget``);
    or to run a provisioner.
    """
    if planned.has_provisioner and actions in _PROVISIONED:
        return True
    if planned.drift and planned.drift.actions not in _DRIFTED | {NO_OP}:
        return True
    if actions == READ:
        return planned.mode != "data"
    return actions != NO_OP and (actions not in _ACTING or planned.mode != "managed")


def _kind_of(planned: PlannedObject, change: Change) -> FindingKind:
    drift = planned.drift
    if drift is None or not _has_drifted(planned):
        return FindingKind.PENDING_CHANGE
    if _undoes(planned, drift, change):
        return FindingKind.PORTAL_DRIFT
    # Where elements only moved there is no drift to speak of, and what the apply does is its own.
    return FindingKind.MIXED if _differs(drift) else FindingKind.PENDING_CHANGE


def _undoes(planned: PlannedObject, drift: Change, change: Change) -> bool:
    """Whether the change makes the object again what the state recorded, and nothing else."""
    if planned.is_imported or not is_same(drift.after, change.before):
        return False
    if drift.actions == _DELETE:
        return change.actions == _CREATE and recreates(drift.before, change.after)
    if change.actions in _REPLACE:
        return recreates(drift.before, change.after)
    if change.actions != _UPDATE:
        return False
    found = set(effects(drift.before, change.before, change.after))
    return Effect.RESTORES in found and Effect.SOMETHING_ELSE not in found


def _has_drifted(planned: PlannedObject) -> bool:
    """Whether anything differs from the state. Elements that only moved count where the plan acts on the object: Terraform
    knows its sets, so there they are a list's.
    """
    drift = planned.drift
    if drift is None or drift.does_nothing:
        return False
    if planned.change and planned.change.actions in _ACTING:
        return not is_same(drift.before, drift.after)
    return _differs(drift)


def _differs(change: Change) -> bool:
    return bool(differences(change.before, change.after))


def _finding(planned: PlannedObject, kind: FindingKind) -> Finding:
    change = planned.drift if kind is FindingKind.STALE_STATE else planned.change or planned.drift
    actions = planned.change.actions if planned.change else NO_OP
    return Finding(
        address=planned.address,
        deposed=planned.deposed,
        type=planned.type,
        kind=kind,
        actions=actions,
        destructive="delete" in actions,
        attributes=_attributes(change) if change else (),
        resource_id=_resource_id(planned),
    )


def _attributes(change: Change) -> tuple[AttributeChange, ...]:
    found = differences(change.before, change.after) or differences(change.before, change.after, with_order=True)
    return tuple(sorted((one.as_attribute() for one in found), key=lambda attribute: attribute.path))


def _of_action(invoked: InvokedAction) -> Finding:
    return Finding(
        address=invoked.address, type=invoked.type, kind=FindingKind.UNSAFE, actions=("invoke",), destructive=False
    )


def _resource_id(planned: PlannedObject) -> str | None:
    """The Azure id, of the object that is there or that was: a path, which no other provider's ``id`` is."""
    changes = [change for change in (planned.change, planned.drift) if change]
    found = (_id_in(value) for change in changes for value in (change.before, change.after))
    return next(filter(None, found), None)


def _id_in(value: Value) -> str | None:
    own = value.get("id") if isinstance(value, dict) else None
    return own if isinstance(own, str) and own.startswith("/") else None
