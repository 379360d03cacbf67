"""An audit as SARIF 2.1.0, by which a pull request shows each finding at its line.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html, and
https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning, which takes
no result without a file. So only what stands in a folder's files is a result; what could not be read is one as well, and a
tracker or a bundle that could not be read is a notification.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from pins import wording
from pins.audit import Audit
from pins.calls import Place
from pins.configuration import Origin
from pins.firmness import Firmness
from records.spelling import visible
from records.version import VERSION

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "%SRCROOT%"


class Rule(StrEnum):
    """The kinds of finding, one rule each; the name is the rule's id."""

    FLOATING_PIN = "floating-pin"
    UNKNOWN_PIN = "unknown-pin"
    FORKED_RESOURCE = "forked-resource"
    MOVED_TAG = "moved-tag"
    BEHIND_NEWEST = "behind-newest"
    UNREAD_FILE = "unread-file"


@dataclass(frozen=True, slots=True)
class _Described:
    """``meaning`` is why it matters; ``uri`` a page for whoever sees it in a repository that has none of trueup's own."""

    level: str
    title: str
    meaning: str
    remedy: str
    uri: str


_TERRAFORM: Final = "https://developer.hashicorp.com/terraform/language"
RULES: Final[dict[Rule, _Described]] = {
    Rule.FLOATING_PIN: _Described(
        "error",
        "A module call floats",
        "What is deployed changes with the next commit or release of the module, with no pull request here.",
        wording.REMEDY_OF_A_LOOSE_PIN,
        f"{_TERRAFORM}/modules/sources#selecting-a-revision",
    ),
    Rule.UNKNOWN_PIN: _Described(
        "error",
        "A module call is not known to be pinned",
        "Nobody can tell from the configuration which version of the module is deployed.",
        wording.REMEDY_OF_A_LOOSE_PIN,
        f"{_TERRAFORM}/modules/sources",
    ),
    Rule.FORKED_RESOURCE: _Described(
        "error",
        "A resource is defined outside the library that owns its type",
        "What is defined in two places diverges: a fix of the library's module never reaches this one.",
        wording.REMEDY_OF_A_FORK,
        f"{_TERRAFORM}/modules",
    ),
    Rule.MOVED_TAG: _Described(
        "error",
        "A tag is another commit than was deployed",
        "The same version is other code than the one that people approved.",
        wording.REMEDY_OF_A_MOVED_TAG,
        "https://git-scm.com/docs/git-tag#_on_re_tagging",
    ),
    Rule.BEHIND_NEWEST: _Described(
        "note",
        "A newer version of the module is in use",
        "Others of the estate use a newer version of the module: this one is yet to follow.",
        "Take the newer version, by a pull request of its own.",
        f"{_TERRAFORM}/block/module#version",
    ),
    Rule.UNREAD_FILE: _Described(
        "error",
        "A file could not be read",
        "Whatever it calls or defines was not looked at.",
        "Mend the file: nobody knows what it calls until then.",
        f"{_TERRAFORM}/files",
    ),
}


@dataclass(frozen=True, slots=True)
class _Result:
    rule: Rule
    message: str
    path: str
    line: int | None
    reason: str | None = None


def render_sarif(audit: Audit) -> Iterator[str]:
    """One SARIF log with one run, in ASCII: a name may hold what UTF-8 cannot spell."""
    rules = list(RULES)
    results = sorted(_results(audit), key=lambda one: (one.path, one.line or 0, one.rule, one.message))
    run: dict[str, JsonValue] = {
        "tool": {
            "driver": {
                "name": "trueup",
                "version": VERSION,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": list(_notifications(audit))}],
        "results": [_result(result, rules) for result in results],
    }
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _results(audit: Audit) -> Iterator[_Result]:
    for call in audit.loose:
        rule = Rule.FLOATING_PIN if call.pin.firmness is Firmness.FLOATING else Rule.UNKNOWN_PIN
        yield from _at(call.place, rule, wording.of_call(call), reason=call.pin.reason)
    for fork in audit.forks:
        yield from _at(fork.place, Rule.FORKED_RESOURCE, wording.of_fork(fork))
    for moved in audit.moved:
        for place in moved.places:
            yield from _at(place, Rule.MOVED_TAG, wording.of_moved(moved))
    for unread in audit.unread:
        if unread.origin is Origin.FOLDER:
            yield _Result(Rule.UNREAD_FILE, wording.of_unread(unread), unread.path, unread.line, unread.trouble)
    yield from _behind(audit)


def _behind(audit: Audit) -> Iterator[_Result]:
    behind = {
        (module.module, version.pinned_to): (version.behind, module.newest)
        for module in audit.modules
        for version in module.versions
        if version.behind
    }
    for call in audit.calls:
        found = behind.get((call.module, call.version_in_use)) if call.module else None
        if found:
            releases, newest = found
            message = (
                f"module {visible(call.name)} is {wording.releases(releases)} behind the newest in use, "
                f"{visible(newest or '')}"
            )
            yield from _at(call.place, Rule.BEHIND_NEWEST, message)


def _at(place: Place, rule: Rule, message: str, *, reason: str | None = None) -> Iterator[_Result]:
    if place.origin is Origin.FOLDER:
        yield _Result(rule, message, place.path, place.line, reason)


def _notifications(audit: Audit) -> Iterator[JsonValue]:
    for unread in audit.unread:
        if unread.origin is not Origin.FOLDER:
            yield {"level": "error", "message": {"text": f"{unread.path}: {wording.of_unread(unread)}"}}


def _rule(rule: Rule) -> JsonValue:
    described = RULES[rule]
    return {
        "id": str(rule),
        "shortDescription": {"text": described.title},
        "fullDescription": {"text": described.meaning},
        "help": {"text": f"{described.meaning} {described.remedy}"},
        "helpUri": described.uri,
        "defaultConfiguration": {"level": described.level},
    }


def _result(result: _Result, rules: list[Rule]) -> JsonValue:
    physical: dict[str, JsonValue] = {"artifactLocation": {"uri": quote(result.path), "uriBaseId": _ROOT}}
    if result.line is not None:
        physical["region"] = {"startLine": result.line}
    found: dict[str, JsonValue] = {
        "ruleId": str(result.rule),
        "ruleIndex": rules.index(result.rule),
        "level": RULES[result.rule].level,
        "message": {"text": f"{result.message}. {RULES[result.rule].remedy}"},
        "locations": [{"physicalLocation": physical}],
        "partialFingerprints": {"trueupPin/v1": _fingerprint(result)},
    }
    return found | ({"properties": {"reason": result.reason}} if result.reason else {})


def _fingerprint(result: _Result) -> str:
    """The same while the finding is, wherever in its file the lines move it."""
    return hashlib.sha256("\0".join((result.rule, result.path, result.message)).encode()).hexdigest()
