"""The modules that ``terraform init`` installed in a root module's folder.

Source: hashicorp/terraform ``internal/modsdir/manifest.go``.
"""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Final

from pydantic import Field, ValidationError

from adapters.terraform_json import DATA_FOLDER, LeftByTerraform, parsed
from records.errors import BundleError
from records.tracker import ModulePin

MODULES_FOLDER: Final = f"{DATA_FOLDER}/modules"
MANIFEST: Final = f"{MODULES_FOLDER}/modules.json"

_MASK: Final = "***"
_PLAIN_ARGUMENTS: Final = frozenset({"ref", "rev", "depth", "archive", "checksum", "version", "filename"})
"""What go-getter takes in a query and is no credential."""
_PLAIN_VALUE = re.compile(r"[^;=\s]*")
_AZURE_DEVOPS: Final = "dev.azure.com"
_WITH_USERINFO = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<userinfo>[^/?#]+)@(?=(?P<rest>[^?#]*))", re.IGNORECASE
)


class _ManifestRecord(LeftByTerraform):
    key: str = Field(alias="Key")
    source: str = Field(alias="Source")
    version: str = Field(alias="Version", default="")
    folder: str = Field(alias="Dir")


class _Manifest(LeftByTerraform):
    modules: list[_ManifestRecord] = Field(alias="Modules")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledModule:
    """A module call as the manifest has it; ``folder`` is relative to the root module's, ``source`` may hold a secret."""

    name: str
    source: str = field(repr=False)
    version: str | None
    folder: str

    @property
    def package(self) -> str | None:
        """The folder below `MODULES_FOLDER` that Terraform fetched it into; None for a local module."""
        parts = PurePosixPath(normpath(self.folder)).parts
        return parts[2] if parts[:2] == PurePosixPath(MODULES_FOLDER).parts and len(parts) > 2 else None

    @property
    def has_secret(self) -> bool:
        return masked_source(self.source) != self.source


def read_modules(folder: Path) -> tuple[ModulePin, ...]:
    """The module calls of the root module in ``folder`` and those below, by name, without the secrets in their sources.

    Without a manifest there are none: Terraform writes it where a root module calls any.

    Raises:
        BundleError: the manifest cannot be read.
    """
    try:
        return tuple(_pin(module) for module in installed_modules(folder))
    except ValidationError:
        raise BundleError(
            f"{folder / MANIFEST}: a name, source or version is longer than a tracker holds. Shorten it."
        ) from None


def _pin(module: InstalledModule) -> ModulePin:
    source = masked_source(module.source)
    if module.version is None:
        return ModulePin(name=module.name, source=source)
    return ModulePin(name=module.name, source=source, version=module.version)


def installed_modules(folder: Path) -> tuple[InstalledModule, ...]:
    """The module calls as the manifest has them, by name.

    Raises:
        BundleError: the manifest cannot be read.
    """
    manifest = parsed(_Manifest, folder / MANIFEST)
    records = [] if manifest is None else [record for record in manifest.modules if record.key]
    return tuple(
        InstalledModule(
            name=record.key,
            source=record.source,
            version=record.version or None,
            folder=_relative(record.folder, to=folder),
        )
        for record in sorted(records, key=lambda record: record.key)
    )


def manifest_of(modules: tuple[InstalledModule, ...]) -> bytes:
    """The manifest as Terraform would write it, in an order that is always the same: Terraform's own is that of a Go map."""
    root = {"Key": "", "Source": "", "Dir": "."}
    records = [
        {"Key": module.name, "Source": module.source}
        | ({"Version": module.version} if module.version else {})
        | {"Dir": module.folder}
        for module in modules
    ]
    return json.dumps({"Modules": [root, *records]}, separators=(",", ":")).encode()


def masked_source(source: str) -> str:
    """A module's source with ``***`` for every credential in it.

    A user alone is none where the scheme is ssh, where it is ``git``, and where it is the organisation, as in the
    clone URLs of Azure DevOps: ``https://org@dev.azure.com/org/…``.
    """
    address, mark, query = _WITH_USERINFO.sub(_masked_userinfo, source).partition("?")
    return address + mark + "&".join(_masked_argument(argument) for argument in query.split("&"))


def _relative(folder: str, *, to: Path) -> str:
    """An absolute path, which Terraform writes for a local module behind an absolute link, would be nowhere else."""
    return (
        Path(os.path.relpath(os.path.realpath(folder), to.resolve())).as_posix()
        if Path(folder).is_absolute()
        else folder
    )


def _masked_userinfo(match: re.Match[str]) -> str:
    userinfo = match["userinfo"]
    host, _, path = match["rest"].partition("/")
    is_organisation = host.lower() == _AZURE_DEVOPS and path.startswith(f"{userinfo}/")
    is_plain = ":" not in userinfo and (match["scheme"].lower() == "ssh" or userinfo == "git" or is_organisation)
    return match[0] if is_plain else f"{match['scheme']}://{_MASK}@"


def _masked_argument(argument: str) -> str:
    name, mark, value = argument.partition("=")
    if not argument or (name in _PLAIN_ARGUMENTS and _PLAIN_VALUE.fullmatch(value)):
        return argument
    return f"{name}={_MASK}" if mark else _MASK
