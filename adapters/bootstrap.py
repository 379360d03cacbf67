"""Opens an estate: the adapters that fit where its records are, closed again at the end."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from adapters.folder_blobs import FolderBlobStore
from adapters.folder_pins import FolderPinStore
from adapters.folder_record_log import FolderRecordLog
from adapters.folder_runs import FolderRunStore
from adapters.folder_tables import FolderResultStore
from adapters.record_reader import BlobRecordReader, Containers
from adapters.record_writer import BlobRecordWriter
from adapters.settings import Settings
from adapters.table_names import (
    RUNS_TABLE,
)
from records.errors import SettingsError
from records.ports import (
    PinStore,
    RecordLog,
    RecordReader,
    RecordWriter,
    ResultStore,
    RunStore,
    WorkStore,
)
from records.report import MarketOutcome
from records.runs import RunRow

_OBJECTS_BETWEEN_COLLECTIONS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """The open adapters of one estate."""

    records: RecordReader
    writer: RecordWriter
    log: RecordLog
    results: ResultStore
    runs: RunStore[RunRow]
    pins: PinStore
    work: WorkStore[MarketOutcome] | None = None
    """Where runs that are spread over machines keep what they have to do; None on disk, where there are none."""


Opened = TypeVar("Opened")


class OpenedOnce(Generic[Opened]):
    """What a process opens at its first use and keeps open: a Functions worker is not told when it ends."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Opened]]) -> None:
        self._opening = opening
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._opened: list[Opened] = []

    async def __call__(self) -> Opened:
        async with self._lock:
            if not self._opened:
                self._opened.append(await self._stack.enter_async_context(self._opening()))
            return self._opened[0]

    async def close(self) -> None:
        """Closes it; the next use opens it anew."""
        self._opened.clear()
        await self._stack.aclose()


def spare_the_collector() -> None:
    """Has Python look for garbage less often: a request through the SDK makes some thousand objects, few of them cycles.

    Takes a tenth off a run's processor time for some 5 MB of memory (measured with ``make bench``).
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def discard_stdout() -> None:
    """After whoever reads the output has read enough of it: Python would try to flush the rest as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@asynccontextmanager
async def open_folder_estate(root: Path, settings: Settings, *, may_be_new: bool = False) -> AsyncIterator[Estate]:
    """An estate on disk; its results are kept beside it. One that ``may_be_new`` need not have any records yet.

    Raises:
        SettingsError: there is no such folder.
    """
    if not root.is_dir():  # noqa: ASYNC240 (once, before anything runs)
        raise SettingsError(f"--estate {root}: there is no such folder")
    containers = containers_of(settings)
    written = (containers.registry, containers.trackers, containers.bundles)
    blobs = FolderBlobStore(root, made_by_writing=written if may_be_new else ())
    yield Estate(
        records=BlobRecordReader(blobs, containers),
        writer=BlobRecordWriter(blobs, containers),
        log=FolderRecordLog(root),
        results=FolderResultStore(root),
        runs=FolderRunStore(root, table=RUNS_TABLE, row=RunRow),
        pins=FolderPinStore(root),
    )


def containers_of(settings: Settings) -> Containers:
    return Containers(
        registry=settings.registry_container,
        trackers=settings.trackers_container,
        states=settings.states_container,
        bundles=settings.bundles_container,
    )
