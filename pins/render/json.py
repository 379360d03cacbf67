"""An audit as JSON: the form that programs read, and the contract of ``--format json``."""

import json
from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from pins.audit import Audit
from pins.calls import ModuleCall, Place
from pins.firmness import Firmness
from pins.forks import Fork
from pins.moved import MovedTag
from pins.spread import ModuleInUse
from records.timestamps import format_utc

SCHEMA_VERSION: Final = 1


def render_json(audit: Audit) -> Iterator[str]:
    """Chunks of one JSON object; an item of a list is a line. ASCII alone, as a lone surrogate is no UTF-8."""
    counts = {str(firmness): audit.counts[firmness] for firmness in Firmness}
    yield f'{{"schema_version": {SCHEMA_VERSION},\n"exit_status": {audit.exit_status},\n"counts": {json.dumps(counts)}'
    yield from _listed("calls", map(_call, audit.calls))
    yield from _listed("modules", map(_module, audit.modules))
    yield from _listed("forks", map(_fork, audit.forks))
    yield from _listed("moved_tags", map(_moved, audit.moved))
    yield from _listed(
        "unread",
        (
            {
                "origin": str(one.origin),
                "path": one.path,
                "line": one.line,
                "trouble": str(one.trouble),
                "why": one.why,
            }
            for one in audit.unread
        ),
    )
    yield "}\n"


def _listed(name: str, items: Iterator[dict[str, JsonValue]]) -> Iterator[str]:
    yield f',\n"{name}": ['
    separator = "\n"
    for item in items:
        yield separator + json.dumps(item)
        separator = ",\n"
    yield "\n]"


def _place(place: Place) -> dict[str, JsonValue]:
    return {
        "origin": str(place.origin),
        "path": place.path,
        "line": place.line,
        "market": place.market,
        "stack": place.stack,
    }


def _call(call: ModuleCall) -> dict[str, JsonValue]:
    module = call.module
    return {
        **_place(call.place),
        "name": call.name,
        "source": call.source,
        "version": call.version,
        "module": module.name if module else None,
        "package": module.package if module else None,
        "firmness": str(call.pin.firmness),
        "reason": str(call.pin.reason),
        "pinned_to": call.pin.pinned_to,
        "deployed_version": call.deployed_version,
        "commit": call.commit,
        "is_fetched": call.is_fetched,
    }


def _module(module: ModuleInUse) -> dict[str, JsonValue]:
    return {
        "module": module.module.name,
        "package": module.module.package,
        "within": module.module.within,
        "newest": module.newest,
        "versions": [
            {
                "pinned_to": version.pinned_to,
                "commit": version.commit,
                "firmness": str(version.firmness),
                "behind": version.behind,
                "since": format_utc(version.since) if version.since else None,
                "user_count": version.user_count,
                "users": list(version.users),
            }
            for version in module.versions
        ],
    }


def _fork(fork: Fork) -> dict[str, JsonValue]:
    return {**_place(fork.place), "address": fork.address, "type": fork.type, "modules": list(fork.modules)}


def _moved(moved: MovedTag) -> dict[str, JsonValue]:
    return {
        "package": moved.package,
        "tag": moved.tag,
        "recorded": [
            {"commit": one.commit, "stack_count": one.stack_count, "stacks": list(one.stacks)} for one in moved.recorded
        ],
        "now": moved.now,
        "is_gone": moved.is_gone,
        "places": [_place(place) for place in moved.places],
    }
