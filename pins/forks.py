"""Resources that are defined outside the library although it has a module for them.

Where the same thing is defined in two places, the two will have diverged within months.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import join, normpath

from pins.calls import Place
from pins.configuration import BlockKind, Configuration, ConfigurationFile, Origin
from pins.library import LibraryFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A resource that ``modules`` of the library own the type of, defined at ``place``."""

    place: Place
    type: str
    name: str
    modules: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"{self.type}.{self.name}"


def forks_in(configuration: Configuration, library: LibraryFile, *, library_root: str | None = None) -> Iterator[Fork]:
    """``library_root`` is the library's own folder, whose resources are no forks."""
    for file in configuration.files:
        if file.is_fetched or _is_of_the_library(file, library, library_root):
            continue
        for block in file.blocks:
            owners = library.owners.get(block.type or "", ())
            if block.kind is BlockKind.RESOURCE and block.type and owners:
                yield Fork(
                    place=Place(origin=file.origin, path=file.path, line=block.line),
                    type=block.type,
                    name=block.name,
                    modules=owners,
                )


def _is_of_the_library(file: ConfigurationFile, library: LibraryFile, library_root: str | None) -> bool:
    if file.origin is not Origin.FOLDER:
        return False
    where = normpath(join(file.root, file.folder))
    folders = [normpath(join(file.root, folder)) for folder in library.folders]
    return any(where == folder or where.startswith(f"{folder}/") for folder in (*folders, library_root) if folder)
