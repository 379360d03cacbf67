"""Names a drift by what it is, so that the same one is known again tomorrow, on another machine, or in another market.

A fingerprint is stored in tables and sent in messages. A sensitive value goes into it as a mark and not as a hash: whoever has
the fingerprint and the other values could try out every short password against a hash; and a salt, to be the same tomorrow,
would have to be stored too. So two changes of one secret have one fingerprint; the job's serial tells them apart.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Final

from pydantic import JsonValue

from records.findings import AttributeChange, Finding

_ASIDE: Final = "*"
_ATTRIBUTE_DIGITS: Final = 16
_BELOW: Final = re.compile(r"[.\[]")
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def fingerprint(findings: Iterable[Finding]) -> str:
    """The sha256, in hexadecimal, of addresses, paths and values before and after, whatever order they come in."""
    lines = sorted({line for finding in findings for line in _lines(finding)})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fleet_fingerprint(findings: Iterable[Finding], *, names: Iterable[str]) -> str:
    """The fingerprint with a market's own names set aside, so that what befell many markets at once is seen to be one thing.

    So is what is there now: a policy may write another value in each market, and is one event all the same.
    ``names`` are the market's, the stack's and others by which one market differs from the next. They count as whole words,
    in any case; so does every UUID, since a subscription's is in every resource id.
    """
    own = re.compile(_pattern(names), re.IGNORECASE)
    return fingerprint(_set_aside(finding, own) for finding in findings)


def attribute_fingerprints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The name of each attribute that is put back, whatever stands there now and wherever below it; sorted, each once.

    By these a drift is known again whose value is another each time, or beside which something else has drifted. A resource
    that is made anew has one name for all.
    """
    names = {_text([finding.address, finding.deposed, name]) for finding in findings for name in _put_back(finding)}
    return tuple(sorted(hashlib.sha256(name.encode()).hexdigest()[:_ATTRIBUTE_DIGITS] for name in names))


def _put_back(finding: Finding) -> Iterable[str]:
    if finding.actions == ("create",):
        return [""]
    return {_BELOW.split(attribute.path, maxsplit=1)[0] for attribute in finding.attributes} or [""]


def _lines(finding: Finding) -> Iterable[str]:
    name: list[JsonValue] = [finding.address, finding.deposed]
    return [_text(name), *(_text([*name, *_parts(attribute)]) for attribute in finding.attributes)]


def _parts(attribute: AttributeChange) -> list[JsonValue]:
    if attribute.sensitive:
        return [attribute.path, "sensitive"]
    return [attribute.path, _canonical(attribute.before), _canonical(attribute.after)]


def _text(value: list[JsonValue]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _canonical(value: JsonValue) -> JsonValue:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _canonical(below) for key, below in value.items() if below is not None}
        case list():
            return [_canonical(below) for below in value]
        case _:
            return value


def _pattern(names: Iterable[str]) -> str:
    longest_first = sorted({name for name in names if name}, key=lambda name: (-len(name), name))
    return rf"(?<![a-z0-9])(?:{'|'.join([_UUID, *map(re.escape, longest_first)])})(?![a-z0-9])"


def _set_aside(finding: Finding, own: re.Pattern[str]) -> Finding:
    attributes = (
        attribute.model_copy(
            update={
                "path": own.sub(_ASIDE, attribute.path),
                "before": None,
                "after": _without(attribute.after, own),
            }
        )
        for attribute in finding.attributes
    )
    return finding.model_copy(update={"address": own.sub(_ASIDE, finding.address), "attributes": tuple(attributes)})


def _without(value: JsonValue, own: re.Pattern[str]) -> JsonValue:
    match value:
        case str():
            return own.sub(_ASIDE, value)
        case dict():
            return {own.sub(_ASIDE, key): _without(below, own) for key, below in value.items()}
        case list():
            return [_without(below, own) for below in value]
        case _:
            return value
