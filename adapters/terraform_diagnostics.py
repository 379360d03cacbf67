"""What Terraform says is wrong, out of its ``-json`` output, and none of the values that it says it with.

A diagnostic's ``snippet`` quotes the configuration; its ``detail`` has whatever a provider, a cloud or the author of a
condition puts there; a provider made with SDK v2 puts the whole error into ``summary``. So ``snippet`` and ``detail`` are
dropped, but for error codes out of a closed list, and a summary keeps its words alone.

Sources: hashicorp/terraform ``website/docs/internals/machine-readable-ui.mdx``, ``internal/command/views/json/diagnostic.go``.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from records.terraform import Diagnostic, Severity

MOST_DIAGNOSTICS: Final = 20
"""Errors first. The first one is what matters; a module that cannot be read can have thousands."""

_LONGEST_LINE_BYTES: Final = 256 * 1024
_LONGEST_SUMMARY: Final = 240
_LONGEST_VARIABLES_BYTES: Final = 1024**2
_SHORTEST_VALUE: Final = 4 + len('""')
_HIDDEN: Final = "…"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"?|'[^']*'|`[^`]*`")
_KEPT_WORD = re.compile(r"[(\[]?[A-Za-z]{1,32}(?:'s|n't)?[)\]]?[.,:;!?]?|\d{1,3}[.,:;)]?|[-…/]")
_AFTER_GOT = re.compile(r"\b(got|was|given|value)\b:? .*", re.IGNORECASE)
_STATUS = re.compile(r"\b(?:status(?: ?code)?|StatusCode)[=: ]{1,2}([45]\d\d)\b")
_SIGN_IN = re.compile(r"\bAADSTS\d{4,8}\b")
_CODES = re.compile(
    r"\b(?:AuthenticationFailed|AuthorizationFailed|AuthorizationPermissionMismatch|AuthorizationFailure|ContainerNotFound"
    r"|InvalidAuthenticationTokenTenant|KeyBasedAuthenticationNotPermitted|LeaseAlreadyPresent|LinkedAuthorizationFailed"
    r"|OperationNotAllowed|ReadOnlyDisabledSubscription|RequestDisallowedByPolicy|ResourceGroupNotFound|ResourceNotFound"
    r"|ScopeLocked|SubscriptionNotFound|SubscriptionRequestsThrottled|TooManyRequests)\b"
)


class _Position(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    line: int


class _Range(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    filename: str
    start: _Position


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    severity: Severity
    summary: str
    detail: str = ""
    address: str | None = None
    range: _Range | None = None


class _Line(BaseModel):
    """One line of the output; the fields of other types of lines are not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    diagnostic: _Said | None = None


def read_diagnostics(stdout: Path, stderr: Path, *, secrets: Iterable[str]) -> tuple[Diagnostic, ...]:
    """What a command said in its two outputs, errors first and in its order, at most `MOST_DIAGNOSTICS`.

    stderr is read for what comes before Terraform knows of ``-json``. ``secrets`` are values that are hidden wherever they are.
    """
    values = sorted(secrets, key=len, reverse=True)
    by_severity: dict[Severity, dict[Diagnostic, None]] = {severity: {} for severity in Severity}
    for said in (*_in_json(stdout), *_in_text(stderr)):
        kept = by_severity[said.severity]
        if len(kept) < MOST_DIAGNOSTICS:
            kept[_without_values(said, values)] = None
    return tuple(one for severity in Severity for one in by_severity[severity])[:MOST_DIAGNOSTICS]


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The words of the first line of a text. What is in quotes, what is told as found, and what is no plain word is hidden."""
    for secret in secrets:
        text = text.replace(secret, f" {_HIDDEN} ")
    line = next(iter(_ANSI.sub("", text).strip().splitlines()), "")[: 4 * _LONGEST_SUMMARY]
    line = _AFTER_GOT.sub(rf"\1 {_HIDDEN}", _QUOTED.sub(f" {_HIDDEN} ", line))
    words: list[str] = []
    for word in line.split():
        kept = word if _KEPT_WORD.fullmatch(word) else _HIDDEN
        if kept != _HIDDEN or words[-1:] != [_HIDDEN]:
            words.append(kept)
    return " ".join(words)[:_LONGEST_SUMMARY]


def _in_json(path: Path) -> Iterator[_Said]:
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE_BYTES):
            if b'"type":"diagnostic"' not in line:
                continue
            try:
                said = _Line.model_validate_json(line).diagnostic
            except ValidationError:
                continue
            if said:
                yield said


def _in_text(path: Path) -> Iterator[_Said]:
    with path.open("rb") as file:
        text = file.read(_LONGEST_LINE_BYTES).decode("utf-8", "replace")
    for line in _ANSI.sub("", text).splitlines():
        begun, found, summary = line.partition("Error: ")
        if found and not begun.strip("│ "):
            yield _Said(severity=Severity.ERROR, summary=summary)


def _without_values(said: _Said, secrets: list[str]) -> Diagnostic:
    place = said.range
    return Diagnostic(
        severity=said.severity,
        summary=masked(said.summary, secrets),
        address=_plain(said.address, secrets) if said.address else None,
        file=_plain(place.filename, secrets) if place else None,
        line=place.start.line if place else None,
        codes=_codes(f"{said.summary}\n{said.detail}"),
    )


def _plain(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return "".join(char if char.isprintable() else "?" for char in text)[:_LONGEST_SUMMARY]


def _codes(text: str) -> tuple[str, ...]:
    statuses = (f"HTTP {status}" for status in _STATUS.findall(text))
    return tuple(sorted({*statuses, *_SIGN_IN.findall(text), *_CODES.findall(text)}))[:MOST_DIAGNOSTICS]


def values_of_variables(root: Path) -> frozenset[str]:
    """The strings in a root module's variable files: values that a provider may give back in words."""
    found: set[str] = set()
    for path in root.iterdir():
        if path.name.endswith((".tfvars", ".tfvars.json")) and path.is_file():
            with path.open("rb") as file:
                text = file.read(_LONGEST_VARIABLES_BYTES).decode("utf-8", "replace")
            found.update(quoted[1:-1] for quoted in _QUOTED.findall(text) if len(quoted) >= _SHORTEST_VALUE)
    return frozenset(found)
