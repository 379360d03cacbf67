"""Locks on files that end with the process that holds them, however it ends (flock(2)).

A lock belongs to one opening of the file, so two tasks of one process keep each other out as two processes do. A process that
is started meanwhile does not inherit it.
"""

import fcntl
import os
from pathlib import Path


class FileHold:
    """A lock that is held until it is released; releasing it twice is no error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def try_lock(path: Path) -> FileHold | None:
    """The lock on this file, which is made with its folders where it is missing; None where somebody has it.

    Whoever removes the file must keep others from locking it meanwhile.

    Raises:
        OSError
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return FileHold(descriptor)
