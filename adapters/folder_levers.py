"""The levers of healing beside an estate on disk: what is paused, and who has done what.

In ``DIR/tables/heallevers``: ``pauses/{market}/pause.json`` is a pause that is in force, ``pauses/pause.json`` that of all
markets, and ``uses/{newest first}-{hash}.json`` the use of a lever.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from adapters.folder_writing import locked, on_disk, replace_file
from adapters.lever_names import use_hash
from adapters.table_keys import newest_first
from adapters.table_names import HEAL_LEVERS_TABLE
from records.errors import StoreUnavailableError
from records.heal_ledger import Lever, LeverUse

_PAUSES: Final = "pauses"
_PAUSE: Final = "pause.json"
_USES: Final = "uses"


class FolderLevers:
    """The part of a `HealLedger` that persons act on. A use that is told twice is there once."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "tables" / HEAL_LEVERS_TABLE

    async def pauses(self) -> Sequence[LeverUse]:
        """Raises:
        StoreError: also where one cannot be read. It is not passed over: what somebody has paused would be healed.
        """
        return await asyncio.to_thread(self._pauses)

    async def uses(self, since: datetime | None) -> AsyncIterator[LeverUse]:
        for file in await asyncio.to_thread(self._files, _USES, "[0-9]*.json"):
            if since and file.name.partition("-")[0] > newest_first(since):
                return
            if use := await asyncio.to_thread(_use, file):
                yield use

    async def pull(self, use: LeverUse) -> None:
        await asyncio.to_thread(self._pull, use)

    def _pauses(self) -> list[LeverUse]:
        pauses: list[LeverUse] = []
        for file in self._files(_PAUSES, f"**/{_PAUSE}"):
            pause = _use(file)
            if pause:
                pauses.append(pause)
            elif file.exists():
                place = file.relative_to(self._folder).as_posix()
                raise StoreUnavailableError(HEAL_LEVERS_TABLE, f"this version cannot read {place}")
        return pauses

    def _pull(self, use: LeverUse) -> None:
        """Whoever dies between the two writes has paused, or not resumed: the safe side of both."""
        pause = self._folder / _PAUSES / (use.market or "") / _PAUSE
        file = self._folder / _USES / f"{newest_first(use.at)}-{use_hash(use)}.json"
        content = use.model_dump_json(indent=1).encode()
        with on_disk(HEAL_LEVERS_TABLE):
            for path in (pause, file):
                path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self._folder / ".lock"):
                if use.lever is Lever.PAUSE:
                    replace_file(pause, content)
                replace_file(file, content)
                if use.lever is Lever.RESUME:
                    pause.unlink(missing_ok=True)

    def _files(self, folder: str, pattern: str) -> list[Path]:
        with on_disk(HEAL_LEVERS_TABLE):
            return sorted((self._folder / folder).glob(pattern))


def _use(file: Path) -> LeverUse | None:
    with on_disk(HEAL_LEVERS_TABLE):
        try:
            return LeverUse.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
