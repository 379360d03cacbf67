"""Reads the configuration of folders and bundles: every module in them, and the local ones that they call.

A bundle is unpacked for it into a folder that is gone afterwards.
"""

import hashlib
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.bundle_unpacking import shown, unpack_bundle
from adapters.configuration_parsing import parse_all
from adapters.configuration_tree import Tree, mode_of
from adapters.ignore_files import GIT_FOLDER
from pins.configuration import BlockKind, Configuration, ConfigurationFile, Origin, Trouble, UnreadPath
from records.errors import BundleError, ConfigurationError

_BUNDLE_SUFFIX: Final = ".zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be read: ``fetched`` is whether what `terraform init` fetched for a folder is too, as it is for a bundle."""

    fetched: bool = False
    kinds: frozenset[BlockKind] = frozenset({BlockKind.MODULE})
    max_bundle_bytes: int


def read_configuration(places: Sequence[Path], wanted: Wanted) -> Configuration:
    """The configuration of these folders and zips.

    Raises:
        ConfigurationError: one of them is not there, or is neither.
    """
    folders = [_is_folder_or_bundle(place) for place in places]
    with tempfile.TemporaryDirectory(prefix="trueup-pins-") as scratch:
        trees, unread, seen = list[Tree](), list[UnreadPath](), set[Path]()
        for index, (place, is_folder) in enumerate(zip(places, folders, strict=True)):
            top, root, bundle = place.resolve(), repository_root(place), None
            if not is_folder:
                top = root = Path(scratch).resolve() / str(index)
                bundle = place.as_posix()
                try:
                    _unpack(place, top, wanted.max_bundle_bytes)
                except (BundleError, OSError) as error:
                    why = (error.strerror if isinstance(error, OSError) else str(error)) or ""
                    unread.append(UnreadPath(path=bundle, trouble=Trouble.UNREADABLE, why=why, origin=Origin.BUNDLE))
                    continue
            trees.append(
                Tree(
                    top=top,
                    root=root,
                    origin=Origin.BUNDLE if bundle else Origin.FOLDER,
                    kinds=wanted.kinds,
                    reads_fetched=wanted.fetched or bundle is not None,
                    seen=seen,
                    bundle=bundle,
                )
            )
        files = tuple(_read(trees))
    told = dict.fromkeys((*unread, *(one for tree in trees for one in tree.unread)))
    return Configuration(files=files, unread=tuple(told))


def _is_folder_or_bundle(place: Path) -> bool:
    """Whether it is a folder, and not a bundle.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        mode = mode_of(place)
    except OSError as error:
        raise ConfigurationError(
            f"{shown(place)}: it cannot be read ({error.strerror}). Let the user who runs trueup read it."
        ) from None
    if not stat.S_ISDIR(mode) and not (stat.S_ISREG(mode) and place.suffix == _BUNDLE_SUFFIX):
        raise ConfigurationError(f"{shown(place)}: there is no such folder, and no bundle ({_BUNDLE_SUFFIX}) either")
    return stat.S_ISDIR(mode)


def _read(trees: Sequence[Tree]) -> Iterator[ConfigurationFile]:
    """Parses the files of all trees together, then those of the modules that they call, until none is new."""
    loaded = [(tree, list(tree.walk())) for tree in trees]
    while any(files for _, files in loaded):
        parsed = parse_all(one.content for _, files in loaded for one in files)
        read = [(tree, list(tree.files(files, parsed))) for tree, files in loaded]
        for _, files in read:
            yield from files
        loaded = [(tree, list(tree.called(files))) for tree, files in read]


def read_module(folder: Path) -> Configuration:
    """The module calls of one folder alone."""
    kinds = frozenset({BlockKind.MODULE})
    tree = Tree(top=folder, root=folder, origin=Origin.FOLDER, kinds=kinds, reads_fetched=False, seen=set())
    loaded = list(tree.module(folder, is_fetched=False))
    files = tuple(tree.files(loaded, parse_all(one.content for one in loaded)))
    return Configuration(files=files, unread=tuple(tree.unread))


def repository_root(place: Path) -> Path:
    """The folder that paths in a report are relative to: the repository's, else the working directory, else ``place``."""
    top = place.resolve()
    for folder in (top, *top.parents):
        with suppress(OSError):
            if mode_of(folder / GIT_FOLDER):
                return folder
    here = Path.cwd().resolve()
    return here if top.is_relative_to(here) else top


def _unpack(bundle: Path, into: Path, max_bytes: int) -> None:
    content = bundle.read_bytes()
    unpack_bundle(content, into, sha256=hashlib.sha256(content).hexdigest(), max_bytes=max_bytes)
