"""Writes files so that whoever reads one sees its old content or its new, and of many writers one goes at a time."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from filelock import BaseFileLock, FileLock, Timeout

from records.errors import AccessDeniedError, BlobChangedError, StoreUnavailableError

_LOCK_WAIT_SECONDS: Final = 30
_LOCK_POLL_SECONDS: Final = 0.01


def etag_of(status: os.stat_result) -> str:
    """Stands for one write of one file: by `write_if_unchanged` no two have the same."""
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"'


def locked(lock_file: Path) -> BaseFileLock:
    """Keeps all others out while its block lasts, for milliseconds.

    The file stays, as removing it would let two hold two locks of one name.

    Raises:
        OSError: on entering; also `filelock.Timeout`, where another stays for half a minute.
    """
    return FileLock(lock_file, timeout=_LOCK_WAIT_SECONDS, poll_interval=_LOCK_POLL_SECONDS)


def write_if_unchanged(path: Path, content: bytes, *, replaces: str | None, place: object) -> str:
    """Writes the file in place of the one whose ETag is ``replaces``, None for no file; returns its ETag.

    Raises:
        BlobChangedError: there is another file, with another content, or one that is gone.
        StoreUnavailableError: it is a folder, a pipe or the like.
        OSError
    """
    with locked(path.with_name(f".{path.name}.lock")):
        present = path.stat() if path.exists() else None
        if present and not path.is_file():
            raise StoreUnavailableError(str(place), "it is no regular file")
        present_etag = etag_of(present) if present else None
        if present_etag == replaces:
            return etag_of(replace_file(path, content, present))
        if present_etag and path.read_bytes() == content:
            return present_etag
    raise BlobChangedError(str(place), "the file is not the one that was to be replaced")


def replace_file(path: Path, content: bytes, present: os.stat_result | None = None) -> os.stat_result:
    """Puts a whole file in place by a rename; it is younger than the ``present`` one by a nanosecond at least.

    The time is the process's own: the file system's clock stands still for milliseconds.
    """
    new = path.with_name(f".{uuid4().hex}.new")
    try:
        with new.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        modified_at = max(time.time_ns(), present.st_mtime_ns + 1 if present else 0)
        os.utime(new, ns=(modified_at, modified_at))
        status = new.stat()
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return status


@contextmanager
def on_disk(place: object) -> Iterator[None]:
    """Turns what the file system says inside into a `StoreError` about ``place``."""
    try:
        yield
    except Timeout:
        raise StoreUnavailableError(
            str(place), f"another process has had its lock file for {_LOCK_WAIT_SECONDS} s"
        ) from None
    except PermissionError:
        raise AccessDeniedError(str(place), "its file or folder may not be read or written") from None
    except OSError as error:
        raise StoreUnavailableError(str(place), error.strerror or type(error).__name__) from None
