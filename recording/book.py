"""Writes records, and a row of the log for each: before the write, so that none goes without, and again after it."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from recording.author import Author
from records.bundles import PackedBundle, bundle_blob
from records.errors import BlobChangedError, StoreError
from records.json_writing import to_document, to_text
from records.names import registry_blob, tracker_blob
from records.ports import RecordLog, RecordWriter
from records.readings import Present, Reading, Unreadable
from records.record_log import LoggedWrite, WriteStatus, WrittenKind
from records.registry import RegistryRecord
from records.tracker import TrackerRecord

_OF_THE_MARKET: Final = "_market"
"""Stands for a stack in the id of a row without one; no stack can be so called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBook:
    """Where the commands write. Every method raises `StoreError`; where a row cannot be kept, nothing is written.

    A write that is tried again after it was refused has one row, which says what came of the last try.
    """

    writer: RecordWriter
    log: RecordLog
    author: Author
    _written: Counter[str] = field(default_factory=Counter)

    async def write_tracker(
        self, record: TrackerRecord, *, over: Reading[TrackerRecord], bundle: PackedBundle | None = None
    ) -> None:
        """Writes a tracker, after the bundle that it names.

        The tracker's row is kept before the bundle is written: what a process had begun to record when it died can be
        finished from there (`recording.unfinished`).

        Raises:
            BlobChangedError: the tracker is no longer the one that was read.
        """
        market, stack = record.market, record.stack
        before = to_text(to_document(over.record)) if isinstance(over, Present) else None
        if isinstance(over, Unreadable):
            before = await self.writer.tracker_text(market=market, stack=stack)
        row = self._row(
            WrittenKind.TRACKER,
            market,
            stack,
            blob=tracker_blob(market, stack),
            before=before,
            after=to_text(to_document(record)),
            etag_before=_etag(over),
        )
        await self.log.save(writes=[row])
        if bundle:
            await self._write_bundle(bundle, market=market, stack=stack)
        try:
            etag = await self.writer.write_tracker(record=record, replaces=row.etag_before)
        except BlobChangedError:
            await self._note([row], WriteStatus.REFUSED)
            raise
        await self._note([row], WriteStatus.WRITTEN, etag)

    async def write_registry(
        self, record: RegistryRecord, *, over: Reading[RegistryRecord], stacks: Iterable[str]
    ) -> None:
        """Writes a market's record, of which only the entries of ``stacks`` are new.

        Raises:
            BlobChangedError: the record is no longer the one that was read.
        """
        earlier = over.record if isinstance(over, Present) else None
        rows = [
            self._row(
                WrittenKind.REGISTRY,
                record.market,
                stack,
                blob=registry_blob(record.market),
                before=to_text(earlier.stacks[stack]) if earlier and stack in earlier.stacks else None,
                after=to_text(record.stacks[stack]),
                etag_before=_etag(over),
            )
            for stack in stacks
        ]
        if earlier is None:
            head = to_document(record.model_copy(update={"stacks": {}}))
            blob = registry_blob(record.market)
            rows.append(
                self._row(
                    WrittenKind.REGISTRY,
                    record.market,
                    None,
                    blob=blob,
                    before=None,
                    after=to_text(head),
                    etag_before=None,
                )
            )
        await self.log.save(writes=rows)
        try:
            etag = await self.writer.write_registry(record=record, replaces=_etag(over))
        except BlobChangedError:
            await self._note(rows, WriteStatus.REFUSED)
            raise
        await self._note(rows, WriteStatus.WRITTEN, etag)

    async def _write_bundle(self, bundle: PackedBundle, *, market: str, stack: str) -> None:
        blob = bundle_blob(market, stack, bundle.sha256)
        facts = {"sha256": bundle.sha256, "size_bytes": len(bundle.content), "file_count": bundle.file_count}
        row = self._row(
            WrittenKind.BUNDLE, market, stack, blob=blob, before=None, after=json.dumps(facts), etag_before=None
        )
        await self.log.save(writes=[row])
        await self.writer.write_bundle(blob=blob, content=bundle.content)
        await self._note([row], WriteStatus.WRITTEN)

    def _row(
        self,
        kind: WrittenKind,
        market: str,
        stack: str | None,
        *,
        blob: str,
        before: str | None,
        after: str,
        etag_before: str | None,
    ) -> LoggedWrite:
        author = self.author
        name = f"{author.session_id}-{kind}-{stack or _OF_THE_MARKET}"
        return LoggedWrite(
            write_id=f"{name}-{self._written[name]}",
            at=author.at,
            by=author.by,
            command=author.command,
            market=market,
            stack=stack,
            kind=kind,
            blob=blob,
            before=before,
            after=after,
            etag_before=etag_before,
            run_id=author.run_id,
            reason=author.reason,
        )

    async def _note(self, rows: list[LoggedWrite], status: WriteStatus, etag: str | None = None) -> None:
        """The rows are there already, with all that they say but this; a record that is written is not undone for it."""
        if status is WriteStatus.WRITTEN:
            self._written.update(row.write_id.rpartition("-")[0] for row in rows)
        with suppress(StoreError):
            await self.log.save(writes=[row.model_copy(update={"status": status, "etag_after": etag}) for row in rows])


def _etag(reading: Reading[object]) -> str | None:
    return reading.blob.etag if reading.blob else None
