"""Makes a bundle: the same files give the same bytes, on every machine and with every build of zlib."""

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters.bundle_files import BundleFile, files_of_bundle
from adapters.bundle_unpacking import EXECUTABLE_MODE, PLAIN_MODE, shown
from adapters.module_pins import read_modules
from records.bundles import PackedBundle
from records.errors import BundleError

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""
_UNIX: Final = 3
_MIB: Final = 1024**2
_SHOWN_LARGEST: Final = 3


def pack_bundle(folder: Path, *, variable_files: Sequence[Path] = (), max_bytes: int) -> PackedBundle:
    """The bundle of the root module in ``folder``, planned with ``variable_files`` in the order of their ``-var-file``.

    ``max_bytes`` is the most that all files together may hold.

    Raises:
        BundleError: a file that cannot or must not be in a bundle, that changes while it is read, or too much of it all.
    """
    listed = files_of_bundle(folder, variable_files=variable_files)
    sizes = {file.name: _size(file) for file in listed.files}
    _check_size(sizes, max_bytes)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for file in listed.files:
            content, mode = _read(file, sizes[file.name])
            archive.writestr(_entry(file.name, mode), content)
    content = packed.getvalue()
    return PackedBundle(
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        file_count=len(listed.files),
        root=listed.root,
        modules=read_modules(folder),
        warnings=listed.warnings,
    )


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | mode) << 16
    return entry


def _size(file: BundleFile) -> int:
    if isinstance(file.source, bytes):
        return len(file.source)
    try:
        return file.source.stat().st_size
    except OSError as error:
        raise _unreadable(file, error) from None


def _check_size(sizes: dict[str, int], max_bytes: int) -> None:
    total = sum(sizes.values())
    if total > max_bytes:
        by_size = sorted(sizes, key=lambda name: (-sizes[name], name))[:_SHOWN_LARGEST]
        largest = "; ".join(f"{shown(name)}, {_measured(sizes[name])}" for name in by_size)
        raise BundleError(
            f"The bundle would hold {_measured(total)}, more than the {_measured(max_bytes)} "
            f"that BUNDLE_MAX_MIB allows. The largest files: "
            f"{largest}. Name what no plan needs in .trueupignore, or raise BUNDLE_MAX_MIB."
        )


def _read(file: BundleFile, size: int) -> tuple[bytes, int]:
    """Content and mode; a file that was written to meanwhile may be half of one version and half of the next."""
    if isinstance(file.source, bytes):
        return file.source, PLAIN_MODE
    try:
        with file.source.open("rb") as opened:
            before = os.fstat(opened.fileno())
            content = opened.read(size + 1)
            after = file.source.stat()
    except OSError as error:
        raise _unreadable(file, error) from None
    if _version(before) != _version(after) or not len(content) == size == after.st_size:
        raise BundleError(
            f"{shown(file.name)}: it changed while it was read. Run `trueup record` when nothing writes to the folder any more."
        )
    return content, EXECUTABLE_MODE if before.st_mode & stat.S_IXUSR else PLAIN_MODE


def _version(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _unreadable(file: BundleFile, error: OSError) -> BundleError:
    if isinstance(error, FileNotFoundError):
        return BundleError(
            f"{shown(file.name)}: it was deleted while the bundle was made. Run `trueup record` when nothing writes to the "
            "folder any more."
        )
    return BundleError(
        f"{shown(file.name)}: it cannot be read ({error.strerror}). Let the user who runs trueup read it, or name it in "
        ".trueupignore."
    )


def _measured(size_bytes: int) -> str:
    return f"{size_bytes} bytes ({size_bytes / _MIB:.1f} MiB)"
