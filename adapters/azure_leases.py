"""Who heals a stack, over all machines: a lease on the empty blob ``{market}/{stack}`` of a container of its own.

The state's own blob is not leased: that lease is Terraform's lock. A lease lasts 60 seconds, the longest that ends by itself
(https://learn.microsoft.com/rest/api/storageservices/lease-blob), and is renewed every 20 while its block lasts.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, BlobServiceClient, ContainerClient

from adapters.azure_errors import service_code, translated
from records.drift_ports import StackLease

_CONTAINER_MISSING: Final = "ContainerNotFound"
_BLOB_MISSING: Final = "BlobNotFound"
_HELD_BY_ANOTHER: Final = {"LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"}
_NO_LONGER_OURS: Final = {
    "LeaseIdMismatchWithLeaseOperation",
    "LeaseNotPresentWithLeaseOperation",
    "LeaseIsBrokenAndCannotBeRenewed",
    _BLOB_MISSING,
    _CONTAINER_MISSING,
}
_MADE_BY_ANOTHER: Final = {"ContainerAlreadyExists", "BlobAlreadyExists", "ConditionNotMet", "LeaseIdMissing"}
"""The last where another made the blob and leased it at once."""
_ATTEMPTS: Final = 4
"""The container may be missing, then the blob, and either may have been removed by somebody meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """In seconds. ``margin`` is what a lease is given up before its end: a clock runs fast, an answer takes its time."""

    duration: int = 60
    renewed_every: float = 20
    margin: float = 10
    request_limit: float = 10
    again_after: float = 3

    @property
    def trusted(self) -> float:
        """How long after a renewal was asked for the lease is ours for certain."""
        return self.duration - self.margin


def seconds_since_boot() -> float:
    """Goes on while the machine sleeps, as the lease does, and is set by nobody."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Renewed:
    """A lease that this process has, and its renewal."""

    def __init__(self, lease: BlobLeaseClient, times: LeaseTimes, clock: Callable[[], float], asked_at: float) -> None:
        self._lease = lease
        self._times = times
        self._clock = clock
        self._renewed_at = asked_at
        """When the last renewal that succeeded was asked for: the service counts from later than that."""
        self._is_another_s = False

    @property
    def is_lost(self) -> bool:
        """It is found again where a late renewal succeeds: the service renews none that another has had meanwhile."""
        return self._is_another_s or self._clock() - self._renewed_at >= self._times.trusted

    async def renew_for_ever(self) -> None:
        while not self._is_another_s:
            is_late = self._clock() - self._renewed_at >= self._times.renewed_every
            await asyncio.sleep(self._times.again_after if is_late else self._times.renewed_every)
            await self._renew()

    async def _renew(self) -> None:
        asked_at = self._clock()
        # What fails is tried again soon, until it succeeds or the lease is another's.
        with suppress(AzureError, TimeoutError):
            try:
                async with asyncio.timeout(self._times.request_limit):
                    await self._lease.renew()
            except HttpResponseError as error:
                self._is_another_s = service_code(error) in _NO_LONGER_OURS
                raise
            self._renewed_at = asked_at

    async def release(self) -> None:
        """Where it fails, the lease ends by itself within a minute."""
        with suppress(AzureError, TimeoutError):
            async with asyncio.timeout(self._times.request_limit):
                await self._lease.release()


class AzureStackLeases:
    """`StackLeases` in a container, which the first lease makes. No lease of another's is ever broken."""

    def __init__(
        self,
        service: BlobServiceClient,
        *,
        container: str,
        times: LeaseTimes = LeaseTimes(),
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self._container = service.get_container_client(container)
        self._times = times
        self._clock = clock

    @asynccontextmanager
    async def held(self, *, market: str, stack: str) -> AsyncIterator[StackLease | None]:
        name = f"{market}/{stack}"
        with translated(f"{self._container.container_name}/{name}"):
            lease = await self._acquired(name)
        if lease is None:
            yield None
            return
        renewing = asyncio.create_task(lease.renew_for_ever())
        try:
            yield lease
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            await lease.release()

    async def _acquired(self, name: str) -> _Renewed | None:
        blob = self._container.get_blob_client(name)
        # With an id of ours, a request whose answer was lost finds the lease to be ours already.
        lease = BlobLeaseClient(blob, lease_id=str(uuid4()))
        for attempt in range(_ATTEMPTS):
            asked_at = self._clock()
            try:
                await lease.acquire(lease_duration=self._times.duration)
                return _Renewed(lease, self._times, self._clock, asked_at)
            except HttpResponseError as error:
                code = service_code(error)
                if code in _HELD_BY_ANOTHER:
                    return None
                if code not in {_CONTAINER_MISSING, _BLOB_MISSING} or attempt == _ATTEMPTS - 1:
                    raise
            await _make(self._container, blob, missing=code)
        raise AssertionError("the last attempt returns or raises")


async def _make(container: ContainerClient, blob: BlobClient, *, missing: str) -> None:
    try:
        if missing == _CONTAINER_MISSING:
            await container.create_container()
        else:
            await blob.upload_blob(b"", overwrite=False)
    except HttpResponseError as error:
        if service_code(error) not in _MADE_BY_ANOTHER:
            raise
