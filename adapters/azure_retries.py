"""How requests to storage are retried: azure-core's own policy, set on purpose, with jitter (ADR 0002)."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpResponse, HttpRequest
from azure.data.tables.aio import TableServiceClient

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


class _JitteredSleep:
    """Stands in for a transport where a policy waits: up to half as long again as it asks, so that a throttled fleet does
    not come back as one. Never less: a ``Retry-After`` is kept.
    """

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

    async def sleep(self, settings: dict[str, Any], transport: Any, response: Any = None) -> None:  # noqa: ARG002, ANN401
        await super().sleep(settings, _JITTERED, response=response)


class JitteredTableServiceClient(TableServiceClient):
    """A table client whose own retries have jitter: the one private hook of the SDK that is used, as tables take no policy."""

    def _configure_policies(self, **kwargs: Any) -> list[Any]:  # noqa: ANN401
        policies: list[Any] = super()._configure_policies(**kwargs)
        for policy in policies:
            if isinstance(policy, AsyncRetryPolicy):
                _jitter(policy)
        return policies


def _jitter(policy: AsyncRetryPolicy[Any, Any]) -> None:
    unjittered = policy.sleep

    async def sleep(settings: dict[str, Any], transport: Any, response: Any = None) -> None:  # noqa: ARG001, ANN401
        await unjittered(settings, _JITTERED, response=response)

    setattr(policy, "sleep", sleep)  # noqa: B010 (a method of one instance is replaced, which mypy has no words for)


_JITTERED: Final[Any] = _JitteredSleep()


def new_transport() -> AioHttpTransport:
    """The SDK's transport, with time limits that suit requests of a few KiB."""
    return AioHttpTransport(connection_timeout=_CONNECTION_TIMEOUT_SECONDS, read_timeout=_READ_TIMEOUT_SECONDS)
