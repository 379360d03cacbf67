"""What the stores in folders share: one file a run, called ``{newest first}-{run}.json``, so that names sort newest first."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from adapters.folder_writing import on_disk, replace_file
from adapters.table_keys import newest_first


def newest_files(folder: Path) -> list[Path]:
    """All files of runs in a folder, newest first; none where there is no such folder."""
    return sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))


def write_run_file(folder: Path, *, started_at: datetime, run_id: str, content: BaseModel) -> None:
    """Puts a whole file in place by a rename.

    Raises:
        StoreError
    """
    with on_disk(folder.name):
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{newest_first(started_at)}-{run_id}.json", content.model_dump_json(indent=1).encode())


def remove_run_files(folder: Path, *, started_before: datetime, keep: int = 0) -> None:
    """Removes the files of runs that started before, except for the ``keep`` newest files.

    Raises:
        StoreError
    """
    with on_disk(folder.name):
        last_to_stay = f"{newest_first(started_before)}:"
        old = [file for file in newest_files(folder)[keep:] if file.name >= last_to_stay]
        for file in old:
            file.unlink(missing_ok=True)
