"""Opens an estate: the adapters that fit where its records are, closed again at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

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
