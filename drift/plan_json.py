"""Reads `terraform show -json` of a plan: of all that it holds, the few resources that something is up with, masked.

The format is hashicorp/terraform's ``internal/command/jsonplan`` (https://developer.hashicorp.com/terraform/internals/json-format).
A plan says everything about every resource four times. So the values of resource changes are passed over as they come and
decoded only where a resource drifted or is to be changed; all else is never held. ADR 0011 has the figures.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec
from pydantic import JsonValue

from drift.masking import Marks, Masker, Value, join_marks, says_true, secret_texts
from drift.plan_configuration import ChangedOutput, changed_outputs, configured, late_reads, provisioned
from drift.plan_document import NO_OP, READ, HeadDocument, PlanDocument, ResourceDocument, value_of

_FORMAT_MAJOR: Final = "1"
_FORMAT: Final = re.compile(r"([0-9]{1,4})(?:\.[0-9]{1,4}){0,2}")


class InconclusiveCode(StrEnum):
    """Why a plan says nothing on which anybody could act."""

    UNREADABLE = "unreadable"
    UNKNOWN_FORMAT = "unknown_format"
    ERRORED = "errored"
    INCOMPLETE = "incomplete"
    CONTRADICTORY = "contradictory"


@dataclass(frozen=True, slots=True)
class InconclusivePlan:
    """A plan from which nothing follows; ``message`` is one line, and holds no value of the plan."""

    code: InconclusiveCode
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of an object, or has become of it; ``before`` and ``after`` are masked."""

    actions: tuple[str, ...]
    before: Value = None
    after: Value = None

    @property
    def does_nothing(self) -> bool:
        return self.actions == NO_OP


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedObject:
    """A resource, or with ``deposed`` a former object of one, that the plan has something to say about.

    ``drift`` goes from the state to what is there, ``change`` from there to the configuration. ``moved_from`` is the
    address that the state has it under, where that is another. ``has_provisioner`` is whether its block has one: what that does
    no value of the plan shows.
    """

    address: str
    deposed: str | None = None
    mode: str
    type: str
    drift: Change | None = None
    change: Change | None = None
    moved_from: str | None = None
    is_imported: bool = False
    has_provisioner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokedAction:
    """An action (Terraform 1.14) that the apply would run, such as a restart. No value of the plan shows what it does."""

    address: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a plan says: the objects that drifted, change, move or are imported, sorted; and how much else there is.

    ``managed_count`` is the managed resources of the stack, those that no finding is about among them. ``late_reads`` are the
    data sources that only the apply reads.
    """

    objects: tuple[PlannedObject, ...]
    managed_count: int
    invoked_actions: tuple[InvokedAction, ...]
    late_reads: tuple[str, ...]
    changed_outputs: tuple[ChangedOutput, ...]


def read_plan(document: bytes | memoryview, *, has_changes: bool | None = None) -> Plan | InconclusivePlan:
    """What a plan's JSON says, masked. Nothing that is returned refers to ``document``, which may be a mapped file.

    ``has_changes`` is what `terraform plan -detailed-exitcode` said, where that is known: the one witness of a plan that does
    not say whether it is ``applyable``, as of Terraform before 1.8 and OpenTofu.
    """
    try:
        plan = msgspec.json.decode(document, type=PlanDocument)
        if not plan.format_version.startswith(f"{_FORMAT_MAJOR}.") or plan.errored or plan.complete is False:
            return _why_not(plan)
        return _read(plan, has_changes)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _unreadable(document, type(error).__name__)


def _why_not(plan: PlanDocument) -> InconclusivePlan:
    if not plan.format_version.startswith(f"{_FORMAT_MAJOR}."):
        return _unknown_format(plan.format_version)
    if plan.errored:
        return InconclusivePlan(InconclusiveCode.ERRORED, "the plan ended in an error: what it shows is a part")
    return InconclusivePlan(
        InconclusiveCode.INCOMPLETE, "the plan is not complete: an apply of it would leave changes for another"
    )


def _unreadable(document: bytes | memoryview, reason: str) -> InconclusivePlan:
    """Another major may have another shape, so its version is looked at before it is called broken."""
    try:
        version = msgspec.json.decode(document, type=HeadDocument).format_version
    except (msgspec.MsgspecError, ValueError, RecursionError):
        version = f"{_FORMAT_MAJOR}."
    if not version.startswith(f"{_FORMAT_MAJOR}."):
        return _unknown_format(version)
    return InconclusivePlan(InconclusiveCode.UNREADABLE, f"the plan's JSON cannot be read ({reason})")


def _unknown_format(version: str) -> InconclusivePlan:
    found = f"is {version}" if _FORMAT.fullmatch(version) else "is missing or no version"
    message = f"the plan's format_version {found}; this trueup reads {_FORMAT_MAJOR}.x"
    return InconclusivePlan(InconclusiveCode.UNKNOWN_FORMAT, message)


def _read(plan: PlanDocument, has_changes: bool | None) -> Plan | InconclusivePlan:
    drifts = {resource.key: resource for resource in plan.resource_drift or ()}
    changes = {resource.key: resource for resource in plan.resource_changes or ()}
    if len(drifts) < len(plan.resource_drift or ()) or len(changes) < len(plan.resource_changes or ()):
        return InconclusivePlan(InconclusiveCode.CONTRADICTORY, "the plan names one object twice")
    contradiction = _contradiction(plan, {plan.applyable, has_changes})
    if contradiction:
        return InconclusivePlan(InconclusiveCode.CONTRADICTORY, contradiction)
    if plan.configuration is None and any(not one.is_silent for one in changes.values()):
        return InconclusivePlan(InconclusiveCode.UNREADABLE, "the plan does not hold the configuration that it is of")
    keys = sorted(drifts.keys() | {key for key, resource in changes.items() if not resource.is_silent})
    managed = {
        key for found in (drifts, changes) for key, one in found.items() if one.mode == "managed" and not one.deposed
    }
    return Plan(
        objects=_mask_all([(drifts.get(key), changes.get(key)) for key in keys], provisioned(plan)),
        managed_count=len(managed),
        invoked_actions=tuple(
            sorted(
                (InvokedAction(address=one.address, type=one.type) for one in plan.action_invocations or ()),
                key=lambda one: (one.address, one.type),
            )
        ),
        late_reads=late_reads(plan),
        changed_outputs=changed_outputs(plan),
    )


def _contradiction(plan: PlanDocument, said: set[bool | None]) -> str | None:
    """How what the plan shows is not what Terraform said of it, in ``said``: that there is something to apply, or nothing.

    To Terraform a plan is applyable where any object has another action than ``no-op``, moves or is imported, or an output of
    the root module changes (hashicorp/terraform, ``internal/plans/changes_src.go``, ``Empty``); invoked actions explain it too.
    So what a version to come puts elsewhere is not taken for a plan in which nothing differs.
    """
    changes = plan.resource_changes or ()
    if False in said and any(tuple(one.change.actions) not in {NO_OP, READ} for one in changes):
        return "the plan has changes and says that it cannot be applied"
    if True in said and not (
        plan.action_invocations or _changes_outputs(plan) or any(not one.is_silent for one in changes)
    ):
        return "Terraform has something to apply and the plan shows no change that this trueup knows"
    return None


def _changes_outputs(plan: PlanDocument) -> bool:
    return any(tuple(output.actions) != NO_OP for output in (plan.output_changes or {}).values())


@dataclass(frozen=True, slots=True, repr=False)
class _Clear:
    """A change with its secrets in it. It does not leave this module."""

    actions: tuple[str, ...]
    before: JsonValue
    after: JsonValue
    unknown: JsonValue


@dataclass(frozen=True, slots=True, repr=False)
class _ClearObject:
    drift: _Clear | None
    change: _Clear | None
    marks: Marks
    secret_texts: frozenset[str]


def _mask_all(
    pairs: list[tuple[ResourceDocument | None, ResourceDocument | None]], with_provisioner: frozenset[str]
) -> tuple[PlannedObject, ...]:
    clear = [_decode(drift, change) for drift, change in pairs]
    masker = Masker(text for one in clear for text in one.secret_texts)
    masked = (_masked(masker, pair, one) for pair, one in zip(pairs, clear, strict=True))
    return tuple(replace(one, has_provisioner=configured(one.address) in with_provisioner) for one in masked)


def _decode(drift: ResourceDocument | None, change: ResourceDocument | None) -> _ClearObject:
    """A path is sensitive on both sides where it is on one, in the drift or in the change."""
    found = [resource.change for resource in (drift, change) if resource]
    marks = join_marks(*(value_of(tree) for one in found for tree in (one.before_sensitive, one.after_sensitive)))
    decoded: dict[bytes, JsonValue] = {}
    one, other = _clear(drift, decoded), _clear(change, decoded)
    values = [value for clear in (one, other) if clear for value in (clear.before, clear.after)]
    texts = frozenset(text for value in values for text in secret_texts(value, marks))
    return _ClearObject(one, other, marks, texts)


def _clear(resource: ResourceDocument | None, decoded: dict[bytes, JsonValue]) -> _Clear | None:
    """What is there now is written twice, and so is mostly what the state has: it is decoded, and masked, once."""
    if resource is None:
        return None
    change = resource.change
    before, after = (
        decoded[text] if (text := bytes(raw)) in decoded else decoded.setdefault(text, value_of(raw))
        for raw in (change.before, change.after)
    )
    return _Clear(tuple(change.actions), before, after, value_of(change.after_unknown))


def _masked(
    masker: Masker, pair: tuple[ResourceDocument | None, ResourceDocument | None], clear: _ClearObject
) -> PlannedObject:
    done: dict[int, Value] = {}

    def mask(value: JsonValue, unknown: JsonValue = None) -> Value:
        if says_true(unknown):
            return masker.mask(value, unknown, clear.marks, clear.secret_texts)
        if id(value) not in done:
            done[id(value)] = masker.mask(value, None, clear.marks, clear.secret_texts)
        return done[id(value)]

    def masked(one: _Clear | None) -> Change | None:
        if one is None:
            return None
        return Change(actions=one.actions, before=mask(one.before), after=mask(one.after, one.unknown))

    drift, change = pair
    named = change or drift
    assert named is not None
    return PlannedObject(
        address=named.address,
        deposed=named.deposed or None,
        mode=named.mode,
        type=named.type,
        drift=masked(clear.drift),
        change=masked(clear.change),
        moved_from=named.previous_address or (drift.previous_address if drift else None) or None,
        is_imported=named.is_imported,
    )
