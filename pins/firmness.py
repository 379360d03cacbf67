"""How firmly a module call is pinned: one ordered match, each outcome with its reason.

Source: https://developer.hashicorp.com/terraform/language/modules/sources#selecting-a-revision and
https://developer.hashicorp.com/terraform/language/block/module#version. A branch moves with each commit, ``depth`` pins
nothing, and a ``version`` counts for registries alone. A tag can be moved: docs/pins.md says how that is found.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from posixpath import join, normpath
from typing import Final

from pins.address import LocalSource, PackageSource, RegistrySource, Scheme, Source, parse_source
from pins.constraints import Allowed, read_constraint
from pins.versions import RefKind, read_ref
from records.errors import ModuleSourceError
from records.module_sources import MASK, masked_source


class Firmness(StrEnum):
    """How firmly a call is pinned, the weakest first."""

    FLOATING = "floating"
    UNKNOWN = "unknown"
    LOCAL = "local"
    HARD = "hard"


class Reason(StrEnum):
    """Why a pin is as firm as it is."""

    VERSION_TAG = "version_tag"
    COMMIT = "commit"
    EXACT_VERSION = "exact_version"
    CHECKSUM = "checksum"
    OBJECT_VERSION = "object_version"

    BRANCH = "branch"
    NO_REF = "no_ref"
    LATEST = "latest"
    ABBREVIATED_COMMIT = "abbreviated_commit"
    PARTIAL_VERSION = "partial_version"
    VERSION_RANGE = "version_range"
    NO_VERSION = "no_version"

    INSIDE_REPOSITORY = "inside_repository"

    NO_SOURCE = "no_source"
    NOT_LITERAL = "not_literal"
    MALFORMED_SOURCE = "malformed_source"
    MALFORMED_VERSION = "malformed_version"
    OUTSIDE_REPOSITORY = "outside_repository"
    ABSOLUTE_PATH = "absolute_path"
    ARCHIVE = "archive"
    NO_SUCH_REF = "no_such_ref"
    NOT_RECORDED = "not_recorded"


FIRMNESS_OF: Final[dict[Reason, Firmness]] = {
    **dict.fromkeys(
        (Reason.VERSION_TAG, Reason.COMMIT, Reason.EXACT_VERSION, Reason.CHECKSUM, Reason.OBJECT_VERSION), Firmness.HARD
    ),
    **dict.fromkeys(
        (
            Reason.BRANCH,
            Reason.NO_REF,
            Reason.LATEST,
            Reason.ABBREVIATED_COMMIT,
            Reason.PARTIAL_VERSION,
            Reason.VERSION_RANGE,
            Reason.NO_VERSION,
        ),
        Firmness.FLOATING,
    ),
    Reason.INSIDE_REPOSITORY: Firmness.LOCAL,
    **dict.fromkeys(
        (
            Reason.NO_SOURCE,
            Reason.NOT_LITERAL,
            Reason.MALFORMED_SOURCE,
            Reason.MALFORMED_VERSION,
            Reason.OUTSIDE_REPOSITORY,
            Reason.ABSOLUTE_PATH,
            Reason.ARCHIVE,
            Reason.NO_SUCH_REF,
            Reason.NOT_RECORDED,
        ),
        Firmness.UNKNOWN,
    ),
}


_LOOSE: Final = frozenset({Firmness.FLOATING, Firmness.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Pin:
    """Why a call is pinned as it is, and to what: one version, commit or checksum where it is hard, else as it is written.

    ``source`` is None where the address could not be read. Neither it nor ``pinned_to`` holds a secret.
    """

    reason: Reason
    pinned_to: str | None = None
    source: Source | None = None

    @property
    def firmness(self) -> Firmness:
        return FIRMNESS_OF[self.reason]

    @property
    def is_loose(self) -> bool:
        """Whether it needs a person: it floats, or nobody can say that it does not."""
        return self.firmness in _LOOSE and self.reason is not Reason.NOT_RECORDED

    @property
    def is_by_version(self) -> bool:
        """Whether the call's ``version`` decides, as it does for a registry's module."""
        return isinstance(self.source, RegistrySource)


class NotLiteral(Enum):
    """An argument whose text only an evaluation would know."""

    NOT_LITERAL = "not_literal"


NOT_LITERAL: Final = NotLiteral.NOT_LITERAL
Text = str | NotLiteral | None

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE | re.ASCII)
_ABBREVIATED = re.compile(r"[0-9a-f]{7,63}", re.IGNORECASE | re.ASCII)
_LATEST: Final = frozenset({"latest", "stable", "newest", "current"})


def pin_of(source: Text, version: Text, *, folder: str | None = None) -> Pin:
    """How firmly a call with these arguments is pinned.

    ``folder`` is that of the calling module, relative to the repository's root; None where nobody knows it any more. A ref that
    is masked is taken for a branch, since nobody could be told what it is.
    """
    if source is None:
        return Pin(Reason.NO_SOURCE)
    if isinstance(source, NotLiteral):
        return Pin(Reason.NOT_LITERAL)
    try:
        # What Terraform refuses stays refused, whatever is left of it without its secrets.
        parse_source(source)
        address = parse_source(masked_source(source))
    except ModuleSourceError:
        return Pin(Reason.MALFORMED_SOURCE)
    match address:
        case LocalSource(path):
            return _of_folder(address, path, folder)
        case RegistrySource():
            return _of_version(address, version)
        case PackageSource(scheme=Scheme.GIT | Scheme.MERCURIAL):
            return _of_ref(address, address.ref)
        case PackageSource(scheme=Scheme.OCI):
            digest = _plain(address, "digest")
            return Pin(Reason.CHECKSUM, digest, address) if digest else _of_ref(address, address.ref)
        case PackageSource():
            return _of_archive(address)


def pin_as_deployed(source: str, *, version: str | None, constraint: str | None) -> Pin:
    """How firmly a call was pinned that a tracker tells of.

    ``version`` is what a registry gave. A tracker that was written without ``constraint`` does not say what it was asked for.
    """
    pin = pin_of(source, constraint)
    if pin.is_by_version and constraint is None:
        return Pin(Reason.NOT_RECORDED, version, pin.source)
    return pin


def _of_folder(address: LocalSource, path: str, folder: str | None) -> Pin:
    is_outside = folder is not None and normpath(join(folder, path)).split("/")[0] == ".."
    return Pin(Reason.OUTSIDE_REPOSITORY if is_outside else Reason.INSIDE_REPOSITORY, None, address)


def _of_version(address: RegistrySource, version: Text) -> Pin:
    if isinstance(version, NotLiteral):
        return Pin(Reason.NOT_LITERAL, None, address)
    if version is None or not version.strip():
        return Pin(Reason.NO_VERSION, None, address)
    if version.strip().lower() in _LATEST:
        return Pin(Reason.LATEST, version, address)
    constraint = read_constraint(version)
    if constraint is None or constraint.allowed is Allowed.NONE:
        return Pin(Reason.MALFORMED_VERSION, version, address)
    if constraint.version is None:
        return Pin(Reason.VERSION_RANGE, version, address)
    return Pin(Reason.EXACT_VERSION, str(constraint.version), address)


def _of_ref(address: PackageSource, ref: str | None) -> Pin:
    if not ref:
        return Pin(Reason.NO_REF, None, address)
    if _COMMIT.fullmatch(ref):
        return Pin(Reason.COMMIT, ref.lower(), address)
    if ref.lower().rpartition("/")[2] in _LATEST:
        return Pin(Reason.LATEST, ref, address)
    if _ABBREVIATED.fullmatch(ref):
        return Pin(Reason.ABBREVIATED_COMMIT, ref, address)
    match read_ref(ref).kind:
        case RefKind.VERSION:
            return Pin(Reason.VERSION_TAG, ref, address)
        case RefKind.PARTIAL_VERSION:
            return Pin(Reason.PARTIAL_VERSION, ref, address)
        case RefKind.OTHER:
            return Pin(Reason.BRANCH, ref, address)


def _of_archive(address: PackageSource) -> Pin:
    """Whoever owns the address can put another file there; go-getter checks a ``checksum`` that the address has."""
    checksum = _plain(address, "checksum")
    if checksum and not checksum.startswith("file:"):
        return Pin(Reason.CHECKSUM, checksum, address)
    object_version = {Scheme.S3: "version", Scheme.GCS: "#"}.get(address.scheme)
    generation = _plain(address, object_version) if object_version else None
    if generation:
        return Pin(Reason.OBJECT_VERSION, generation, address)
    return Pin(Reason.ABSOLUTE_PATH if address.scheme is Scheme.FILE else Reason.ARCHIVE, None, address)


def _plain(address: PackageSource, name: str) -> str | None:
    """An argument that is told as it is written; what is masked says nothing of what is fetched."""
    value = address.argument(name)
    return None if value == MASK else value
