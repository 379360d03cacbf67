"""What a tracker says of the modules that `terraform init` installed: the commit of each, and what was asked for."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from adapters.configuration_folders import read_module
from adapters.git_repository import checked_out_commit
from adapters.terraform_modules import MANIFEST, MODULES_FOLDER, InstalledModule, installed_modules
from pins.address import PackageSource, Scheme, parse_source
from pins.calls import calls_of
from pins.modules import package_of
from records.errors import BundleError, ModuleSourceError
from records.module_sources import masked_source
from records.tracker import MOST_CHARACTERS, ModulePin

_MOST_CHARACTERS_OF_A_VERSION: Final = 256
_CUT: Final = "…"
_Ref = tuple[str, str | None, str | None]


def read_modules(folder: Path) -> tuple[ModulePin, ...]:
    """The module calls of the root module in ``folder`` and those below, by name, without the secrets in their sources.

    Without a manifest there are none: Terraform writes it where a root module calls any. A commit that nobody can tell, and a
    constraint that could not be read, are absent, and a source that is too long for a tracker is cut: a deploy is recorded all
    the same.

    Raises:
        BundleError: the manifest cannot be read.
    """
    modules = installed_modules(folder)
    commits, constraints = _commits(folder, modules), _constraints(folder, modules)
    try:
        return tuple(_pin(module, commits.get(_ref(module)), constraints.get(module.name)) for module in modules)
    except ValidationError:
        raise BundleError(
            f"{folder / MANIFEST}: a name or version is longer than a tracker holds. Shorten it."
        ) from None


def _pin(module: InstalledModule, commit: str | None, constraint: str | None) -> ModulePin:
    said = {"version": module.version, "constraint": constraint, "commit": commit}
    return ModulePin(
        name=module.name,
        source=_fitting(masked_source(module.source)),
        **{name: value for name, value in said.items() if value is not None},
    )


def _fitting(source: str) -> str:
    """Ends in a sign that no version has, so that a ref that was cut is not taken for another one."""
    return source if len(source) <= MOST_CHARACTERS else source[: MOST_CHARACTERS - len(_CUT)] + _CUT


def _commits(folder: Path, modules: tuple[InstalledModule, ...]) -> Mapping[_Ref | None, str]:
    """The commit of each ref of each package.

    Terraform fetches a package once and copies it for its other calls, without ``.git`` (hashicorp/terraform
    ``internal/copy/copy_dir.go``): so one checkout tells of them all.
    """
    commits: dict[_Ref | None, str] = {}
    for module in modules:
        ref = _ref(module)
        if ref is None or ref in commits or module.package is None:
            continue
        commit = checked_out_commit(folder / MODULES_FOLDER / module.package)
        if commit:
            commits[ref] = commit
    return commits


def _ref(module: InstalledModule) -> _Ref | None:
    """A repository, what is asked of it, and the depth, with which a branch goes before a tag; None for what is not in git."""
    try:
        source = parse_source(module.source)
    except ModuleSourceError:
        return None
    is_git = isinstance(source, PackageSource) and source.scheme is Scheme.GIT
    return (package_of(source), source.ref, source.depth) if is_git and isinstance(source, PackageSource) else None


def _constraints(folder: Path, modules: tuple[InstalledModule, ...]) -> Mapping[str, str]:
    """The ``version`` of each call of a registry's module, by the call's path."""
    folders = {module.name: folder / module.folder for module in modules}
    wanted: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        if module.version is not None:
            caller, _, name = module.name.rpartition(".")
            wanted[caller].append(name)
    return {
        name: version
        for caller, names in wanted.items()
        for name, version in _asked_for(caller, names, folders, folder)
    }


def _asked_for(caller: str, names: list[str], folders: Mapping[str, Path], root: Path) -> Iterator[tuple[str, str]]:
    where = folders.get(caller) if caller else root
    if where is None or not where.is_dir():
        return
    for call in calls_of(read_module(where)):
        version = (call.version or "").strip()
        if call.name in names and version and len(version) <= _MOST_CHARACTERS_OF_A_VERSION:
            yield f"{caller}.{call.name}" if caller else call.name, version
