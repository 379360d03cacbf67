"""Reads the three records from a blob store, and turns whatever goes wrong with one into a reading."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from adapters.account_urls import host_of
from adapters.blob_store import BlobPart, BlobPlace, BlobStore
from records.errors import BlobMissingError, BundleError, ContainerMissingError, RecordError, StoreError
from records.faults import Fault, FaultCode, RecordKind
from records.names import registry_blob, tracker_blob
from records.readings import (
    Absent,
    BlobFacts,
    ContentSighting,
    Present,
    Reading,
    StateHead,
    Unreadable,
)
from records.registry import RegistryRecord, StateLocation, parse_registry
from records.state_head import StateHeadScanner
from records.store_faults import store_fault
from records.tracker import Bundle, TrackerRecord, parse_tracker

STATE_HEAD_BYTES: Final = 2048
_FIRST_STEP_BYTES: Final = 64 * 1024
_LARGEST_STEP_BYTES: Final = 4 * 1024 * 1024
RECORD_MAX_BYTES: Final = 8 * 1024 * 1024
"""A registry record of ten thousand stacks is some 5 MB."""

_RecordT = TypeVar("_RecordT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """The names of the estate's containers."""

    registry: str = "registry"
    trackers: str = "trackers"
    states: str = "tfstate"
    bundles: str = "bundles"


class BlobRecordReader:
    """A `RecordReader` over any `BlobStore`."""

    def __init__(self, blobs: BlobStore, containers: Containers, *, own_account_url: str | None = None) -> None:
        self._blobs = blobs
        self._containers = containers
        self._own_host = host_of(own_account_url) if own_account_url else None

    def registry_blobs(self) -> AsyncIterator[str]:
        return self._blobs.names(container=self._containers.registry)

    def tracker_blobs(self, *, market: str | None = None) -> AsyncIterator[str]:
        return self._blobs.names(container=self._containers.trackers, prefix=f"{market}/" if market else "")

    def state_blobs(self, *, container: str | None = None) -> AsyncIterator[str]:
        return self._blobs.names(container=container or self._containers.states)

    def is_same_state(self, one: StateLocation, other: StateLocation) -> bool:
        return self._state_place(one) == self._state_place(other)

    def is_in_shared_container(self, *, location: StateLocation) -> bool:
        return self._state_place(location) == BlobPlace(container=self._containers.states, name=location.blob)

    async def registry(self, *, market: str) -> Reading[RegistryRecord]:
        place = BlobPlace(container=self._containers.registry, name=registry_blob(market))
        return await self._read_whole(
            place, RecordKind.REGISTRY, lambda content: parse_registry(content, market=market)
        )

    async def tracker(self, *, market: str, stack: str, subscription_id: str | None) -> Reading[TrackerRecord]:
        place = BlobPlace(container=self._containers.trackers, name=tracker_blob(market, stack))
        return await self._read_whole(
            place,
            RecordKind.TRACKER,
            lambda content: parse_tracker(content, market=market, stack=stack, subscription_id=subscription_id),
        )

    async def state(self, *, location: StateLocation, thorough: bool = False) -> Reading[StateHead]:
        place = self._state_place(location)

        async def parse(part: BlobPart) -> Reading[StateHead]:
            if part.facts.size_bytes == 0:
                return Absent(place.name, part.facts)
            head = await self._scan(place, part)
            if thorough and part.facts.content_md5 is None:
                return Present(head, replace(part.facts, content_md5=await self._md5(place, part.facts)))
            return Present(head, part.facts)

        return await self._read(place, RecordKind.STATE, STATE_HEAD_BYTES, parse)

    async def has_bundle(self, *, blob: str) -> bool:
        try:
            await self._blobs.read(BlobPlace(container=self._containers.bundles, name=blob), length_bytes=1)
        except (BlobMissingError, ContainerMissingError):
            return False
        return True

    async def bundle(self, *, bundle: Bundle, max_bytes: int) -> bytes:
        place = BlobPlace(container=self._containers.bundles, name=bundle.blob)
        part = await self._blobs.read(place, length_bytes=max_bytes)
        if part.facts.size_bytes > max_bytes:
            raise BundleError(
                f"{place}: the bundle has {part.facts.size_bytes:,} bytes; {max_bytes:,} is the most that is read. "
                "Raise BUNDLE_MAX_MIB, or keep data out of the root module."
            )
        return part.content

    async def state_history(self, *, location: StateLocation) -> tuple[ContentSighting, ...]:
        try:
            return await self._blobs.sightings(self._state_place(location))
        except StoreError:
            # A store without snapshots, or one that may not be listed, is poorer evidence and no fault of the state.
            return ()

    def _state_place(self, location: StateLocation) -> BlobPlace:
        account_url = location.account_url
        if account_url and self._own_host and host_of(account_url) == self._own_host:
            account_url = None
        container = location.container or self._containers.states
        return BlobPlace(container=container, name=location.blob, account_url=account_url)

    async def _read_whole(
        self, place: BlobPlace, kind: RecordKind, parse_content: Callable[[bytes], _RecordT]
    ) -> Reading[_RecordT]:
        async def parse(part: BlobPart) -> Reading[_RecordT]:
            if part.facts.size_bytes > RECORD_MAX_BYTES:
                raise RecordError(
                    Fault(
                        code=FaultCode.TOO_LARGE,
                        record=kind,
                        blob=place.name,
                        message=f"it is {part.facts.size_bytes:,} bytes; {RECORD_MAX_BYTES:,} is the most that is read",
                        remedy="Restore the last good version of the blob; it should hold one record.",
                    )
                )
            return Present(parse_content(part.content), part.facts)

        return await self._read(place, kind, RECORD_MAX_BYTES, parse)

    async def _read(
        self,
        place: BlobPlace,
        kind: RecordKind,
        length_bytes: int,
        parse: Callable[[BlobPart], Awaitable[Reading[_RecordT]]],
    ) -> Reading[_RecordT]:
        facts: BlobFacts | None = None
        try:
            part = await self._blobs.read(place, length_bytes=length_bytes)
            facts = part.facts
            return await parse(part)
        except BlobMissingError:
            return Absent(place.name)
        except RecordError as error:
            return Unreadable(error.fault, facts)
        except StoreError as error:
            return Unreadable(store_fault(error, kind=kind, blob=place.name), facts)

    async def _scan(self, place: BlobPlace, first: BlobPart) -> StateHead:
        """The head of a state: in its first part nearly always, else as far into the blob as it takes."""
        scanner = StateHeadScanner(place.name, to_the_end=len(first.content) >= first.facts.size_bytes)
        scanner.feed(first.content)
        if not scanner.is_complete:
            async for part in self._rest(place, first.facts, start_byte=len(first.content)):
                scanner.feed(part)
                if scanner.is_complete:
                    break
        return scanner.finish()

    async def _md5(self, place: BlobPlace, facts: BlobFacts) -> str:
        """The MD5 of a blob that storage keeps none of: one that was put there by other means than Terraform's."""
        digest = hashlib.md5(usedforsecurity=False)
        async for part in self._rest(place, facts, start_byte=0):
            digest.update(part)
        return digest.hexdigest()

    async def _rest(self, place: BlobPlace, facts: BlobFacts, *, start_byte: int) -> AsyncIterator[bytes]:
        step_bytes = _FIRST_STEP_BYTES
        while start_byte < facts.size_bytes:
            part = await self._blobs.read(place, start_byte=start_byte, length_bytes=step_bytes, if_match=facts.etag)
            yield part.content
            start_byte += step_bytes
            step_bytes = min(2 * step_bytes, _LARGEST_STEP_BYTES)
