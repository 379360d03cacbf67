"""What the library's repository says of the refs that calls name: it has the last word on what a name only suggests."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from pins.address import PackageSource, Scheme
from pins.calls import ModuleCall
from pins.configuration import Configuration
from pins.firmness import Pin, Reason
from pins.library import Library
from pins.modules import package_of
from records.errors import ConfigurationError
from records.spelling import visible

_MOST_NAMED: Final = 3


def resolved(call: ModuleCall, library: Library) -> ModuleCall:
    """The call with the pin that it has in the library's repository, where it is of that.

    A name that is a tag and a branch is the branch where it has a ``depth``: Terraform clones with ``--branch`` then, which
    looks for a branch first (hashicorp/go-getter ``get_git.go``); else it checks the name out, which is the tag.
    """
    source = _of_library(call, library)
    if source is None or not source.ref or call.pin.reason not in {Reason.VERSION_TAG, Reason.COMMIT}:
        return call
    reason = _reason(call.pin, source, source.ref, library)
    return call if reason is call.pin.reason else replace(call, pin=replace(call.pin, reason=reason))


def commits_named(calls: Iterable[ModuleCall], library: Library) -> frozenset[str]:
    """The whole commits that calls of the library are pinned to, in lower case."""
    return frozenset(
        source.ref.lower() for source in _sources(calls, library, {Reason.COMMIT}) if source.ref is not None
    )


def check_library(library: Library, calls: Iterable[ModuleCall], configuration: Configuration) -> None:
    """Makes sure that the repository can judge the calls: it is that of some, and has been fetched as far as they name it.

    A folder of the audited repository may be the library too: what is in it is called by its path.

    Raises:
        ConfigurationError: see there; without it, tags that were moved would go by in silence, or all seem to be gone.
    """
    calls = tuple(calls)
    asked = {package_of(source) for call in calls if (source := _git_source(call))}
    where = f"--library {visible(library.repository.root)}"
    if asked and asked.isdisjoint(library.packages) and not _is_inside(library, configuration):
        raise ConfigurationError(
            f"{where}: no call is of this repository, which is {_named(library.packages)}; they are of {_named(asked)}. "
            "Give the folder of the library's own repository, or its addresses as `sources:` in library.yaml."
        )
    missing = {
        source.ref
        for source in _sources(calls, library, {Reason.VERSION_TAG, Reason.COMMIT})
        if source.ref and not _has(library, source.ref)
    }
    if missing and (library.repository.is_shallow or not library.repository.tags):
        kind = "is a shallow clone that lacks" if library.repository.is_shallow else "has no tags, and calls name"
        deepen = " --unshallow" if library.repository.is_shallow else ""
        raise ConfigurationError(
            f"{where}: it {kind} {_named(missing)}. Fetch them: `git fetch --tags{deepen}`; in a pipeline, check the library "
            "out whole (actions/checkout: `fetch-depth: 0`; Azure Pipelines: `fetchDepth: 0` and `fetchTags: true`)."
        )


def _reason(pin: Pin, source: PackageSource, ref: str, library: Library) -> Reason:
    if pin.reason is Reason.COMMIT:
        return Reason.COMMIT if ref.lower() in library.commits else Reason.NO_SUCH_REF
    if library.commit(ref) and not (source.depth and library.is_branch(ref)):
        return Reason.VERSION_TAG
    return Reason.BRANCH if library.is_branch(ref) else Reason.NO_SUCH_REF


def _has(library: Library, ref: str) -> bool:
    return ref.lower() in library.commits or library.commit(ref) is not None or library.is_branch(ref)


def _sources(calls: Iterable[ModuleCall], library: Library, reasons: set[Reason]) -> Iterator[PackageSource]:
    found = (_of_library(call, library) for call in calls if call.pin.reason in reasons)
    return (source for source in found if source)


def _of_library(call: ModuleCall, library: Library) -> PackageSource | None:
    source = _git_source(call)
    return source if source and package_of(source) in library.packages else None


def _git_source(call: ModuleCall) -> PackageSource | None:
    source = call.pin.source
    return source if isinstance(source, PackageSource) and source.scheme is Scheme.GIT else None


def _is_inside(library: Library, configuration: Configuration) -> bool:
    root = library.repository.root
    folders = (f"{file.root}/{file.folder}/" for file in configuration.files)
    return root != library.repository.top and any(folder.startswith(f"{root}/") for folder in folders)


def _named(names: Iterable[str]) -> str:
    """The first few."""
    every = sorted(names)
    more = len(every) - _MOST_NAMED
    return ", ".join(map(visible, every[:_MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")
