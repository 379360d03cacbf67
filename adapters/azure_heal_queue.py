"""The queue of heals in Azure Queue Storage, which the Functions host takes messages from (host.json, ``queues``)."""

from typing import Any, Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineResponse
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from adapters.azure_errors import service_code, translated
from adapters.azure_retries import BlobRetryPolicy, RetryLimits, new_transport
from adapters.clock import utc_now
from adapters.heal_messages import to_message
from records.errors import StoreUnavailableError
from records.heals import QUEUE, HealJob
from records.ports import Clock

QUEUE_MISSING: Final = "QueueNotFound"
_QUEUE_EXISTS: Final = "QueueAlreadyExists"
_NOT_TAKEN: Final = frozenset({429, 503})
"""Throttled, or busy (https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes). A 500 or 504 says that
time ran out, not what became of the message."""


class QueueRetryPolicy(BlobRetryPolicy):
    """As for blobs, except for a message: it is sent again only where its answer says that the queue did not take it.

    A message sent again after its answer was lost would be two. One that was lost with its answer is made up for when its job
    has expired. azure-core itself leaves a POST alone that got no answer.
    """

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        if response.http_request.method == "POST":
            return bool(response.http_response.status_code in _NOT_TAKEN)
        return super().is_retry(settings, response)


class AzureHealQueue:
    """A `HealQueue` on a storage account, which the first message makes."""

    def __init__(self, service: QueueServiceClient, *, clock: Clock = utc_now) -> None:
        # The Functions host expects Base64 unless its host.json says otherwise.
        self._queue: QueueClient = service.get_queue_client(QUEUE, message_encode_policy=TextBase64EncodePolicy())
        self._clock = clock

    async def send(self, *, job: HealJob, delay_seconds: int = 0) -> None:
        message = to_message(job).decode()
        seconds_left = int((job.expires_at - self._clock()).total_seconds())
        if seconds_left <= delay_seconds:
            raise StoreUnavailableError(QUEUE, f"job {job.job_id} expires before a worker could find its message")
        with translated(QUEUE):
            await put_message(self._queue, message, time_to_live=seconds_left, visibility_timeout=delay_seconds)


async def put_message(queue: QueueClient, message: str, *, time_to_live: int, visibility_timeout: int = 0) -> None:
    """Puts a message into a queue, which is made where it is missing. Times are seconds; a life of -1 has no end.

    Raises:
        AzureError: the queue did not take it, as far as is known.
    """
    times = {"time_to_live": time_to_live, "visibility_timeout": visibility_timeout}
    try:
        await queue.send_message(message, **times)
    except HttpResponseError as error:
        if service_code(error) != QUEUE_MISSING:
            raise
        await _make(queue)
        await queue.send_message(message, **times)


async def _make(queue: QueueClient) -> None:
    try:
        await queue.create_queue()
    except HttpResponseError as error:
        if service_code(error) != _QUEUE_EXISTS:
            raise


def connect_with_identity(
    account_url: str, credential: AsyncTokenCredential, limits: RetryLimits
) -> QueueServiceClient:
    return QueueServiceClient(
        account_url, credential=credential, retry_policy=QueueRetryPolicy(limits), transport=new_transport()
    )


def connect_with_string(connection_string: str, limits: RetryLimits) -> QueueServiceClient:
    return QueueServiceClient.from_connection_string(
        connection_string, retry_policy=QueueRetryPolicy(limits), transport=new_transport()
    )
