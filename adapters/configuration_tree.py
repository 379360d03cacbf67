"""One folder, with every module in it and the local ones that they call, read file by file and never out of its repository.

Whatever is in the way (a pipe, a device, a loop, a folder that may not be entered) costs itself alone, and is told.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from errno import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from pathlib import Path
from posixpath import join, normpath
from typing import Final

from adapters.bundle_unpacking import shown
from adapters.configuration_parsing import MOST_BYTES, Broken, Content, Parsed, too_large
from adapters.ignore_files import GIT_FOLDER
from adapters.terraform_json import DATA_FOLDER
from adapters.terraform_modules import installed_modules
from pins.address import LocalSource, parse_source
from pins.configuration import Block, BlockKind, ConfigurationFile, Origin, Trouble, UnreadPath
from records.errors import BundleError, ModuleSourceError
from records.spelling import visible

_NATIVE: Final = (".tf", ".tofu")
_JSON: Final = (".tf.json", ".tofu.json")
_NOT_CONFIGURATION: Final = frozenset({GIT_FOLDER, DATA_FOLDER})
_NOTHING_THERE: Final = frozenset({ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG})
_MOST_CHARACTERS_SHOWN: Final = 256


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file as it was read; ``folder`` is the module's, relative to the tree's root."""

    path: str
    folder: str
    content: Content
    is_fetched: bool


@dataclass(slots=True, kw_only=True)
class Tree:
    """One folder, with all modules in it and those outside it that they call. What was ``seen`` is not read again.

    ``root`` is a real path: nothing behind a link out of it is read.
    """

    top: Path
    root: Path
    origin: Origin
    kinds: frozenset[BlockKind]
    reads_fetched: bool
    seen: set[Path]
    bundle: str | None = None
    unread: list[UnreadPath] = field(default_factory=list)

    def walk(self) -> Iterator[Loaded]:
        """Every folder below; those behind links last, so that a folder goes by its own path where it has one here."""
        pending, links = [self.top], list[Path]()
        while pending or links:
            folder = pending.pop() if pending else links.pop()
            if not self._is_new(folder):
                continue
            entries = self._entries(folder)
            yield from self._files(folder, entries, is_fetched=False)
            for entry in reversed(entries):
                path = folder / entry.name
                if entry.name in _NOT_CONFIGURATION:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.is_symlink() and self._is_folder(path):
                    links.append(path)
            if self.reads_fetched:
                yield from self._fetched(folder)

    def _fetched(self, folder: Path) -> Iterator[Loaded]:
        try:
            modules = installed_modules(folder)
        except BundleError as error:
            self._miss(folder / DATA_FOLDER, Trouble.UNREADABLE, str(error))
            return
        except ValueError:
            self._miss(folder / DATA_FOLDER, Trouble.UNREADABLE, "its manifest names a folder that no file system has")
            return
        for module in modules:
            where = folder / normpath(module.folder)
            if module.package and self._is_folder(where) and self._is_new(where):
                yield from self.module(where, is_fetched=True)

    def called(self, files: Sequence[ConfigurationFile]) -> Iterator[Loaded]:
        """The modules that files call by a path and that were not read yet; a source that is overridden calls nothing."""
        overridden = {
            (file.folder, block.name) for file in files if file.is_override for block in file.blocks if block.source
        }
        for file in files:
            for block in file.blocks:
                if file.is_override or (file.folder, block.name) not in overridden:
                    yield from self._called_by(file, block)

    def _called_by(self, file: ConfigurationFile, block: Block) -> Iterator[Loaded]:
        path = _local_path(block)
        relative = normpath(join(file.folder, path)) if path else ".."
        if path is None or relative.split("/")[0] == "..":
            return
        where = self.root / relative
        is_folder = self._is_folder(where)
        if is_folder is False:
            self.unread.append(
                UnreadPath(
                    path=file.path,
                    trouble=Trouble.MISSING_MODULE,
                    why=f"module {block.name}: there is no folder {_cut(visible(path))}",
                    origin=self.origin,
                    line=block.source.line if block.source else block.line,
                )
            )
        elif is_folder and self._is_new(where):
            yield from self.module(where, is_fetched=file.is_fetched)

    def module(self, folder: Path, *, is_fetched: bool) -> Iterator[Loaded]:
        """The files of a folder that Terraform loads."""
        yield from self._files(folder, self._entries(folder), is_fetched=is_fetched)

    def _files(self, folder: Path, entries: Sequence[os.DirEntry[str]], *, is_fetched: bool) -> Iterator[Loaded]:
        for entry in entries:
            if not _is_loaded(entry.name) or entry.is_dir(follow_symlinks=False):
                continue
            path = folder / entry.name
            content = self._content(path)
            if content is not None:
                yield Loaded(
                    path=self._shown(path),
                    folder=self._relative(folder),
                    content=Content(content, entry.name.endswith(_JSON), self.kinds),
                    is_fetched=is_fetched,
                )

    def _content(self, path: Path) -> bytes | None:
        """A file's bytes; None for a folder, and where it is not read: a pipe has no end, nor has a device."""
        try:
            found = path.stat()
            if stat.S_ISDIR(found.st_mode):
                return None
            if not stat.S_ISREG(found.st_mode):
                self._miss(path, Trouble.UNREADABLE, "it is no plain file")
                return None
            if found.st_size <= MOST_BYTES:
                with path.open("rb") as file:
                    content = file.read(MOST_BYTES + 1)
                if len(content) <= MOST_BYTES:
                    return content
            broken = too_large(max(found.st_size, MOST_BYTES + 1), MOST_BYTES)
            self._miss(path, broken.trouble, broken.why)
        except OSError as error:
            self._miss_by(path, error)
        return None

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._miss_by(folder, error)
            return []

    def _is_folder(self, path: Path) -> bool | None:
        """None where the file system does not say, which is told."""
        try:
            return stat.S_ISDIR(mode_of(path))
        except OSError as error:
            self._miss_by(path, error)
            return None

    def _is_new(self, folder: Path) -> bool:
        """Whether this real folder was not read before, and is below the root: a link that leads back up or out ends there."""
        try:
            real = Path(os.path.realpath(folder, strict=True))
        except OSError as error:
            self._miss_by(folder, error)
            return False
        if real in self.seen:
            return False
        self.seen.add(real)
        if not real.is_relative_to(self.root):
            self._miss(folder, Trouble.OUTSIDE_REPOSITORY, "it is a link to a folder outside the repository")
            return False
        return True

    def files(
        self, loaded: Sequence[Loaded], parsed: Mapping[tuple[bytes, bool], Parsed]
    ) -> Iterator[ConfigurationFile]:
        """Those that could be read; the others are ``unread`` from now on."""
        for one in loaded:
            blocks = parsed[one.content.key]
            if isinstance(blocks, Broken):
                self.unread.append(
                    UnreadPath(
                        path=one.path, trouble=blocks.trouble, why=blocks.why, origin=self.origin, line=blocks.line
                    )
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

    def _miss_by(self, path: Path, error: OSError) -> None:
        trouble = Trouble.SYMLINK_LOOP if error.errno == ELOOP else Trouble.UNREADABLE
        self._miss(path, trouble, error.strerror or type(error).__name__)

    def _miss(self, path: Path, trouble: Trouble, why: str) -> None:
        self.unread.append(UnreadPath(path=self._shown(path), trouble=trouble, why=why, origin=self.origin))

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


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS_SHOWN else f"{text[:_MOST_CHARACTERS_SHOWN]}…"


def mode_of(path: Path) -> int:
    """What is there, links followed; 0 where nothing is, or can be: a name that is too long, or that no file system has.

    Raises:
        OSError: the file system does not say.
    """
    try:
        return path.stat().st_mode
    except ValueError:
        return 0
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return 0
        raise
