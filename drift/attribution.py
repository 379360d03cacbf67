"""Which resources' authors are worth asking for, and how the answers come into the findings.

Asked for is who clicked: of a difference that is in the cloud already. A pending change is the code's, and an unsafe finding is
not understood well enough to name anybody for it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from records.findings import Finding, FindingKind
from records.plan_checks import StackObservation
from records.resource_changes import ResourceChange

_SOMEBODY_DID_IT: Final = frozenset({FindingKind.PORTAL_DRIFT, FindingKind.MIXED, FindingKind.STALE_STATE})


def ids_to_ask(observations: Iterable[StackObservation]) -> Mapping[str, tuple[str, ...]]:
    """By subscription id, in lower case and sorted: the ids of drifted resources, sorted, each once whatever its case.

    A stack whose subscription is not known is left out, as there is nowhere to ask. Azure takes ids in any case
    (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
    """
    spelt: dict[str, dict[str, str]] = {}
    for seen in observations:
        if seen.subscription_id is None or seen.plan is None:
            continue
        for resource_id in filter(None, map(_askable_id, seen.plan.findings)):
            ids = spelt.setdefault(seen.subscription_id.lower(), {})
            # The same spelling whatever order the stacks come in.
            ids[resource_id.lower()] = min(resource_id, ids.get(resource_id.lower(), resource_id))
    return {subscription_id: tuple(ids[key] for key in sorted(ids)) for subscription_id, ids in sorted(spelt.items())}


def attributed(findings: tuple[Finding, ...], changes: Mapping[str, ResourceChange]) -> tuple[Finding, ...]:
    """The findings, with author, time and client where they are known. ``changes`` are by resource id in lower case."""
    return tuple(_attributed(finding, changes) for finding in findings)


def _attributed(finding: Finding, changes: Mapping[str, ResourceChange]) -> Finding:
    resource_id = _askable_id(finding)
    change = changes.get(resource_id.lower()) if resource_id else None
    if change is None:
        return finding
    return finding.model_copy(
        update={"changed_by": change.changed_by, "changed_at": change.changed_at, "client": change.client}
    )


def _askable_id(finding: Finding) -> str | None:
    """The id of a resource that somebody may have changed by hand; None where it has none, or nobody did."""
    return finding.resource_id or None if finding.kind in _SOMEBODY_DID_IT else None
