"""The queue of heals beside an estate on disk: ``DIR/queues/auto-apply/{job id}.json``, a file a message."""

import asyncio
from pathlib import Path

from adapters.folder_writing import on_disk, replace_file
from adapters.heal_messages import to_message
from records.heals import QUEUE, HealJob


class FolderHealQueue:
    """A `HealQueue` in a folder. Nothing removes a message that has expired: who takes it looks at ``expires_at``."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "queues" / QUEUE

    async def send(self, *, job: HealJob) -> None:
        await asyncio.to_thread(self._put, job.job_id, to_message(job))

    def _put(self, job_id: str, message: bytes) -> None:
        with on_disk(QUEUE):
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._folder / f"{job_id}.json", message)
