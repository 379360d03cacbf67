"""How requests to storage are retried: azure-core's own policy, set on purpose.

azure-storage-blob's policies neither retry a 429 nor look at ``Retry-After`` (seen in 12.31: ``_shared/policies.py``,
``is_retry``), and azure-core's, which do both, have no jitter. So blobs get azure-core's policy, tables keep their own
subclass of it, and the jitter is in the transport's sleep, through which every policy waits.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpResponse, HttpRequest

_JITTER: Final = 0.5
_CONNECTION_TIMEOUT_SECONDS: Final = 10
_READ_TIMEOUT_SECONDS: Final = 30
_BACKOFF_MAX_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLimits:
    """``total`` tries after the first; the wait doubles from ``backoff_seconds``, to 30 s at most."""

    total: int
    backoff_seconds: float

    def policy_options(self) -> dict[str, Any]:
        return {
            "retry_total": self.total,
            "retry_connect": self.total,
            "retry_read": self.total,
            "retry_status": self.total,
            "retry_backoff_factor": self.backoff_seconds,
            "retry_backoff_max": _BACKOFF_MAX_SECONDS,
        }


class JitteredTransport(AioHttpTransport):  # type: ignore[misc]  # azure-core exports it untyped
    """Waits up to half as long again as a policy asks, so that a throttled fleet does not come back as one.

    Never less: a ``Retry-After`` is kept.
    """

    def __init__(self) -> None:
        super().__init__(connection_timeout=_CONNECTION_TIMEOUT_SECONDS, read_timeout=_READ_TIMEOUT_SECONDS)

    async def sleep(self, duration: float) -> None:
        await asyncio.sleep(duration * (1 + random.random() * _JITTER))  # noqa: S311 (spreads load, hides nothing)


class BlobRetryPolicy(AsyncRetryPolicy[HttpRequest, AsyncHttpResponse]):
    """azure-core's retries in a blob client's pipeline, whose other policies expect a location mode to be kept."""

    def __init__(self, limits: RetryLimits) -> None:
        super().__init__(**limits.policy_options())

    def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = super().configure_retries(options)
        for storage_option in ("hosts", "location_mode", "retry_to_secondary"):
            options.pop(storage_option, None)
        return settings

    async def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        response = await super().send(request)
        response.http_response.location_mode = "primary"  # type: ignore[attr-defined]
        return response
