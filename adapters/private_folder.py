"""A folder that only its maker can read and that does not outlive it; run as a script, it removes one.

The maker removes its folder. Where it cannot, because it was killed, its watch does (`adapters.folder_watch`): a process that
holds the other end of a pipe, reads its end as the maker's death, ends the processes that the maker named, and removes the
folder. Where the watch was killed too, `remove_leftovers` finds the folder: the lock in it is held as long as the maker, the
watch, or a process that inherited it lives (flock(2): a lock belongs to the open file description, which a fork shares).

Needs the standard library alone, since the watch runs without site packages.
"""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PREFIX: Final = "trueup-tf-"
NAME_LENGTH: Final = len(PREFIX) + 8
"""With the eight characters that `tempfile` adds."""

_WATCH: Final = str(Path(__file__).with_name("folder_watch.py"))
_LOCK: Final = ".lock"
_MODE: Final = 0o700
_FOR_PYTHON: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_REMOVE_TRIES: Final = 400
_WAIT_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    """``lock`` is the descriptor that a process started for this folder inherits."""

    path: Path
    lock: int
    watch: int

    def started(self, group: int) -> None:
        """A process group that must not outlive the maker."""
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        """To be said while its leader is not reaped yet, since its number may then be another's."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):  # somebody killed the watch: `remove_leftovers` is left
            os.write(self.watch, line.encode())


@contextmanager
def private_folder(parent: Path, *, grace_seconds: float) -> Iterator[PrivateFolder]:
    """A new folder of mode 0700 below ``parent``, gone when the block ends.

    Where this process dies instead, it is gone some ``grace_seconds`` later.

    Nothing here waits for the event loop, so that no cancellation can come between.

    Raises:
        OSError: it cannot be made. Or, at the end, removed, after some tries.
    """
    path, lock = _made(parent)
    try:
        with _watched(path, lock, grace_seconds) as orders:
            yield PrivateFolder(path, lock, orders)
    finally:
        try:
            remove(path)
        finally:
            os.close(lock)


@contextmanager
def _watched(path: Path, lock: int, grace_seconds: float) -> Iterator[int]:
    """The end of the pipe that tells the watch; it is killed before the pipe is closed, as it would take that for a death."""
    reading, writing = os.pipe()
    try:
        try:
            watch = subprocess.Popen(  # noqa: S603 (a file beside this one)
                [sys.executable, "-I", "-S", _WATCH, str(grace_seconds), __file__, str(path)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _FOR_PYTHON if name in os.environ},
                cwd="/",
                pass_fds=(lock,),
                start_new_session=True,
            )
        finally:
            os.close(reading)
        try:
            yield writing
        finally:
            watch.kill()
            watch.wait()
    finally:
        os.close(writing)


def remove_leftovers(parent: Path) -> None:
    """Removes what killed processes of this user left in ``parent``.

    A folder is left alone that is another user's or another's to read, a link, or whose maker lives. One that cannot be removed
    is left for the next time.
    """
    with suppress(OSError):
        for path in sorted(parent.glob(f"{PREFIX}*")):
            with suppress(OSError):
                _remove_leftover(path)


def remove(path: Path) -> None:
    """Removes a folder and all below it, also what may not be written; links are not followed.

    A process that was killed a moment ago may still be writing, hence the tries.

    Raises:
        OSError: it cannot be removed.
    """
    for attempt in range(_REMOVE_TRIES):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            if not path.exists():
                return
        except OSError:
            if attempt == _REMOVE_TRIES - 1:
                raise
            _open_up(path)
            time.sleep(_WAIT_SECONDS)
        else:
            return


def _made(parent: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # Until the lock is held another process may take the folder for a leftover, and remove it.
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, FileExistsError):
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return path, lock
        os.close(lock)


def _remove_leftover(path: Path) -> None:
    status = path.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == _MODE
    if not is_ours:
        return
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)
    finally:
        os.close(lock)


def _open_up(path: Path) -> None:
    """Makes folders writable whose entries could not be removed."""
    for parent, folders, _ in os.walk(path):
        for name in folders:
            folder = Path(parent, name)
            if not folder.is_symlink():
                with suppress(OSError):
                    folder.chmod(_MODE)


if __name__ == "__main__":
    remove(Path(sys.argv[1]))
