"""Which providers the package must hold: all that the dependency lock files of an estate name.

A plan check runs ``init -lockfile=readonly``, which takes exactly the versions of the bundle's lock file, checked by hash.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from posixpath import join
from typing import Final
from zipfile import BadZipFile, ZipFile

from adapters.provider_locks import LOCK_FILE
from records.errors import RecordError
from records.names import market_and_stack_of_tracker_blob
from records.tracker import Bundle, parse_tracker
from scripts.package.errors import PackageError

_BLOCK = re.compile(r'^provider "([^"]*)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?/[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9_-]*")
_VERSION = re.compile(r'^\s*version\s*=\s*"([0-9][0-9A-Za-z.+-]*)"', re.MULTILINE)
_HASH = re.compile(r'"((?:h1|zh):[^"]+)"')
_INIT_ANEW: Final = "Run `terraform init` in its root module, and take the file that it writes."


@dataclass(frozen=True, slots=True, order=True)
class Provider:
    """``source`` is the whole address, ``registry.terraform.io/hashicorp/azurerm``."""

    source: str
    version: str

    def __str__(self) -> str:
        return f"{self.source} {self.version}"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file by a name for people, and what it says: of each provider the hashes, as ``zh:…`` and ``h1:…``."""

    name: str
    providers: dict[Provider, frozenset[str]]


def parse_lock(name: str, text: str) -> Lock:
    """A lock file in the form in which Terraform writes it.

    Raises:
        PackageError: it has another form, or an entry has no version or no hash.
    """
    found: dict[Provider, frozenset[str]] = {}
    blocks = _BLOCK.findall(text)
    if len(blocks) != sum(line.lstrip().startswith("provider ") for line in text.splitlines()):
        raise PackageError(f"{name}: is not in the form in which Terraform writes it. {_INIT_ANEW}")
    for source, body in blocks:
        version = _VERSION.search(body)
        hashes = frozenset(_HASH.findall(body))
        if not _SOURCE.fullmatch(source) or version is None or not hashes:
            raise PackageError(f"{name}: its entry {source!r} must have a version and hashes. {_INIT_ANEW}")
        found[Provider(source, version[1])] = hashes
    return Lock(name, found)


def locks_in(place: Path) -> list[Lock]:
    """A lock file, or all below a folder but for those in ``.terraform``.

    Raises:
        PackageError: there is none, or one cannot be read.
    """
    files = [place] if place.is_file() else sorted(place.rglob(LOCK_FILE))
    files = [file for file in files if ".terraform" not in file.relative_to(place).parts]
    if not files:
        raise PackageError(f"{place}: there is no {LOCK_FILE}. Name one, or a folder with some.")
    return [parse_lock(str(file), _text(str(file), file.read_bytes())) for file in files]


@dataclass(frozen=True, slots=True)
class EstateLocks:
    """``left_out`` says of the stacks without a bundle that can be trusted why; their plan checks are inconclusive anyway."""

    locks: list[Lock]
    left_out: list[str]


def locks_of_estate(estate: Path) -> EstateLocks:
    """The lock file of each bundle that a tracker names, of an estate on disk: its containers as folders.

    A bundle without a lock file is one that uses no provider, as Terraform then writes none.

    Raises:
        PackageError: there is no tracker at all.
    """
    trackers = estate / "trackers"
    files = sorted(trackers.rglob("*.json"))
    if not files:
        raise PackageError(f"{trackers}: there is no tracker. Download the containers of the records to {estate}.")
    found = EstateLocks([], [])
    without_bundle: list[Path] = []
    for file in files:
        try:
            bundle = _bundle_of(file, file.relative_to(trackers).as_posix())
            if bundle is None:
                without_bundle.append(file)
            else:
                found.locks.extend(_lock_of_bundle(estate / "bundles" / bundle.blob, bundle))
        except PackageError as error:
            found.left_out.append(str(error))
    if without_bundle:
        found.left_out.append(
            f"{len(without_bundle)} of {len(files)} trackers, such as {without_bundle[0]}: name no bundle. Deploy these stacks "
            "by their pipelines, with `trueup record --bundle`."
        )
    return found


def _bundle_of(file: Path, blob: str) -> Bundle | None:
    named = market_and_stack_of_tracker_blob(blob)
    if named is None:
        raise PackageError(f"{file}: is no tracker by its name. Remove it.")
    try:
        return parse_tracker(file.read_bytes(), market=named[0], stack=named[1], subscription_id=None).bundle
    except RecordError as error:
        raise PackageError(f"{file}: {error}") from None


def _lock_of_bundle(file: Path, bundle: Bundle) -> Iterator[Lock]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PackageError(f"{file}: cannot be read ({error.strerror}). Download it beside the trackers.") from None
    found = hashlib.sha256(content).hexdigest()
    if found != bundle.sha256:
        raise PackageError(f"{file}: its sha256 is {found}, and its tracker names {bundle.sha256}. Download it again.")
    member = join(bundle.root or "", LOCK_FILE)
    try:
        with ZipFile(BytesIO(content)) as archive:
            if member in archive.namelist():
                name = f"{member} in {file}"
                yield parse_lock(name, _text(name, archive.read(member)))
    except BadZipFile as error:
        raise PackageError(f"{file}: is no zip ({error}). Deploy the stack again by its pipeline.") from None


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise PackageError(f"{name}: is not UTF-8. {_INIT_ANEW}") from None


def needed(locks: Iterable[Lock]) -> dict[Provider, list[Lock]]:
    """Each provider once, with all the lock files that name it."""
    found: dict[Provider, list[Lock]] = {}
    for lock in locks:
        for provider in lock.providers:
            found.setdefault(provider, []).append(lock)
    return dict(sorted(found.items()))
