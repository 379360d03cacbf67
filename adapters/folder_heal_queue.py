"""The queue of heals beside an estate on disk: ``DIR/queues/auto-apply/{job id}.json``, a file a message."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from adapters.clock import utc_now
from adapters.folder_queue_files import QueueFiles
from adapters.folder_writing import on_disk
from adapters.heal_messages import to_message
from records.heals import QUEUE, HealJob
from records.ports import Clock


class FolderHealQueue:
    """A `HealQueue` in a folder. A job that is sent again replaces its message.

    Nothing removes one that has expired: who takes it looks at ``expires_at``.
    """

    def __init__(self, root: Path, *, clock: Clock = utc_now) -> None:
        self._files = QueueFiles(root, QUEUE)
        self._clock = clock

    async def send(self, *, job: HealJob, delay_seconds: int = 0) -> None:
        not_before = self._clock() + timedelta(seconds=delay_seconds) if delay_seconds else None
        await asyncio.to_thread(self._put, job.job_id, to_message(job), not_before)

    def _put(self, job_id: str, message: bytes, not_before: datetime | None) -> None:
        with on_disk(QUEUE), self._files.changing():
            self._files.put(f"{job_id}.json", message, not_before=not_before)
