"""The queue of heals beside an estate on disk, from its receiving end.

Who has a message holds a file's lock, which the kernel takes back when the process dies, so nothing is renewed. A message that
has expired is handed over too, as in Azure it can be: who takes it looks at ``expires_at``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from adapters.clock import utc_now
from adapters.folder_locks import FileHold
from adapters.folder_queue_files import QueueFiles
from adapters.folder_writing import on_disk
from records.drift_ports import Delivery
from records.errors import StoreError
from records.heals import POISON_QUEUE, QUEUE
from records.ports import Clock


@dataclass(frozen=True, slots=True)
class _Taken:
    """A message that this process has, as it was when it was taken."""

    files: QueueFiles
    hold: FileHold
    name: str
    etag: str
    body: bytes
    tries: int

    async def done(self) -> None:
        await asyncio.to_thread(self._remove)

    async def poisoned(self) -> None:
        await asyncio.to_thread(self._remove, POISON_QUEUE)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Delivery]:
        try:
            yield self
        finally:
            # Without a wait, so that a task that is cancelled lets go as well.
            self._let_go()

    def _remove(self, into: str | None = None) -> None:
        with on_disk(QUEUE), self.files.changing():
            self.files.remove(self.name, self.etag, into=into)

    def _let_go(self) -> None:
        try:
            with suppress(StoreError), on_disk(QUEUE), self.files.changing():
                self.files.forget_lock(self.name)
        finally:
            self.hold.release()


class FolderHealInbox:
    """A `HealInbox` in a folder, for many processes of one machine at once.

    Each message is handed over once in a round of `deliveries`; one that was not done with comes again in the next.
    """

    def __init__(self, root: Path, *, clock: Clock = utc_now) -> None:
        self._files = QueueFiles(root, QUEUE)
        self._clock = clock

    async def deliveries(self) -> AsyncIterator[AbstractAsyncContextManager[Delivery]]:
        seen: set[tuple[str, str]] = set()
        while taken := await asyncio.to_thread(self._take, seen):
            seen.add((taken.name, taken.etag))
            yield taken.held()

    def _take(self, seen: set[tuple[str, str]]) -> _Taken | None:
        """The oldest message that nobody has, that may be taken by now, and that was not seen yet."""
        with on_disk(QUEUE), self._files.changing():
            for name, etag in self._files.oldest_first():
                handling = self._files.handling(name, etag)
                if (name, etag) in seen or (handling.not_before and handling.not_before > self._clock()):
                    continue
                hold = self._files.try_take(name)
                if hold is None:
                    continue
                try:
                    body, tries = self._files.taken(name, handling)
                except BaseException:
                    hold.release()
                    raise
                return _Taken(self._files, hold, name, etag, body, tries)
        return None
