"""Which files go into a bundle, and under which names; ADR 0009 says why."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Final

from adapters.bundle_unpacking import fault_of_name, shown
from adapters.ignore_files import GIT_FOLDER, GITIGNORE, TRUEUPIGNORE, IgnoreRules
from adapters.provider_locks import LOCK_FILE, check_hashes
from adapters.terraform_json import DATA_FOLDER
from adapters.terraform_modules import (
    MANIFEST,
    MODULES_FOLDER,
    InstalledModule,
    installed_modules,
    manifest_of,
)
from adapters.terraform_secrets import has_name_of_secrets, is_state_or_plan
from records.errors import BundleError

_LOADED = re.compile(r".*\.(tf|tofu)(\.json)?|(terraform|.*\.auto)\.tfvars(\.json)?")
_AUTO_VARIABLES = re.compile(r".*\.auto\.tfvars(\.json)?")
_VARIABLES_PREFIX: Final = "~trueup-"
"""Terraform loads ``*.auto.tfvars`` in the order of their bytes and the last one wins; '~' is the last of ASCII."""
_INIT_ANEW: Final = f"Delete {MODULES_FOLDER} and run `terraform init`"


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of a bundle: its name there, and where its bytes are, or the bytes."""

    name: str
    source: Path | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFiles:
    """The files by name, the root module's folder among them (None where it is the top), and sentences for who deploys."""

    files: tuple[BundleFile, ...]
    root: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Top:
    """A folder whose files go in, no link in its path, and its name in the bundle; without rules nothing is ignored."""

    folder: Path
    name: PurePosixPath
    rules: IgnoreRules | None


def files_of_bundle(folder: Path, *, variable_files: Sequence[Path] = ()) -> BundleFiles:
    """The files that a plan of the root module in ``folder`` needs; ``variable_files`` are those of ``-var-file``, in order.

    Raises:
        BundleError: a file that cannot or must not be in a bundle, or one that a plan needs and that is not there.
    """
    if not folder.is_dir():
        raise BundleError(f"{shown(folder)}: there is no such folder. Give that of the root module.")
    folder, warnings = folder.resolve(), list[str]()
    if not (folder / DATA_FOLDER).is_dir():
        warnings.append(
            "`terraform init` did not run in the root module's folder: if its files call modules, they are not in the bundle, "
            "which cannot be planned then."
        )
    modules = installed_modules(folder)
    local = [folder, *_outside(folder, modules)]
    ancestor = Path(os.path.commonpath(local))
    if ancestor == Path(folder.anchor):
        raise BundleError(f"{shown(folder)}: it shares no folder with a module outside it. Move both under one folder.")
    tops = [_Top(top, PurePosixPath(top.relative_to(ancestor)), IgnoreRules(top)) for top in local]
    root = tops[0].name
    tops += [_package(folder, root, name) for name in sorted({module.package for module in modules if module.package})]
    found: dict[PurePosixPath, Path] = {}
    try:
        for top in tops:
            found |= _walk(top, {*local} - {top.folder}, root, warnings)
    except OSError as error:
        where = shown(error.filename or folder)
        raise BundleError(f"{where}: {error.strerror}. Let the user who runs trueup read it.") from None
    kept = set(found.values())
    files: dict[str, Path | bytes] = {}
    for name, path in found.items():
        files |= {(name / below).as_posix(): file for below, file in _behind(path, kept)}
    _check_complete(files, root, folder, modules)
    files |= _variables(files, root, folder, variable_files)
    if modules:
        files[(root / MANIFEST).as_posix()] = manifest_of(modules)
    return BundleFiles(
        files=tuple(BundleFile(name, files[name]) for name in sorted(files)),
        root=None if root == PurePosixPath() else root.as_posix(),
        warnings=tuple(warnings),
    )


def _outside(folder: Path, modules: Sequence[InstalledModule]) -> list[Path]:
    """The folders of local modules that are outside the root module's."""
    outside = set[Path]()
    for module in modules:
        where = folder / module.folder
        if module.has_secret:
            raise BundleError(
                f"module {module.name}: its source holds a credential, which would be in the bundle for all who can read it. "
                "Take it out of the source and give it to git (`url.<base>.insteadOf`, a credential helper) or a .netrc."
            )
        if not where.is_dir():
            raise BundleError(f"module {module.name}: there is no folder {shown(module.folder)}. {_INIT_ANEW}.")
        if not (module.package or where.resolve().is_relative_to(folder)):
            outside.add(where.resolve())
    return sorted(outside)


def _package(folder: Path, root: PurePosixPath, name: str) -> _Top:
    """What Terraform fetched is as it was fetched; a link, which it makes for an absolute source, is to a folder as any."""
    where = folder / MODULES_FOLDER / name
    rules = IgnoreRules(where.resolve()) if where.is_symlink() else None
    return _Top(where.resolve(), root / MODULES_FOLDER / name, rules)


def _walk(top: _Top, others: set[Path], root: PurePosixPath, warnings: list[str]) -> dict[PurePosixPath, Path]:
    """The files and links of a folder that go in; the ``others`` below it are walked by their own rules."""
    found, pending = dict[PurePosixPath, Path](), [top.folder]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            name, is_link = top.name / path.relative_to(top.folder), path.is_symlink()
            is_folder = path.is_dir() and not is_link
            if path.name in {DATA_FOLDER, GIT_FOLDER} or (not is_folder and has_name_of_secrets(path.name)):
                continue
            rule = top.rules.excluding(path, is_folder=is_folder) if top.rules and name != root / LOCK_FILE else None
            if rule:
                if name.parent == root and rule.ignore_file.name == GITIGNORE and _LOADED.fullmatch(path.name):
                    warnings.append(f"{path.name}, which Terraform loads, is not in the bundle: {rule}")
                continue
            fault = fault_of_name(name.as_posix())
            if not (is_link or is_folder or path.is_file()):
                fault = "it is a pipe, a socket or a device"
            if fault:
                raise BundleError(f"{shown(path)}: {fault}. Rename or delete it, or name it in .trueupignore.")
            if is_folder and path not in others:
                pending.append(path)
            elif is_link or not (is_folder or is_state_or_plan(path)):
                found[name] = path
    return found


def _behind(path: Path, kept: set[Path], trail: tuple[Path, ...] = ()) -> Iterator[tuple[Path, Path]]:
    """What a link leads to, all of which must itself go in: paths below the link's own, and files; a file as it is."""
    if not path.is_symlink():
        yield Path(), path
        return
    try:
        target = Path(os.path.realpath(path, strict=True))
    except OSError:
        raise _bad_link(path, "nothing, or itself") from None
    if target in trail or path.is_relative_to(target):
        raise _bad_link(path, "a folder that it is in")
    inside = sorted(file for file in kept if file.is_relative_to(target))
    if not inside:
        raise _bad_link(path, f"{shown(target)}, of which nothing goes into the bundle")
    for file in inside:
        for below, real in _behind(file, kept, (*trail, target)):
            yield file.relative_to(target) / below, real


def _bad_link(path: Path, target: str) -> BundleError:
    return BundleError(
        f"{shown(path)}: it is a symbolic link to {target}. Replace it by what it should be, or name it in .trueupignore."
    )


def _check_complete(
    files: Mapping[str, Path | bytes], root: PurePosixPath, folder: Path, modules: Sequence[InstalledModule]
) -> None:
    """Refuses a bundle that ``terraform init -lockfile=readonly`` would, or whose providers nothing pins."""
    if not files:
        raise BundleError(f"{shown(folder)}: none of its files go into a bundle. Give the folder of the root module.")
    for module in modules:
        prefix = normpath(root / module.folder)
        if prefix != "." and not any(name.startswith(f"{prefix}/") for name in files):
            raise BundleError(
                f"module {module.name}: nothing of its folder {shown(module.folder)} goes into the bundle. Add a line "
                f"`!/…` for it to {TRUEUPIGNORE}."
            )
    providers = folder / DATA_FOLDER / "providers"
    lock_file = files.get((root / LOCK_FILE).as_posix())
    if isinstance(lock_file, Path):
        check_hashes(lock_file, shown(folder / LOCK_FILE))
    elif providers.is_dir() and any(providers.iterdir()):
        raise BundleError(
            f"{shown(folder / LOCK_FILE)}: it is not there, and a plan of the bundle could use other providers. Commit it, or "
            "run `trueup record` where `terraform init` wrote it."
        )


def _variables(
    files: Mapping[str, object], root: PurePosixPath, folder: Path, given: Sequence[Path]
) -> dict[str, Path | bytes]:
    """The variable files under names that a plain ``terraform plan`` loads after all others, in their order."""
    named: dict[str, Path | bytes] = {}
    for index, path in enumerate(given):
        _check_variable_file(path, folder)
        stem, suffix = (path.name[:-5], ".json") if path.name.endswith(".json") else (path.name, "")
        stem = stem.removesuffix(".tfvars").removesuffix(".auto")
        number = str(index).zfill(len(str(len(given))))
        named[(root / f"{_VARIABLES_PREFIX}{number}-{stem}.auto.tfvars{suffix}").as_posix()] = path.resolve()
    autoloaded = [name for name in files if PurePosixPath(name).parent == root and _AUTO_VARIABLES.fullmatch(name)]
    late = max(autoloaded, default="")
    if named and late >= min(named):
        raise BundleError(f"{shown(late)}: a plan of the bundle would load it after the variable files. Rename it.")
    return named


def _check_variable_file(path: Path, folder: Path) -> None:
    fault = fault_of_name(path.name) or (None if path.is_file() else "there is no such file")
    if fault is None and (has_name_of_secrets(path.name) or is_state_or_plan(path)):
        fault = "it is a state, a plan, or made for secrets"
    if fault:
        raise BundleError(f"{shown(path)}: {fault}. Give the file that `terraform plan -var-file` was given.")
    for place in (path.parent.resolve() / path.name, path.resolve()):
        is_inside = place.is_relative_to(folder)
        rules = IgnoreRules(folder if is_inside else place.parent)
        rule = rules.excluding_from(folder if is_inside else rules.top, place)
        if rule:
            raise BundleError(f"{shown(path)}: it was given as a variable file, and {rule}")
