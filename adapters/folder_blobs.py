"""Blobs of an estate in a folder of the same shape: ``DIR/registry``, ``DIR/trackers``, ``DIR/tfstate``, …

What Azure says of a blob is found beside the file: the lock that Terraform's local backend leaves
(``.{file}.lock.info``, hashicorp/terraform ``internal/states/statemgr/filesystem.go``), and snapshots as
``.snapshots/{blob}@{time}``, the time as in ``2026-11-20T05:12:00Z``.
"""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from adapters.account_urls import plain_host
from adapters.blob_store import BlobPart, BlobPlace
from adapters.folder_writing import etag_of, on_disk, write_if_unchanged
from records.errors import (
    BlobChangedError,
    BlobMissingError,
    ContainerMissingError,
    StoreUnavailableError,
)
from records.locks import LOCK_METADATA_KEY, Lock, read_lock
from records.readings import BlobFacts, ContentSighting
from records.timestamps import parse_utc

_SNAPSHOTS: Final = ".snapshots"
_LEFT_BY_THE_LOCAL_BACKEND: Final = ".tfstate.backup"
_LOCK_MAX_BYTES: Final = 64 * 1024
_READ_ATTEMPTS: Final = 5


class FolderBlobStore:
    """A `BlobStore` on a folder, for many processes at once. Files whose names begin with a dot are no blobs.

    The first write to one of the estate's own containers makes its folder, as an estate on disk begins with none. Those that
    are ``made_by_writing`` are empty until then; any other that is not there is an error, as in Azure.
    """

    def __init__(self, root: Path, *, made_by_writing: Collection[str] = ()) -> None:
        self._root = root
        self._made_by_writing = frozenset(made_by_writing)

    async def names(self, *, container: str, prefix: str = "") -> AsyncIterator[str]:
        for name in await asyncio.to_thread(self._names, container, prefix):
            yield name

    async def read(
        self, place: BlobPlace, *, start_byte: int = 0, length_bytes: int, if_match: str | None = None
    ) -> BlobPart:
        return await asyncio.to_thread(self._read, place, start_byte, length_bytes, if_match)

    async def write(
        self,
        place: BlobPlace,
        content: bytes,
        *,
        replaces: str | None,
        media_type: str,  # noqa: ARG002 (a file has none)
    ) -> str:
        return await asyncio.to_thread(self._write, place, content, replaces)

    async def sightings(self, place: BlobPlace) -> tuple[ContentSighting, ...]:
        return await asyncio.to_thread(self._sightings, place)

    async def close(self) -> None:
        """A folder holds nothing open."""

    def _container(self, container: str, account_url: str | None) -> Path:
        """Another account's containers are under ``accounts/{host}``, so that two accounts' keys never meet."""
        base = self._root
        if account_url is not None:
            base = base / "accounts" / plain_host(account_url, place=container)
        folder = base / container
        with _blob_on_disk(container):
            is_the_estates_own = account_url is None
            if not folder.is_dir() and not (is_the_estates_own and container in self._made_by_writing):
                self._refuse_link_to_nothing(folder, container)
                raise ContainerMissingError(container, f"there is no folder {folder}")
        return folder

    def _refuse_link_to_nothing(self, path: Path, place: object) -> None:
        """Such a link is there, or leads there: only what is absent may count as absent."""
        for part in (path, *path.parents):
            if part == self._root:
                return
            if part.is_symlink() and not part.exists():
                raise StoreUnavailableError(str(place), f"{part} is a link that leads to nothing")

    def _names(self, container: str, prefix: str) -> list[str]:
        folder = self._container(container, None)
        with _blob_on_disk(container):
            files = _files_below(folder / prefix.rpartition("/")[0])
            names = [_name(file.relative_to(folder)) for file in files]
        return sorted(name for name in names if name.startswith(prefix) and _is_blob(name))

    def _read(self, place: BlobPlace, start_byte: int, length_bytes: int, if_match: str | None) -> BlobPart:
        path = self._container(place.container, place.account_url) / place.name
        with _blob_on_disk(place):
            if not path.is_file() and not path.is_dir():
                self._refuse_link_to_nothing(path, place)
                if path.exists():
                    raise StoreUnavailableError(str(place), "it is no regular file")
            for _ in range(_READ_ATTEMPTS):
                with path.open("rb") as file:
                    before = os.fstat(file.fileno())
                    md5 = hashlib.file_digest(file, _md5).hexdigest() if start_byte == 0 else None
                    file.seek(start_byte)
                    content = file.read(length_bytes)
                    status = os.fstat(file.fileno())
                if etag_of(before) == etag_of(status):
                    break
            else:
                raise BlobChangedError(str(place), "the file kept changing while it was read")
            lock = _lock_beside(path)
        if if_match not in {None, etag_of(status)}:
            raise BlobChangedError(str(place), "the file changed between two reads")
        return BlobPart(
            content=content,
            facts=BlobFacts(
                name=place.name,
                etag=etag_of(status),
                last_modified=datetime.fromtimestamp(status.st_mtime, UTC),
                size_bytes=status.st_size,
                content_md5=md5,
                lock=lock,
            ),
        )

    def _write(self, place: BlobPlace, content: bytes, replaces: str | None) -> str:
        if not _is_blob(place.name) or place.name != Path(place.name).as_posix() or Path(place.name).is_absolute():
            raise StoreUnavailableError(str(place), "a folder can hold no blob of this name")
        if place.account_url is None and self._root.is_dir():
            folder = self._root / place.container
        else:
            folder = self._container(place.container, place.account_url)
        path = folder / place.name
        with on_disk(place):
            path.parent.mkdir(parents=True, exist_ok=True)
            return write_if_unchanged(path, content, replaces=replaces, place=place)

    def _sightings(self, place: BlobPlace) -> tuple[ContentSighting, ...]:
        folder = self._container(place.container, place.account_url) / _SNAPSHOTS
        snapshots = (folder / place.name).parent
        with _blob_on_disk(place):
            files = sorted(snapshots.iterdir()) if snapshots.is_dir() else []
            found = []
            for file in files:
                name, _, taken_at = file.name.rpartition("@")
                if name == Path(place.name).name:
                    with suppress(ValueError):
                        found.append(ContentSighting(at=parse_utc(taken_at), content_md5=_file_md5(file)))
        return tuple(found)


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file, through links too; a folder that may not be read is an error: passed over, its markets would fall silent."""
    seen = set()
    for where, folders, files in os.walk(folder, onerror=_raise_unless_missing, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(where) / file for file in files)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _name(path: Path) -> str:
    """A file's name as a blob's; bytes that are no UTF-8, which no blob's name can hold, are shown as escapes."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _is_blob(name: str) -> bool:
    is_hidden = any(part.startswith(".") for part in name.split("/"))
    return not is_hidden and not name.endswith(_LEFT_BY_THE_LOCAL_BACKEND)


def _md5() -> "hashlib._Hash":
    """MD5 because that is what Azure keeps of a blob; nothing is secured by it."""
    return hashlib.md5(usedforsecurity=False)


def _file_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def _lock_beside(path: Path) -> Lock | None:
    info = path.with_name(f".{path.name}.lock.info")
    try:
        with info.open("rb") as file:
            described = base64.b64encode(file.read(_LOCK_MAX_BYTES)).decode()
    except FileNotFoundError:
        return None
    return read_lock(leased=True, metadata={LOCK_METADATA_KEY: described})


@contextmanager
def _blob_on_disk(place: object) -> Iterator[None]:
    """As `on_disk`, where a file that is not there is a blob that is missing."""
    with on_disk(place):
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise BlobMissingError(str(place), "no such file") from None
