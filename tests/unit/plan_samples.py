"""Plans as `terraform show -json` writes them, with only what a test is about."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from drift.classify import Classification, classify
from drift.plan_json import InconclusivePlan, Plan, read_plan
from records.findings import Finding

RULE = "azurerm_network_security_rule.ssh"
NO_OP = ("no-op",)
UPDATE = ("update",)
CREATE = ("create",)
DELETE = ("delete",)
READ = ("read",)
REPLACE = ("delete", "create")
REPLACE_CREATED_FIRST = ("create", "delete")


def resource(
    actions: Sequence[str] = UPDATE,
    before: Any = None,
    after: Any = None,
    *,
    address: str = RULE,
    mode: str = "managed",
    unknown: Any = None,
    sensitive: Any = False,
    sensitive_after: Any = None,
    importing: Any = None,
    **fields: Any,
) -> dict[str, Any]:
    """An entry of ``resource_drift`` or ``resource_changes``; ``sensitive`` holds on both sides unless one is given apart."""
    change = {
        "actions": list(actions),
        "before": before,
        "after": after,
        "after_unknown": {} if unknown is None else unknown,
        "before_sensitive": sensitive,
        "after_sensitive": sensitive if sensitive_after is None else sensitive_after,
    }
    if importing is not None:
        change["importing"] = importing
    kind = address.rpartition("]")[2].rpartition(".")[0] or address.split(".")[-2]
    return {"address": address, "mode": mode, "type": kind, "change": change, **fields}


def plan_bytes(drift: Iterable[Any] = (), changes: Iterable[Any] = (), **fields: Any) -> bytes:
    """A plan that says of itself what Terraform would, unless it is told otherwise; a field that is ``...`` is left out."""
    changes = list(changes)
    document = {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "planned_values": {"root_module": {"resources": [{"values": {"id": 1}}]}},
        "resource_drift": list(drift),
        "resource_changes": changes,
        "configuration": {"root_module": {}},
        "applyable": any(map(_is_shown, changes))
        or bool(fields.get("output_changes") or fields.get("action_invocations")),
        "complete": True,
        "errored": False,
        **fields,
    }
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def _is_shown(change: Any) -> bool:
    to_do = change.get("change", {})
    return to_do.get("actions") != ["no-op"] or "previous_address" in change or "importing" in to_do


def plan(drift: Iterable[Any] = (), changes: Iterable[Any] = (), **fields: Any) -> Plan:
    found = read_plan(plan_bytes(drift, changes, **fields))
    assert isinstance(found, Plan), found
    return found


def inconclusive(document: bytes) -> InconclusivePlan:
    found = read_plan(document)
    assert isinstance(found, InconclusivePlan), found
    return found


def classified(drift: Iterable[Any] = (), changes: Iterable[Any] = (), **fields: Any) -> Classification:
    return classify(plan(drift, changes, **fields))


def only_finding(drift: Iterable[Any] = (), changes: Iterable[Any] = (), **fields: Any) -> Finding:
    [finding] = classified(drift, changes, **fields).findings
    return finding


def three(state: Any, now: Any, after: Any, actions: Sequence[str] = UPDATE, **more: Any) -> Finding:
    """The finding of one object that went from ``state`` to ``now``, of which the apply would make ``after``."""
    return only_finding([resource(UPDATE, state, now)], [resource(actions, now, after, **more)])
