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

    ``references`` are the blocks of resources and others that its value is made of, through modules; None where the
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
            references=_references(outputs[name], root) if root and name in outputs else None,
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


def _references(output: ConfiguredOutputDocument, module: ModuleDocument, within: str = "") -> frozenset[str] | None:
    if output.expression is None:
        return None
    found: set[str] = set()
    for reference in map(configured, output.expression.references or ()):
        match reference.split("."):
            case ["var", *_] if not within:
                # Of the root module: as it was deployed.
                continue
            case ["module", name, result, *_]:
                inner = _of_a_module(module, name, result, f"{within}module.{name}.")
                found |= {f"{within}{reference}"} if inner is None else inner
            case ["module", name] if _says_which_result(output, name):
                continue
            case [first, second, *_]:
                found.add(f"{within}{first}.{second}")
            case _:
                found.add(f"{within}{reference}")
    return frozenset(found)


def _of_a_module(caller: ModuleDocument, name: str, result: str, within: str) -> frozenset[str] | None:
    call = (caller.module_calls or {}).get(name)
    output = (call.module.outputs or {}).get(result) if call and call.module else None
    return _references(output, call.module, within) if output and call and call.module else None


def _says_which_result(output: ConfiguredOutputDocument, module: str) -> bool:
    """Terraform names a module beside each of its results that is referred to."""
    references = (output.expression.references if output.expression else None) or ()
    return any(configured(reference).startswith(f"module.{module}.") for reference in references)
