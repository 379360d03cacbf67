"""What the stores on Azure's tables share: the tables' names, how clients are made, and that a first write makes a table.

A transaction is of one partition, takes 100 rows and 4 MiB at most
(https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

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


async def writing(service: TableServiceClient, table: str, write: Callable[[], Awaitable[None]]) -> None:
    """Writes, and makes the table where it is not there yet."""
    with translated(table):
        try:
            await write()
        except HttpResponseError as error:
            if service_code(error) != TABLE_MISSING:
                raise
            await service.create_table_if_not_exists(table)
            await write()


async def submit(table: TableClient, operations: Sequence[Operation]) -> None:
    """Sends one transaction, again where storage could not take it."""
    await submitted(table, operations)


async def submitted(table: TableClient, operations: Sequence[Operation]) -> Sequence[Mapping[str, Any]]:
    """The same; returns what storage said of each row, such as its ``etag``."""
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
