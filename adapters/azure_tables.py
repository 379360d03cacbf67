"""What the stores on Azure's tables share: how clients are made, and that a first write makes a table.

A transaction is of one partition, takes 100 rows and 4 MiB at most
(https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables.aio import TableClient, TableServiceClient

from adapters.azure_errors import service_code, translated
from adapters.azure_retries import JitteredTableServiceClient, RetryLimits, new_transport

ROWS_PER_TRANSACTION: Final = 100
REPLACE: Final[dict[str, Any]] = {"mode": "replace"}
TABLE_MISSING: Final = "TableNotFound"
_NOT_FOUND: Final = 404
_RETRIED: Final = frozenset({"POST"})
"""A transaction is a POST, which azure-core leaves alone as a rule; ours can be sent again."""

Operation = tuple[str, dict[str, Any], dict[str, Any]]
Written = TypeVar("Written")


def connect_with_identity(
    account_url: str, credential: AsyncTokenCredential, limits: RetryLimits
) -> TableServiceClient:
    return JitteredTableServiceClient(
        account_url, credential=credential, transport=new_transport(), **limits.policy_options()
    )


def connect_with_string(connection_string: str, limits: RetryLimits) -> TableServiceClient:
    return JitteredTableServiceClient.from_connection_string(
        connection_string, transport=new_transport(), **limits.policy_options()
    )


@contextmanager
def reading(table: str) -> Iterator[None]:
    """For reads: a table is made by the first write, and holds nothing before."""
    with translated(table):
        try:
            yield
        except ResourceNotFoundError as error:
            if service_code(error) != TABLE_MISSING:
                raise


async def writing(service: TableServiceClient, table: str, write: Callable[[], Awaitable[object]]) -> None:
    """Writes, and makes the table where it is not there yet."""
    with translated(table):
        await with_table(service, table, write)


async def with_table(service: TableServiceClient, table: str, write: Callable[[], Awaitable[Written]]) -> Written:
    """The same; raises what the SDK does, and returns what the write does."""
    try:
        return await write()
    except HttpResponseError as error:
        if service_code(error) != TABLE_MISSING:
            raise
        await service.create_table_if_not_exists(table)
        return await write()


async def submit(table: TableClient, operations: Sequence[Operation]) -> Sequence[Mapping[str, Any]]:
    """Sends one transaction, again where storage could not take it; returns what it said of each row, such as its ``etag``."""
    return await table.submit_transaction(operations, retry_on_methods=_RETRIED)


async def delete_rows(table: TableClient, rows: Sequence[Mapping[str, Any]]) -> None:
    """Removes rows of one partition. One that is gone already, by another run's hand, is no matter."""
    for start in range(0, len(rows), ROWS_PER_TRANSACTION):
        some = rows[start : start + ROWS_PER_TRANSACTION]
        try:
            await submit(table, [("delete", dict(row), {}) for row in some])
        except HttpResponseError as error:
            if error.status_code != _NOT_FOUND:
                raise
            for row in some:
                # Alone, the SDK takes a row that is not there for deleted.
                await table.delete_entity(row["PartitionKey"], row["RowKey"])
