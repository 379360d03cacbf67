"""Unpacks a bundle, and says which names can be in one: what cannot be unpacked is never packed.

A bundle comes out of storage. Its hash says that it is the one that the tracker names, and not that whoever wrote both
meant well, so every entry is checked before anything is written.
"""

import hashlib
import io
import os
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Final

from records.errors import BundleError

PLAIN_MODE: Final = 0o644
EXECUTABLE_MODE: Final = 0o755

_READABLE: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")
_DEPLOY_AGAIN: Final = "Deploy the stack again by its pipeline, which makes a new bundle."
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What `zipfile` raises at bytes that are no zip, or a damaged one."""


def shown(name: str | Path) -> str:
    """A file's name for a message: bytes that are no UTF-8, and what a terminal would act on, as escapes."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def fault_of_name(name: str) -> str | None:
    """Why a file of this name, with '/' between its segments, can be in no bundle; None where it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if any(unicodedata.category(char) == "Cc" for char in name):
        return "its name holds a control character"
    if "\\" in name:
        return "its name holds a backslash, which is a folder on Windows"
    if name.startswith("/") or _DRIVE.match(name):
        return "its name is an absolute path"
    if any(segment in {"", ".", ".."} for segment in name.split("/")):
        return "its name has an empty, '.' or '..' segment"
    return None


def unpack_bundle(content: bytes, into: Path, *, sha256: str, max_bytes: int) -> None:
    """Writes the files of a bundle into a folder that is empty or not there yet, whose parent is there.

    ``sha256`` is in hex; ``max_bytes`` the most that all files together may hold. Modes are those that were packed, whatever
    the umask, since providers that zip files (``archive_file``) hash them too. On an error nothing is left behind.

    Raises:
        BundleError: another hash; an entry that is no plain file below the folder, comes twice, is encrypted or damaged; more
            than ``max_bytes``; a folder that is not empty or cannot be written.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise BundleError(f"The bundle's sha256 is {found}, not {sha256}: it was changed or cut off. {_DEPLOY_AGAIN}")
    files = _checked(content, max_bytes)
    is_new = not into.exists()
    try:
        into.mkdir(mode=0o700, exist_ok=True)
        is_empty = next(into.iterdir(), None) is None
    except OSError as error:
        raise _unwritable(into, error) from None
    if not is_empty:
        raise BundleError(f"{shown(into)}: the folder is not empty. Unpack the bundle into a new one.")
    try:
        _write(files, into)
    except BaseException as error:
        _take_back(into, is_new=is_new)
        if isinstance(error, OSError):
            raise _unwritable(into, error) from None
        raise


def _checked(content: bytes, max_bytes: int) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file, by name, once all of them are known to be good."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except _BROKEN_ZIP:
        raise BundleError(f"The bundle is no zip that can be read. {_DEPLOY_AGAIN}") from None
    with archive:
        entries = archive.infolist()
        seen: set[str] = set()
        for entry in entries:
            fault = _fault(entry) or ("it is in the bundle twice" if entry.orig_filename in seen else None)
            if fault:
                raise _refused(entry.orig_filename, fault)
            seen.add(entry.orig_filename)
        for name in seen:
            inside = next((folder for folder in _folders(name) if folder in seen), None)
            if inside:
                raise _refused(name, f"{shown(inside)}, the folder it is in, is a file as well")
        _check_size(entries, max_bytes)
        return {entry.orig_filename: (_mode(entry), _content(archive, entry)) for entry in entries}


def _fault(entry: zipfile.ZipInfo) -> str | None:
    fault = fault_of_name(entry.orig_filename)
    if fault:
        return fault
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
        return "it is a symbolic link or a special file"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if entry.compress_type not in _READABLE:
        return f"it is compressed by method {entry.compress_type}, which no bundle uses"
    return None


def _check_size(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    total = sum(entry.file_size for entry in entries)
    if total > max_bytes:
        largest = max(entries, key=lambda entry: entry.file_size)
        raise BundleError(
            f"The bundle unpacks to {total} bytes, more than the {max_bytes} allowed; {shown(largest.orig_filename)} alone "
            f"has {largest.file_size}. Raise BUNDLE_MAX_MIB, or leave files out with .trueupignore and deploy again."
        )


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """One entry's bytes. `zipfile` stops at the size that is declared, so no entry can be more than was checked."""
    try:
        content = archive.read(entry)
    except _BROKEN_ZIP:
        content = None
    if content is None or len(content) != entry.file_size:
        raise _refused(entry.orig_filename, "its bytes are not those that its size and CRC say")
    return content


def _mode(entry: zipfile.ZipInfo) -> int:
    return EXECUTABLE_MODE if entry.external_attr >> 16 & stat.S_IXUSR else PLAIN_MODE


def _folders(name: str) -> list[str]:
    segments = name.split("/")
    return ["/".join(segments[:depth]) for depth in range(1, len(segments))]


def _write(files: dict[str, tuple[int, bytes]], into: Path) -> None:
    for name, (mode, content) in files.items():
        for folder in _folders(name):
            (into / folder).mkdir(mode=0o700, exist_ok=True)
        with (into / name).open("xb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)


def _take_back(into: Path, *, is_new: bool) -> None:
    for child in into.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    if is_new:
        into.rmdir()


def _refused(name: str, fault: str) -> BundleError:
    return BundleError(f"{shown(name)} in the bundle: {fault}. Nothing was unpacked. {_DEPLOY_AGAIN}")


def _unwritable(into: Path, error: OSError) -> BundleError:
    return BundleError(
        f"{shown(into)}: the bundle cannot be unpacked there ({error.strerror}). Give a folder that can be written, "
        "with room for it."
    )
