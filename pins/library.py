"""The library of modules that an estate stands on: what it owns, and what its tags are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pins.address import PackageSource, Scheme, parse_source
from pins.modules import Module, package_of
from pins.versions import RefKind, Version, read_ref, tag_name
from records.errors import ModuleSourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFile:
    """What ``library.yaml`` says.

    ``owners`` gives for each resource type the modules that own it; ``sources`` the addresses of the library, where its
    repository does not tell them; ``folders`` those of a repository that are the library themselves, relative to its root.
    """

    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryRepository:
    """The library's git repository as it is now: the commit of each tag, the names of its branches, and where it is known.

    ``root`` is the library's folder on this machine, ``top`` the repository's: another one where it holds other things too.
    ``remotes`` are the addresses that the repository is known by. A shallow clone lacks what is before its few commits.
    """

    root: str
    top: str
    tags: Mapping[str, str]
    branches: frozenset[str] = frozenset()
    remotes: tuple[str, ...] = ()
    is_shallow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The repository, the packages (`pins.modules.package_of`) that are this repository, and its releases.

    ``versions`` are by the module's name in the tag, which is empty for tags that name none. ``commits`` are those of the whole
    commits that calls name which the repository has.
    """

    repository: LibraryRepository
    packages: frozenset[str]
    versions: Mapping[str, frozenset[Version]]
    commits: frozenset[str] = frozenset()

    def releases(self, module: Module) -> frozenset[Version]:
        """The versions of a module that the library has tags of; none where it is of another package.

        A module that no tag names, since it is one folder of several, is released with all of them.
        """
        if module.package not in self.packages:
            return frozenset()
        return self.versions.get(module.within) or self.versions.get("", frozenset())

    def commit(self, ref: str) -> str | None:
        """The commit of the tag that a ref names; None where there is no such tag."""
        return self.repository.tags.get(tag_name(ref))

    def is_branch(self, ref: str) -> bool:
        return ref in self.repository.branches


def library_of(repository: LibraryRepository, sources: Iterable[str] = ()) -> Library:
    """The library that this repository is, under its own folder, its remotes, and the addresses that ``library.yaml`` gives."""
    packages = map(package_at, (repository.root, repository.top, *repository.remotes, *sources))
    versions: dict[str, set[Version]] = defaultdict(set)
    for name in map(read_ref, repository.tags):
        if name.version and name.kind is RefKind.VERSION:
            versions[name.module or ""].add(name.version)
    return Library(
        repository=repository,
        packages=frozenset(package for package in packages if package),
        versions={module: frozenset(found) for module, found in versions.items()},
    )


def package_at(address: str) -> str | None:
    """The package at an address as git or Terraform writes it; None where it is neither."""
    for candidate in (address, f"git::{address}"):
        try:
            source = parse_source(candidate)
        except ModuleSourceError:
            continue
        if isinstance(source, PackageSource) and source.scheme is Scheme.GIT:
            return package_of(source)
    return None
