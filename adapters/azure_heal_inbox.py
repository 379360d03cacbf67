"""The queue of heals in Azure Queue Storage from its receiving end, for a worker that the Functions host does not run.

A message that is received is hidden from others for a while (its visibility), which is renewed as long as its block lasts. Each
renewal gives it another pop receipt, and only the latest deletes it.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from adapters.azure_errors import service_code, translated
from adapters.azure_heal_queue import QUEUE_MISSING, put_message
from adapters.clock import utc_now
from records.drift_ports import Delivery
from records.heals import POISON_QUEUE, QUEUE
from records.ports import Clock

_NO_LONGER_OURS: Final = {"MessageNotFound", "PopReceiptMismatch"}
_FOR_EVER: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """For how long a message is hidden, in seconds: once received, and once its block has ended with nothing done."""

    seconds: int = 300
    renewed_every_seconds: float = 100
    back_after_seconds: int = 30


class _Received:
    """A message that this process has. One operation at a time: each has the pop receipt of the one before."""

    def __init__(
        self, message: QueueMessage, queue: QueueClient, poison: QueueClient, visibility: Visibility, clock: Clock
    ) -> None:
        self._message = message
        self._queue = queue
        self._poison = poison
        self._visibility = visibility
        self._clock = clock
        self._pop_receipt = str(message.pop_receipt)
        self._lock = asyncio.Lock()
        self._is_ours = True

    @property
    def body(self) -> bytes:
        return _decoded(self._text)

    @property
    def tries(self) -> int:
        return int(self._message.dequeue_count or 1)

    async def done(self) -> None:
        async with self._lock:
            await self._delete()

    async def poisoned(self) -> None:
        async with self._lock:
            # Asked first: another may be healing it by now, and what is told as poison should be none of that.
            with translated(QUEUE):
                await self._hide_for(self._visibility.seconds)
            if not self._is_ours:
                return
            with translated(POISON_QUEUE):
                # As it came: what cannot be read may be what it is here for.
                await put_message(self._poison, self._text, time_to_live=_FOR_EVER)
            await self._delete()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Delivery]:
        renewing = asyncio.create_task(self._renew_for_ever())
        try:
            yield self
        finally:
            # Behind the lock, so that no renewal is cut off whose pop receipt would then be unknown.
            async with self._lock:
                renewing.cancel()
                # Failing that, it comes back when its visibility ends.
                with suppress(AzureError):
                    await self._hide_for(self._visibility.back_after_seconds)
            await asyncio.wait([renewing])

    @property
    def _text(self) -> str:
        return str(self._message.content or "")

    async def _renew_for_ever(self) -> None:
        while self._is_ours:
            await asyncio.sleep(self._visibility.renewed_every_seconds)
            # Its visibility lasts for some renewals more: one that fails is made up for by the next.
            with suppress(AzureError):
                async with self._lock:
                    await self._hide_for(self._visibility.seconds)

    async def _hide_for(self, seconds: int) -> None:
        """Nothing where it is no longer ours, or about to be nobody's: storage hides none beyond its expiry."""
        expires_on = self._message.expires_on
        if expires_on is not None:
            seconds = min(seconds, int((expires_on - self._clock()).total_seconds()))
        if not self._is_ours or seconds < 1:
            return
        try:
            # Without a text, so that it keeps its own.
            updated = await self._queue.update_message(
                self._message.id, pop_receipt=self._pop_receipt, visibility_timeout=seconds
            )
            self._pop_receipt = str(updated.pop_receipt)
        except HttpResponseError as error:
            self._lose_or_raise(error)

    async def _delete(self) -> None:
        if self._is_ours:
            with translated(QUEUE):
                try:
                    await self._queue.delete_message(self._message.id, pop_receipt=self._pop_receipt)
                except HttpResponseError as error:
                    self._lose_or_raise(error)
            self._is_ours = False

    def _lose_or_raise(self, error: HttpResponseError) -> None:
        """So is a request refused that did its work, whose answer was lost, and that was sent again."""
        if service_code(error) not in _NO_LONGER_OURS:
            raise error
        self._is_ours = False


class AzureHealInbox:
    """A `HealInbox` on a storage account. The message of a worker that was killed comes again after 5 minutes at most."""

    def __init__(
        self, service: QueueServiceClient, *, visibility: Visibility = Visibility(), clock: Clock = utc_now
    ) -> None:
        # Neither encodes nor decodes: the SDK would not give out what is no Base64.
        self._queue: QueueClient = service.get_queue_client(QUEUE)
        self._poison: QueueClient = service.get_queue_client(POISON_QUEUE)
        self._visibility = visibility
        self._clock = clock

    async def deliveries(self) -> AsyncIterator[AbstractAsyncContextManager[Delivery]]:
        while message := await self._next():
            yield _Received(message, self._queue, self._poison, self._visibility, self._clock).held()

    async def _next(self) -> QueueMessage | None:
        with translated(QUEUE):
            try:
                return await self._queue.receive_message(visibility_timeout=self._visibility.seconds)
            except HttpResponseError as error:
                if service_code(error) != QUEUE_MISSING:
                    raise
        return None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
