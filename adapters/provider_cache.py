"""Providers that many Terraforms share: packages that are put in place whole and never written again.

Terraform's own plugin cache must not be shared: an `init` writes into it in place, also over a package that another process
is running (hashicorp/terraform#31964, #32915). So each Terraform has a plugin cache of its own, and before its `init` it has
links to the shared packages that its lock file names by hash, where an earlier `init` would have put them. Those it checks
against the lock file and takes; it asks where they come from for a list of versions, and fetches nothing
(``internal/providercache/installer.go``). What it had to install is copied to the shared folder afterwards, under the name of
its hash, by a rename.
"""

import base64
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from adapters.provider_locks import LOCK_FILE

_PROVIDER = re.compile(r'^provider "([^"/]+/[^"/]+/[^"/]+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_VERSION = re.compile(r'^\s*version\s*=\s*"([0-9A-Za-z.+-]+)"', re.MULTILINE)
_PACKAGE_HASH = re.compile(r'"h1:([A-Za-z0-9+/=]{44})"')
_PARTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9_-]*")
_INSTALLED: Final = ".terraform/providers"
_COMING: Final = ".coming-"


def link_providers(shared: Path, root: Path) -> None:
    """Links each shared package that a root module's lock file names by hash into the module."""
    for source, version, hashes in _locked(root / LOCK_FILE):
        for package in sorted((shared / source / version).glob("*@*")):
            platform, _, package_hash = package.name.partition("@")
            link = root / _INSTALLED / source / version / platform
            if package_hash in hashes and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(package.absolute())


def share_providers(cache: Path, shared: Path) -> None:
    """Copies each package that `init` put into a plugin cache, and that is no link, to the shared folder.

    Nothing is an error here: a provider that cannot be shared is installed again.
    """
    for package in sorted(cache.glob("*/*/*/*/*")):
        if package.is_dir() and not package.is_symlink():
            with suppress(OSError):
                _copy(package, shared / package.parent.relative_to(cache))


def package_hash(package: Path) -> str:
    """Terraform's ``h1:`` of an unpacked package, as a file name.

    Source: golang.org/x/mod ``sumdb/dirhash`` ``Hash1``: the sha256 of a list of files with theirs, as sha256sum prints it.
    """
    files = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    listed = "".join(f"{_sha256(package / name)}  {name}\n" for name in files)
    return _as_name(base64.b64encode(hashlib.sha256(listed.encode()).digest()).decode())


def _locked(lock_file: Path) -> Iterator[tuple[str, str, frozenset[str]]]:
    """What a dependency lock file, in the form that Terraform writes, says of each provider."""
    try:
        text = lock_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for source, body in _PROVIDER.findall(text):
        version = _VERSION.search(body)
        if version and _PARTS.fullmatch(source):
            yield source, version[1], frozenset(map(_as_name, _PACKAGE_HASH.findall(body)))


def _copy(package: Path, into: Path) -> None:
    place = into / f"{package.name}@{package_hash(package)}"
    if place.exists():
        return
    into.mkdir(parents=True, exist_ok=True)
    coming = Path(tempfile.mkdtemp(prefix=_COMING, dir=into))
    try:
        shutil.copytree(package, coming / "package")
        os.rename(coming / "package", place)  # noqa: PTH104 (fails where another process was first: a folder that is not empty)
    finally:
        shutil.rmtree(coming, ignore_errors=True)


def _as_name(base64_hash: str) -> str:
    return base64_hash.replace("/", "_").replace("+", "-").rstrip("=")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
