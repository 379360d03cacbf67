"""Reads the configuration of folders and bundles: every module in them, and the local ones that they call.

A bundle is unpacked for it into a folder that is gone afterwards.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from errno import ELOOP
from pathlib import Path
from posixpath import join, normpath
from typing import Final

from adapters.bundle_unpacking import shown, unpack_bundle
from adapters.configuration_parsing import Broken, Content, Parsed, parse_all
from adapters.ignore_files import GIT_FOLDER
from adapters.terraform_json import DATA_FOLDER
from adapters.terraform_modules import installed_modules
from pins.address import LocalSource, parse_source
from pins.configuration import (
    Block,
    BlockKind,
    Configuration,
    ConfigurationFile,
    Origin,
    Trouble,
    Unread,
)
from records.errors import BundleError, ConfigurationError, ModuleSourceError

_NATIVE: Final = (".tf", ".tofu")
_JSON: Final = (".tf.json", ".tofu.json")
_NOT_CONFIGURATION: Final = frozenset({GIT_FOLDER, DATA_FOLDER})
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
    for place in places:
        if not place.is_dir() and not (place.is_file() and place.suffix == _BUNDLE_SUFFIX):
            raise ConfigurationError(
                f"{shown(place)}: there is no such folder, and no bundle ({_BUNDLE_SUFFIX}) either"
            )
    with tempfile.TemporaryDirectory(prefix="trueup-pins-") as scratch:
        trees, unread, seen = list[_Tree](), list[Unread](), set[Path]()
        for index, place in enumerate(places):
            if place.is_dir():
                trees.append(
                    _Tree(
                        top=place.resolve(), root=repository_root(place), origin=Origin.FOLDER, wanted=wanted, seen=seen
                    )
                )
                continue
            try:
                top = _unpacked(place, Path(scratch) / str(index), wanted.max_bundle_bytes)
            except (BundleError, OSError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                unread.append(
                    Unread(path=place.as_posix(), trouble=Trouble.UNREADABLE, why=why or "", origin=Origin.BUNDLE)
                )
                continue
            trees.append(
                _Tree(top=top, root=top, origin=Origin.BUNDLE, wanted=wanted, seen=seen, bundle=place.as_posix())
            )
        files = tuple(_read(trees))
    return Configuration(files=files, unread=(*unread, *(one for tree in trees for one in tree.unread)))


def _read(trees: Sequence["_Tree"]) -> Iterator[ConfigurationFile]:
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
    wanted = Wanted(max_bundle_bytes=0)
    tree = _Tree(top=folder, root=folder, origin=Origin.FOLDER, wanted=wanted, seen=set())
    loaded = list(tree.module(folder, is_fetched=False))
    files = tuple(tree.files(loaded, parse_all(one.content for one in loaded)))
    return Configuration(files=files, unread=tuple(tree.unread))


def repository_root(place: Path) -> Path:
    """The folder that paths in a report are relative to: the repository's, else the working directory, else ``place``."""
    top = place.resolve()
    for folder in (top, *top.parents):
        if (folder / GIT_FOLDER).exists():
            return folder
    here = Path.cwd().resolve()
    return here if top.is_relative_to(here) else top


def _unpacked(bundle: Path, into: Path, max_bytes: int) -> Path:
    content = bundle.read_bytes()
    unpack_bundle(content, into, sha256=hashlib.sha256(content).hexdigest(), max_bytes=max_bytes)
    return into


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A file as it was read; ``folder`` is the module's, relative to the tree's root."""

    path: str
    folder: str
    content: Content
    is_fetched: bool


@dataclass(slots=True, kw_only=True)
class _Tree:
    """One folder, with all modules in it and those outside it that they call. What was ``seen`` is not read again."""

    top: Path
    root: Path
    origin: Origin
    wanted: Wanted
    seen: set[Path]
    bundle: str | None = None
    unread: list[Unread] = field(default_factory=list)

    def walk(self) -> Iterator[_Loaded]:
        """Every folder below; those behind links last, so that a folder goes by its own path where it has one here."""
        pending, links = [self.top], list[Path]()
        while pending or links:
            folder = pending.pop() if pending else links.pop()
            if not self._is_new(folder):
                continue
            yield from self.module(folder, is_fetched=False)
            for path in reversed(self._entries(folder)):
                if path.name in _NOT_CONFIGURATION or not path.is_dir():
                    continue
                (links if path.is_symlink() else pending).append(path)
            if self.wanted.fetched or self.bundle:
                yield from self._fetched(folder)

    def _fetched(self, folder: Path) -> Iterator[_Loaded]:
        try:
            modules = installed_modules(folder)
        except BundleError as error:
            self._miss(folder / DATA_FOLDER, Trouble.UNREADABLE, str(error))
            return
        for module in modules:
            where = folder / normpath(module.folder)
            if module.package and where.is_dir() and self._is_new(where):
                yield from self.module(where, is_fetched=True)

    def called(self, files: Sequence[ConfigurationFile]) -> Iterator[_Loaded]:
        """The modules that files call by a path and that were not read yet; a source that is overridden calls nothing."""
        overridden = {
            (file.folder, block.name) for file in files if file.is_override for block in file.blocks if block.source
        }
        for file in files:
            for block in file.blocks:
                if file.is_override or (file.folder, block.name) not in overridden:
                    yield from self._called_by(file, block)

    def _called_by(self, file: ConfigurationFile, block: Block) -> Iterator[_Loaded]:
        path = _local_path(block)
        relative = normpath(join(file.folder, path)) if path else ".."
        if path is None or relative.split("/")[0] == "..":
            return
        where = self.root / relative
        if not where.is_dir():
            self.unread.append(
                Unread(
                    path=file.path,
                    trouble=Trouble.MISSING_MODULE,
                    why=f"module {block.name}: there is no folder {shown(path)}",
                    origin=self.origin,
                    line=block.source.line if block.source else block.line,
                )
            )
        elif self._is_new(where):
            yield from self.module(where, is_fetched=file.is_fetched)

    def module(self, folder: Path, *, is_fetched: bool) -> Iterator[_Loaded]:
        """The files of a folder that Terraform loads."""
        for path in self._entries(folder):
            if not _is_loaded(path.name) or path.is_dir():
                continue
            try:
                content = path.read_bytes()
            except OSError as error:
                trouble = Trouble.SYMLINK_LOOP if error.errno == ELOOP else Trouble.UNREADABLE
                self._miss(path, trouble, error.strerror or type(error).__name__)
                continue
            yield _Loaded(
                path=self._shown(path),
                folder=self._relative(folder),
                content=Content(content, path.name.endswith(_JSON), self.wanted.kinds),
                is_fetched=is_fetched,
            )

    def _entries(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except OSError as error:
            self._miss(folder, Trouble.UNREADABLE, error.strerror or type(error).__name__)
            return []

    def _is_new(self, folder: Path) -> bool:
        """Whether this real folder was not read before: a link that leads back up is then the end of the way."""
        try:
            real = Path(os.path.realpath(folder, strict=True))
        except OSError as error:
            trouble = Trouble.SYMLINK_LOOP if error.errno == ELOOP else Trouble.UNREADABLE
            self._miss(folder, trouble, error.strerror or type(error).__name__)
            return False
        is_new = real not in self.seen
        self.seen.add(real)
        return is_new

    def files(
        self, loaded: Sequence[_Loaded], parsed: Mapping[tuple[bytes, bool], Parsed]
    ) -> Iterator[ConfigurationFile]:
        """Those that could be read; the others are ``unread`` from now on."""
        for one in loaded:
            blocks = parsed[one.content.key]
            if isinstance(blocks, Broken):
                self.unread.append(
                    Unread(path=one.path, trouble=blocks.trouble, why=blocks.why, origin=self.origin, line=blocks.line)
                )
                continue
            yield ConfigurationFile(
                origin=self.origin,
                path=one.path,
                folder=one.folder,
                root=self.root.as_posix(),
                blocks=blocks,
                is_fetched=one.is_fetched,
            )

    def _miss(self, path: Path, trouble: Trouble, why: str) -> None:
        self.unread.append(Unread(path=self._shown(path), trouble=trouble, why=why, origin=self.origin))

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.root)).as_posix()

    def _shown(self, path: Path) -> str:
        relative = shown(self._relative(path))
        return f"{self.bundle}/{relative}" if self.bundle else relative


def _is_loaded(name: str) -> bool:
    """Source: hashicorp/terraform ``internal/configs/parser_config_dir.go``, which passes over what editors leave."""
    is_left_by_an_editor = name.startswith((".", "#")) or name.endswith(("~", "#"))
    return name.endswith(_NATIVE + _JSON) and not is_left_by_an_editor


def _local_path(block: Block) -> str | None:
    if block.kind is not BlockKind.MODULE or block.source is None or not isinstance(block.source.text, str):
        return None
    try:
        source = parse_source(block.source.text)
    except ModuleSourceError:
        return None
    return source.path if isinstance(source, LocalSource) else None
