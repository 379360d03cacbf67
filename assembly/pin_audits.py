"""Puts an audit of module pins together: of folders and bundles, of what is deployed, and of the library that both call."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from adapters.bundle_unpacking import shown
from adapters.configuration_folders import Wanted, read_configuration, repository_root
from adapters.git_repository import commits_there, read_library
from adapters.library_file import read_library_file
from assembly.deployed_modules import TrackedCalls
from pins.audit import Audit, audit
from pins.calls import ModuleCall, calls_of
from pins.configuration import BlockKind, Configuration
from pins.library import Library, LibraryFile, library_of
from pins.refs import check_library, commits_named
from records.errors import ConfigurationError

_LIBRARY_FILE: Final = "library.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPaths:
    """Where the library is: its ``repository``, which tells tags that were moved, and its ``file``, which tells forks."""

    repository: Path | None
    file: Path | None

    def read_file(self) -> LibraryFile | None:
        """The file that is named, else the one in the repository, if it is there.

        Raises:
            ConfigurationError: it cannot be read.
        """
        if self.file:
            return read_library_file(self.file)
        in_repository = self.repository / _LIBRARY_FILE if self.repository else None
        return read_library_file(in_repository) if in_repository and in_repository.is_file() else None


def audit_pins(
    places: Sequence[Path],
    deployed: TrackedCalls | None,
    library: LibraryPaths,
    *,
    fetched: bool,
    max_bundle_bytes: int,
    on_nothing_in: Callable[[Path], None],
) -> Audit:
    """What is to be said of these folders and bundles, and of what trackers tell; ``deployed`` is None where none was read.

    ``fetched`` is whether modules that `terraform init` fetched are looked into; ``on_nothing_in`` is told each folder that
    holds no configuration, beside others that do.

    Raises:
        ConfigurationError: a place or the library cannot be read, or no place holds configuration and no trackers were read.
    """
    file = library.read_file()
    kinds = frozenset(BlockKind) if file else frozenset({BlockKind.MODULE})
    wanted = Wanted(fetched=fetched, kinds=kinds, max_bundle_bytes=max_bundle_bytes)
    configuration = read_configuration(places, wanted) if places else Configuration()
    empty = [place for place in places if not _holds_any(place, configuration)]
    if deployed is None and len(empty) == len(places):
        raise ConfigurationError(
            f"{', '.join(map(shown, places))}: there is no configuration in it. Name the folder of the root modules."
        )
    for place in empty:
        on_nothing_in(place)
    calls = deployed or TrackedCalls()
    return audit(
        configuration,
        deployed=calls.calls,
        unread=calls.unread,
        file=file,
        library=_read_library(library.repository, file, configuration, calls.calls) if library.repository else None,
    )


def _read_library(
    repository: Path, file: LibraryFile | None, configuration: Configuration, deployed: Iterable[ModuleCall]
) -> Library:
    """Raises:
    ConfigurationError: it cannot be read, or cannot judge the calls.
    """
    calls = (*calls_of(configuration), *deployed)
    library = library_of(read_library(repository), file.sources if file else ())
    library = replace(library, commits=commits_there(repository, commits_named(calls, library)))
    check_library(library, calls, configuration)
    return library


def _holds_any(place: Path, configuration: Configuration) -> bool:
    """Whether anything was found in a folder, which may have been named by its fault alone; a bundle tells of itself."""
    top = place.resolve()
    read = (Path(file.root, file.path) for file in configuration.files)
    missed = (Path(repository_root(place), unread.path) for unread in configuration.unread)
    return not place.is_dir() or any(path.is_relative_to(top) for paths in (read, missed) for path in paths)
