"""A zip whose bytes follow from its content alone: names sorted, one time, modes that are given and not those on disk.

They follow from the build of zlib too, which Python comes with: another one may compress otherwise.
"""

import hashlib
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

PLAIN: Final = 0o644
EXECUTABLE: Final = 0o755
_UNIX: Final = 3
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the package: its name in it, and its content or where that is. What is compressed already is ``stored``."""

    name: str
    content: Path | bytes
    mode: int = PLAIN
    stored: bool = False


def write_archive(file: Path, entries: Iterable[Entry]) -> None:
    with ZipFile(file, "w") as archive:
        for entry in sorted(entries, key=lambda entry: entry.name):
            info = ZipInfo(entry.name, _EARLIEST)
            info.create_system = _UNIX
            info.external_attr = (stat.S_IFREG | entry.mode) << 16
            info.compress_type = ZIP_STORED if entry.stored else ZIP_DEFLATED
            if isinstance(entry.content, bytes):
                archive.writestr(info, entry.content)
                continue
            info.file_size = entry.content.stat().st_size
            with entry.content.open("rb") as reading, archive.open(info, "w") as writing:
                shutil.copyfileobj(reading, writing, 1024 * 1024)


def sha256_of(file: Path) -> str:
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").hexdigest()
