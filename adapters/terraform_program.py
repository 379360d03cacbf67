"""Terraform's program as a file that can be started.

A package for Functions keeps no executable bits that one could rely on, and the app's folder is read-only, so that they cannot
be set there either (Azure/Azure-Functions#2537, Azure/azure-functions-host#6160). A program that came with the app is then
copied to a local disk, once for an instance.
"""

import filecmp
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from records.errors import SettingsError

FOLDER_PREFIX: Final = "trueup-program-"
_MODE: Final = 0o700


def startable_program(binary: str, folder: Path) -> str:
    """The path of ``binary``, a name on the PATH or a path; of a copy below ``folder`` where it may not be executed.

    The copy is compared with its original, once a process: 0.03 s for Terraform.

    Raises:
        SettingsError: there is no such program, or it cannot be executed in ``folder`` either.
        OSError: it cannot be copied.
    """
    found = shutil.which(binary)
    if found:
        return found
    original = Path(binary)
    if os.sep not in binary or not original.is_file():
        raise SettingsError(f"{binary}: there is no such program. Install Terraform, or name it in TF_BINARY.")
    own = folder / f"{FOLDER_PREFIX}{os.geteuid()}"
    own.mkdir(mode=_MODE, exist_ok=True)
    status = own.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != _MODE:
        raise SettingsError(f"{own}: is not a folder that this user alone can write to. Remove it.")
    copy = own / original.name
    if not copy.is_file() or not filecmp.cmp(original, copy, shallow=False):
        _copy(original, copy)
    if not os.access(copy, os.X_OK):
        raise SettingsError(
            f"{binary}: has no executable bit, and no program may be executed in {folder}. Give another PLAN_WORK_FOLDER."
        )
    return str(copy)


def _copy(original: Path, copy: Path) -> None:
    """By a rename: another process may be starting the copy that is there."""
    descriptor, coming = tempfile.mkstemp(prefix=".coming-", dir=copy.parent)
    os.close(descriptor)
    try:
        shutil.copyfile(original, coming)
        Path(coming).chmod(_MODE)
        Path(coming).replace(copy)
    except OSError:
        Path(coming).unlink(missing_ok=True)
        raise
