"""Where the folders are made in which Terraform works."""

import errno
import tempfile
from pathlib import Path
from typing import Final

from adapters.bundle_unpacking import shown
from adapters.private_folder import NAME_LENGTH
from records.errors import BundleError, SettingsError

_SOCKET_PATH_MAX_BYTES: Final = 104
"""Of a Unix socket on macOS, which has less than Linux; go-plugin's is ``plugin-dir…/plugin…`` below TMPDIR."""
_SOCKET_NAME_BYTES: Final = len("/t/plugin-dir4294967295/plugin4294967295")
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})


def work_folder(given: Path | None) -> Path:
    """The folder in which those of single stacks are made; the system's temporary one where none is given.

    Raises:
        SettingsError: its path is too long for providers.
    """
    parent = (given or Path(tempfile.gettempdir())).absolute()
    longest = _SOCKET_PATH_MAX_BYTES - _SOCKET_NAME_BYTES - NAME_LENGTH - 1
    if len(str(parent).encode()) > longest:
        raise SettingsError(
            f"{shown(parent)}: providers open sockets below the work folder, whose path may have {longest} bytes at most. "
            "Give a shorter one."
        )
    return parent


def may_pass(error: OSError) -> bool:
    """Whether the machine lacks room for the moment, and no setting is wrong."""
    return error.errno in _NO_ROOM


def no_folder(parent: Path, error: OSError) -> SettingsError | BundleError:
    """A full disk is one stack's bad luck, and may pass; a work folder that cannot be written to is every stack's."""
    if may_pass(error):
        return BundleError(f"It cannot be unpacked: {shown(parent)} has no room for it ({error.strerror}). Make some.")
    return SettingsError(
        f"{shown(parent)}: no folder can be made there ({error.strerror}). Give a work folder with room for one."
    )
