"""Who heals a stack of an estate on disk: the lock on ``DIR/locks/{market}/{stack}.lock``, over all processes of a machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from adapters.folder_locks import try_lock
from adapters.folder_writing import on_disk
from records.drift_ports import StackLease

_FOLDER: Final = "locks"


class _FolderLease:
    @property
    def is_lost(self) -> bool:
        """The kernel gives it to nobody else while this process lives."""
        return False


class FolderStackLeases:
    """`StackLeases` on disk. The lock's file stays: were it removed, two could hold two locks of one name."""

    def __init__(self, root: Path) -> None:
        self._root = root / _FOLDER

    @asynccontextmanager
    async def held(self, *, market: str, stack: str) -> AsyncIterator[StackLease | None]:
        file = self._root / market / f"{stack}.lock"
        with on_disk(f"{_FOLDER}/{market}/{stack}"):
            # Not in a thread: a task that is cancelled would leave the lock to nobody.
            hold = try_lock(file)
        if hold is None:
            yield None
            return
        try:
            yield _FolderLease()
        finally:
            hold.release()
