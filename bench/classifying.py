"""What finding drift in a large plan costs, against `json.loads` of the same file: seconds, and memory at its peak.

Each is a process of its own: ``python -m bench.classifying ours|json FILE`` does one and prints its seconds.
"""

import json
import mmap
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drift.classify import classify
from drift.plan_json import Plan, read_plan

CHANGED: Final = 5
RULES_A_GROUP: Final = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one way through the file, interpreter and imports in its memory and not in its seconds."""

    seconds: float
    peak_bytes: int


def write_plan(path: Path, size_bytes: int) -> None:
    """A plan of network security groups, a few of which somebody opened, in Terraform's order of keys and without spaces."""
    count = max(size_bytes // sum(map(len, _of_one())), CHANGED)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"format_version":"1.2","terraform_version":"1.11.4","planned_values":{"root_module":{"resources":')
        _write_all(file, (_recorded(number) for number in range(count)))
        file.write('}},"resource_drift":')
        _write_all(
            file, (_change(number, "update", _group(number), _group(number, "Allow")) for number in range(CHANGED))
        )
        file.write(',"resource_changes":')
        _write_all(file, (_planned(number) for number in range(count)))
        file.write(',"prior_state":{"format_version":"1.0","values":{"root_module":{"resources":')
        _write_all(file, (_recorded(number) for number in range(count)))
        file.write('}}},"configuration":{"root_module":{"resources":')
        _write_all(file, (_named(number) | {"expressions": {"name": {}}} for number in range(count // 50)))
        file.write('}},"timestamp":"2026-11-25T06:00:00Z","applyable":true,"complete":true,"errored":false}')


def measure(path: Path, way: str) -> Cost:
    """What one way costs; a process starts it that holds nothing, since the kernel counts what the starter holds."""
    command = [sys.executable, "-m", "bench.peak_memory", sys.executable, "-m", "bench.classifying", way, str(path)]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(seconds=float(finished.stderr), peak_bytes=int(finished.stdout))


def main() -> int:
    way, file = sys.argv[1:]
    started = time.perf_counter()
    if way == "ours":
        found = _ours(Path(file))
    else:
        plan = json.loads(Path(file).read_bytes())
        found = sum(one["change"]["actions"] != ["no-op"] for one in plan["resource_changes"])
    print(time.perf_counter() - started, file=sys.stderr)
    return 0 if found == CHANGED else 1


def _ours(path: Path) -> int:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        with memoryview(mapped) as document:
            plan = read_plan(document)
        assert isinstance(plan, Plan)
        return len(classify(plan).findings)


def _of_one() -> Iterator[str]:
    yield from (_text(_planned(CHANGED)), _text(_recorded(CHANGED)), _text(_recorded(CHANGED)))


def _write_all(file: Any, entries: Iterator[dict[str, Any]]) -> None:
    for number, entry in enumerate(entries):
        file.write(("," if number else "[") + _text(entry))
    file.write("]")


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _named(number: int) -> dict[str, Any]:
    return {
        "address": f'module.market["{number % 50}"].azurerm_network_security_group.this[{number}]',
        "mode": "managed",
        "type": "azurerm_network_security_group",
        "name": "this",
        "index": number,
        "provider_name": "registry.terraform.io/hashicorp/azurerm",
    }


def _recorded(number: int) -> dict[str, Any]:
    return _named(number) | {"schema_version": 0, "values": _group(number), "sensitive_values": _marks()}


def _planned(number: int) -> dict[str, Any]:
    if number < CHANGED:
        return _change(number, "update", _group(number, "Allow"), _group(number))
    return _change(number, "no-op", _group(number), _group(number))


def _change(number: int, action: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    change = {"actions": [action], "before": before, "after": after, "after_unknown": {}}
    return _named(number) | {"change": change | {"before_sensitive": _marks(), "after_sensitive": _marks()}}


def _marks() -> dict[str, Any]:
    rule: dict[str, Any] = {"destination_address_prefixes": [], "source_address_prefixes": []}
    return {"security_rule": [rule] * RULES_A_GROUP, "tags": {}}


def _group(number: int, access: str = "Deny") -> dict[str, Any]:
    rules = [
        {
            "access": access if rule == 0 else "Deny",
            "description": 'what "it" is for\n',
            "destination_address_prefix": "*",
            "destination_address_prefixes": [],
            "destination_port_range": str(number % 65536),
            "direction": "Inbound",
            "name": f"rule-{rule}",
            "priority": 100 + rule,
            "protocol": "Tcp",
            "source_address_prefix": "10.0.0.0/8",
            "source_address_prefixes": [],
            "source_port_range": "*",
        }
        for rule in range(RULES_A_GROUP)
    ]
    group = (
        f"/subscriptions/00000000-0000-0000-0000-{number:012}/resourceGroups/rg-{number}/providers/Microsoft.Network"
    )
    return {
        "id": f"{group}/networkSecurityGroups/nsg-{number}",
        "location": "westeurope",
        "name": f"nsg-{number}",
        "resource_group_name": f"rg-{number}",
        "security_rule": rules,
        "tags": {"env": "prod", "owner": f"team-{number}"},
        "timeouts": None,
    }


if __name__ == "__main__":
    sys.exit(main())
