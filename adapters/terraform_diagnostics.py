"""What Terraform says is wrong, out of its ``-json`` output, and none of the values that it says it with.

A diagnostic's ``snippet`` quotes the configuration; its ``detail`` has whatever a provider, a cloud or the author of a
condition puts there; a provider made with SDK v2 puts the whole error into ``summary``. Nothing in a diagnostic says who wrote
it. So ``snippet`` and ``detail`` are dropped, but for error codes out of a closed list, and a summary keeps, up to its first
colon, the words that are in a vocabulary of ours. A secret of letters alone is no less hidden than any other.

Sources: hashicorp/terraform ``website/docs/internals/machine-readable-ui.mdx``, ``internal/command/views/json/diagnostic.go``.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from records.terraform import Diagnostic, DiagnosticSeverity

MOST_DIAGNOSTICS: Final = 20
"""Errors first. The first one is what matters; a module that cannot be read can have thousands."""

_LONGEST_LINE_BYTES: Final = 256 * 1024
_LONGEST_SUMMARY: Final = 240
_LONGEST_VARIABLES_BYTES: Final = 1024**2
_SHORTEST_VALUE: Final = 4 + len('""')
_HIDDEN: Final = "…"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"?|(?<!\w)'[^']*'|`[^`]*`")
_MARKS: Final = "()[].,;!?"
_ENDINGS: Final = ("'s", "n't")
_AFTER_GOT = re.compile(r"\b(got|given)\b .*", re.IGNORECASE)
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

    severity: DiagnosticSeverity
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
    by_severity: dict[DiagnosticSeverity, dict[Diagnostic, None]] = {severity: {} for severity in DiagnosticSeverity}
    for said in (*_in_json(stdout), *_in_text(stderr)):
        kept = by_severity[said.severity]
        if len(kept) < MOST_DIAGNOSTICS:
            kept[_without_values(said, values)] = None
    return tuple(one for severity in DiagnosticSeverity for one in by_severity[severity])[:MOST_DIAGNOSTICS]


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Of the first line of a text, up to its first colon, the words that `WORDS` has. All else may be a value and is hidden."""
    for secret in secrets:
        text = text.replace(secret, f" {_HIDDEN} ")
    line = next(iter(_ANSI.sub("", text).strip().splitlines()), "")[: 4 * _LONGEST_SUMMARY]
    line, colon, rest = _QUOTED.sub(f" {_HIDDEN} ", line).partition(":")
    words: list[str] = []
    for word in _AFTER_GOT.sub(rf"\1 {_HIDDEN}", line).split():
        kept = word if _is_known(word) else _HIDDEN
        if kept != _HIDDEN or words[-1:] != [_HIDDEN]:
            words.append(kept)
    return " ".join(words)[:_LONGEST_SUMMARY] + (f"{colon} {_HIDDEN}" if rest.strip() else colon)


def _is_known(word: str) -> bool:
    bare = word.strip(_MARKS)
    for ending in _ENDINGS:
        bare = bare.removesuffix(ending)
    return bare in WORDS or (bare == bare.capitalize() and bare.lower() in WORDS)


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
            yield _Said(severity=DiagnosticSeverity.ERROR, summary=summary)


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


_VOCABULARY: Final = """
a about above accepted access accessing according account accounts acquiring across action actions address addresses
after again against all allowed already alternative alternatives ambiguous an and and/or another any API application
applied applies apply applying approval are argument arguments ARM as assert assertion assertions assigned assigning at
attach attaching attempt attempts attribute attributes authenticate authenticating authentication authorization
authorized authorizer automatic available Azure AzureRM backend bad base be bearer because been before being below
between blob block blocks body both bound build building built-in but by cache cached call called calling calls can
canceled cancelled cannot certificate certificates change changed changes changing character characters check checking
checks checksum checksums circular CLI client clients close closed closing cloud code collection combination
combinations command commands complete completed completely completion complex computed condition conditional conditions
config configuration configurations configure configured configuring conflict conflicting conflicts connect connecting
connection connections consistent constraint constraints contact contain container contains content contents context
control conversion convert copying core could count create created creates creating creating/updating creation
credential credentials cross-module currently custom cycle cyclic data deadline declaration declared decode decoding
default defaults deferred define defined definition delete deleted deletes deleting deletion denied dependencies
dependency deployed deploying deployment deployments deposed deprecated deprecation derived describe describing
destination destroy destroyed destroying destruction detected determine did diff different digest directories directory
disabled discover discovering discovery DNS do document does doing domain done download downloaded downloading drift due
duplicate duplicated during dynamic each effect either element elements empty enabled encode encoding encountered
encryption endpoint endpoints enough ensure ensuring entries entry environment ephemeral equal error errors evaluate
evaluating evaluation exceeded exclusive execute executing execution exist existence existent existing exists expand
expanding expected expired expression expressions extra extract failed failing failure failures features fetch fetching
field fields file files filesystem final find finding first flag flatten flattening flow for for_each forbidden force
format formatting found from function functions generate generated generating generation get getting given got grant
granted group groups halted handshake has hash have HCL head header health host hostname HTTP HTTPS ID identified
identifier identifiers identity IDs if ignored image images implementation import imported importing imports in include
included including incompatible incomplete inconsistent incorrect incorrectly index indices ineligible information init
initialisation initialization initialize initialized initializing inner input inputs insecure insert inside install
installation installed installer installing instance instances instantiate instead insufficient integer integration
intended internal interpolation interrupt interrupted into invalid IP is issue issues it item items iterate iteration
its JSON key keys keyword known label labels language large later latest lease least length level lifecycle like limit
limits line lines link linked linking list listing lists load loaded loading local locals locating location lock locked
locking locks log login long longer lookup loop machine made main maintenance malformed managed management manager
manifest manual manually many map mapping maps match matches matching maximum may meet member message messages metadata
method minimum mirror mismatch missing mode modified modify modifying module modules more most move moved moves
multi-line multiple must mutually name named names necessary need needed needs nested network networks new newer next no
non non-existent nonsensitive not null number numbers object objects obtain obtaining occurred of off older on once one
only open opening operand operands operation operations operator operators option optional options or order organization
orphaned other out outdated output outputs outside over override overrides own package packages parameter parameters
parent parse parsing partial partially password passwords path paths peer pending perform performing permission
permissions permitted persist persisting place plan planned planning please plugin plugins policies policy poll polling
populating port possible postcondition precondition prefix preparing present prevent prevented preventing previous prior
private problem problems process processing produce produced produces properties property protected protocol provided
provider providers provision provisioned provisioner provisioners provisioning proxy public query querying quota range
rate reach reached read readable reading ready reason received recommended recover recreate redirect redirected
redirects redundant refer reference referenced references referring refers refresh refreshing refused register
registered registering registration registries registry reinitialization reinitialize reject rejected related release
releases releasing remaining remote remove removed removing rename renamed rendered rendering replace replaced
replacement replacing reporting representation request requested requests require required requirement requirements
requires reserved reset resolve resolved resolving resource resources respond response responses restore restoring
result resulting results retrieve retrieved retrieving retry return returned returns reuse role root rule rules run
running runs runtime same satisfied save saved saving schema schemas scope secret secrets secure see select selected
selecting self self-referential send sending sensitive serial serialize server service services set sets setting
settings setup SHA shared sharing should sign signature signatures signed signing simultaneous since single size skipped
snapshot so some source sources specified specify SSH stale start started starting state statement statements states
static status step still stop stopped storage store stored string strings structure subject submodule subscription
subscriptions successful successfully such suffix support supported supports symbol syntax system table tag tags target
targeting targets template temporarily temporary tenant terminated Terraform than that the their then there they this
throttled time timed timeout timeouts times timestamp TLS to token tokens too trace traversal trusted try trying tuple
type types unable unauthenticated unauthorised unauthorized unavailable unchanged unclosed undeclared undefined under
unexpected unexpectedly unhandled unhealthy uninitialized unique unknown unlock unlocking unmanaged unmarshal
unmarshalling unmatched unnecessary unqualified unreachable unreadable unrecognized unreferenced unresolvable unresolved
unsafe unset unsuitable unsupported unterminated until unusable unused unverified unwrap update updated updates updating
upgrade upgraded upgrading upload uploading upstream URL URLs use used user uses using valid validate validated
validating validation value values variable variables variant verification verified verify verifying version versions
via violation wait waiting warning warnings was weak were when where which while whose will with within without
workspace workspaces would write writing written wrong YAML yet you your zero zone
"""
WORDS: Final = frozenset(_VOCABULARY.split())
"""What Terraform's own summaries are made of, and the verbs and nouns that any error has: no names of things, such as 'Vault'.
A word of it that was chosen for a password says nothing here, since it is shown for what it mostly is.
"""


def values_of_variables(root: Path) -> frozenset[str]:
    """The strings in a root module's variable files: values that a provider may give back in words."""
    found: set[str] = set()
    for path in root.iterdir():
        if path.name.endswith((".tfvars", ".tfvars.json")) and path.is_file():
            with path.open("rb") as file:
                text = file.read(_LONGEST_VARIABLES_BYTES).decode("utf-8", "replace")
            found.update(quoted[1:-1] for quoted in _QUOTED.findall(text) if len(quoted) >= _SHORTEST_VALUE)
    return frozenset(found)
