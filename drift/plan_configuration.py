"""What an apply would do that no value of a plan's resources shows: it is read from the configuration beside them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drift.masking import says_true
from drift.plan_document import NO_OP, READ, ConfiguredOutputDocument, ModuleDocument, PlanDocument, value_of

_INDEX: Final = re.compile(r'\[(?:[0-9]+|"(?:[^"\\]|\\.)*")\]')
_READ_FOR_A_CHECK: Final = "read_because_check_nested"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedOutput:
    """An output of the root module that the apply would leave in the state as another than it is there now.

    ``references`` are resources and others that its value is made of, without their instances and attributes; None where the
    configuration does not say. ``is_unknown`` is whether some of it is known only once it is applied.
    """

    name: str
    references: frozenset[str] | None
    is_unknown: bool


def configured(address: str) -> str:
    """The address that all instances of a resource, and of the modules around it, share: that of its block."""
    return _INDEX.sub("", address)


def provisioned(plan: PlanDocument) -> frozenset[str]:
    """The blocks of resources that have a provisioner. Whether it runs on creation or on destruction a plan does not say."""
    root = plan.configuration.root_module if plan.configuration else None
    return frozenset(_provisioned("", root)) if root else frozenset()


def late_reads(plan: PlanDocument) -> tuple[str, ...]:
    """Data sources that only the apply reads, sorted. What one within a check has read nothing else can refer to."""
    return tuple(
        sorted(
            resource.address
            for resource in plan.resource_changes or ()
            if tuple(resource.change.actions) == READ and resource.action_reason != _READ_FOR_A_CHECK
        )
    )


def changed_outputs(plan: PlanDocument) -> tuple[ChangedOutput, ...]:
    """Those that an apply changes, sorted. Terraform compares with the state as it was before the plan looked at the cloud."""
    root = plan.configuration.root_module if plan.configuration else None
    outputs = (root.outputs if root else None) or {}
    changed = {name: one for name, one in (plan.output_changes or {}).items() if tuple(one.actions) != NO_OP}
    return tuple(
        ChangedOutput(
            name=name,
            references=_references(outputs[name]) if name in outputs else None,
            is_unknown=says_true(value_of(changed[name].after_unknown)),
        )
        for name in sorted(changed)
    )


def _provisioned(prefix: str, module: ModuleDocument) -> Iterator[str]:
    for resource in module.resources or ():
        if resource.provisioners:
            yield prefix + resource.address
    for name, call in (module.module_calls or {}).items():
        if call.module:
            yield from _provisioned(f"{prefix}module.{name}.", call.module)


def _references(output: ConfiguredOutputDocument) -> frozenset[str] | None:
    if output.expression is None:
        return None
    return frozenset(map(_block_of, output.expression.references or ()))


def _block_of(reference: str) -> str:
    """Of a resource of the root module its type and name; of anything else what no resource is called."""
    return ".".join(configured(reference).split(".")[:2])
