"""What runs tell of module pins beside an estate on disk: ``DIR/tables/reconcilepins/{newest first}-{run}.json``."""

import asyncio
from pathlib import Path

from adapters.folder_writing import on_disk
from adapters.run_files import newest_files, write_run_file
from adapters.table_names import PINS_TABLE
from records.module_pins import PinSummary
from records.results import Run


class FolderPinStore:
    """A `PinStore` in a folder, for one writer at a time."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "tables" / PINS_TABLE

    async def save_pins(self, *, run: Run, pins: PinSummary) -> None:
        await self.prune_pins(run_id=run.run_id)
        await asyncio.to_thread(
            write_run_file, self._folder, started_at=run.started_at, run_id=run.run_id, content=pins
        )

    async def prune_pins(self, *, run_id: str) -> None:
        await asyncio.to_thread(self._remove, run_id)

    def _remove(self, run_id: str) -> None:
        with on_disk(PINS_TABLE):
            for file in newest_files(self._folder):
                if file.stem.partition("-")[2] == run_id:
                    file.unlink(missing_ok=True)
