"""The providers' own zips, as their makers signed them, in the layout of a filesystem mirror.

They stay packed. Terraform then unpacks a provider with the modes that its zip has, into the folder of the plan; a file in the
app's folder may have lost its executable bit, and could not be given it there.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

from scripts.package.archive import sha256_of
from scripts.package.errors import PackageError, spelt
from scripts.package.provider_locks import Lock, Provider

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME: Final = frozenset("│╷╵")
_PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "TF_CLI_CONFIG_FILE")
_PASSED_FAMILIES: Final = ("TF_TOKEN_", "TF_REGISTRY_", "HTTP", "NO_PROXY", "SSL_CERT", "http", "no_proxy")


@dataclass(frozen=True, slots=True)
class ProviderPackage:
    """A provider's zip; ``unpacked_bytes`` is what a plan that uses it needs of the disk."""

    provider: Provider
    file: Path
    place: str
    sha256: str
    packed_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where providers come from: mirrors first, each a folder, then their registries, through ``terraform``.

    ``terraform`` is the program of the package. ``work`` is a folder for what is downloaded.
    """

    mirrors: tuple[Path, ...]
    terraform: Path
    work: Path
    platform: str


def provider_packages(needed: dict[Provider, list[Lock]], origin: Origin) -> list[ProviderPackage]:
    """The zip of each provider, each checked against every lock file that names it.

    Raises:
        PackageError: one cannot be had, or a lock file does not have its hash.
    """
    return [_package(provider, locks, origin) for provider, locks in needed.items()]


def _package(provider: Provider, locks: list[Lock], origin: Origin) -> ProviderPackage:
    place = _place(provider, origin.platform)
    mirror = next((mirror for mirror in origin.mirrors if (mirror / place).is_file()), None)
    file = mirror / place if mirror else _downloaded(provider, place, origin)
    sha256 = sha256_of(file)
    try:
        with ZipFile(file) as archive:
            hashes = {f"zh:{sha256}", _content_hash(archive)}
            unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
    except BadZipFile as error:
        raise PackageError(f"{file}: is no zip ({error}). Take it from the mirror, or mirror it again.") from None
    by = f"-fs-mirror={mirror} " if mirror else ""
    for lock in locks:
        if hashes.isdisjoint(lock.providers[provider]):
            raise PackageError(
                f"{file}: {lock.name} has no hash of it for {provider}; its own are {' and '.join(sorted(hashes))}. "
                f"Where it is the one that you want: terraform providers lock {by}-platform={origin.platform} {provider.source}"
            )
    return ProviderPackage(provider, file, place, sha256, file.stat().st_size, unpacked_bytes)


def _place(provider: Provider, platform: str) -> str:
    """Source: https://developer.hashicorp.com/terraform/cli/config/config-file, 'packed layout'."""
    name = provider.source.rpartition("/")[2]
    return f"{provider.source}/terraform-provider-{name}_{provider.version}_{platform}.zip"


def _content_hash(archive: ZipFile) -> str:
    """Terraform's ``h1:``. Source: golang.org/x/mod ``sumdb/dirhash`` ``HashZip``."""
    names = sorted(archive.namelist())
    listed = "".join(f"{hashlib.sha256(archive.read(name)).hexdigest()}  {name}\n" for name in names)
    return f"h1:{base64.b64encode(hashlib.sha256(listed.encode()).digest()).decode()}"


def _downloaded(provider: Provider, place: str, origin: Origin) -> Path:
    """By ``terraform providers mirror``, which checks the registry's signature."""
    mirror, root = origin.work / "mirror", origin.work / "root"
    root.mkdir(exist_ok=True)
    required = {"wanted": {"source": provider.source, "version": f"= {provider.version}"}}
    (root / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}), encoding="utf-8")
    passed = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_FAMILIES)
    }
    command = [str(origin.terraform), "providers", "mirror", f"-platform={origin.platform}", str(mirror)]
    try:
        done = subprocess.run(  # noqa: S603 (the program whose hash was checked)
            command,
            cwd=root,
            env={**passed, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    except OSError as error:
        raise PackageError(
            f"Terraform for {origin.platform} does not run here ({error.strerror}). Build on that."
        ) from None
    if done.returncode != 0 or not (mirror / place).is_file():
        raise PackageError(
            f"{provider}: {_in_no_mirror(provider, origin)}, and cannot be had from its registry: {_said(done.stderr)} "
            f"Elsewhere, `terraform providers mirror DIR` makes a folder of zips for {spelt('mirror', 'DIR')}."
        )
    return mirror / place


def _in_no_mirror(provider: Provider, origin: Origin) -> str:
    """Where it lies unpacked, that too: its zip cannot be made of that. Source: as of `_place`, 'unpacked layout'."""
    for mirror in origin.mirrors:
        unpacked = mirror / provider.source / provider.version / origin.platform
        if unpacked.is_dir():
            return f"is only unpacked in the mirror ({unpacked}), where its zip is needed"
    return "is in no mirror"


def _said(stderr: str) -> str:
    """Terraform's first error, without its colours and its frame."""
    words = [word for word in _COLOUR.sub("", stderr).split() if word not in _FRAME]
    _, _, error = " ".join(words).partition("Error: ")
    return error.partition(" Error: ")[0] or " ".join(words)


def most_unpacked_bytes(locks: Iterable[Lock], packages: Iterable[ProviderPackage]) -> int:
    """What the providers of the one stack that has the largest need of the disk, in each plan."""
    size = {package.provider: package.unpacked_bytes for package in packages}
    return max((sum(size[provider] for provider in lock.providers) for lock in locks), default=0)
