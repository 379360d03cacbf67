"""The modules that ``terraform init`` installed in a root module's folder.

Source: hashicorp/terraform ``internal/modsdir/manifest.go``.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Final

from pydantic import Field

from adapters.terraform_json import DATA_FOLDER, LeftByTerraform, parsed
from records.module_sources import holds_credential

MODULES_FOLDER: Final = f"{DATA_FOLDER}/modules"
MANIFEST: Final = f"{MODULES_FOLDER}/modules.json"


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
        return holds_credential(self.source)


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


def _relative(folder: str, *, to: Path) -> str:
    """An absolute path, which Terraform writes for a local module behind an absolute link, would be nowhere else."""
    return (
        Path(os.path.relpath(os.path.realpath(folder), to.resolve())).as_posix()
        if Path(folder).is_absolute()
        else folder
    )
