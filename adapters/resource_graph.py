"""Who changed a resource last, from Azure Resource Graph's table ``resourcechanges``.

The table keeps 14 days; a change shows within about five minutes. What is not in it, by Microsoft's list of limits
(https://learn.microsoft.com/azure/governance/resource-graph/changes/resource-graph-changes#limitations): whatever went through
a data plane; settings, configuration and files of ``Microsoft.Web/sites``; many child resources; resource groups and
subscriptions, which have a table of their own; and resources whose provider lets Resource Graph pull no state. So 'unknown' is
an ordinary answer here, and says nothing of whether somebody clicked.

The queries need Reader on the subscription. Where a cloud other than Azure's public one is used, the SDK takes the address and
the token's audience from ``AZURE_SDK_CLOUD_CONF`` (``AZURE_US_GOVERNMENT``, ``AZURE_CHINA_CLOUD``), as azure-identity takes its
own from ``AZURE_AUTHORITY_HOST``; a ``base_url`` alone would leave the audience that of the public cloud.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineResponse
from azure.mgmt.resourcegraph.aio import ResourceGraphClient
from azure.mgmt.resourcegraph.models import QueryRequest, QueryRequestOptions, QueryResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.azure_retries import new_transport
from records.resource_changes import ResourceChange
from records.timestamps import UtcTime

_LOG: Final = logging.getLogger(__name__)

_TIME_LIMIT_SECONDS: Final = 30.0
_IDS_PER_QUERY: Final = 200
"""An id is some 200 characters, so this is a query of 40 KB. Microsoft recommends groups of less than 300
(https://learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests#grouping-queries) and
documents no limit of a query's length. As a query has a row per id at most, each also fits the first page by far: the only one
that is given where a ``summarize`` cannot be paged
(https://learn.microsoft.com/azure/governance/resource-graph/concepts/query-language#supported-tabulartop-level-operators).
"""
_ROWS_PER_PAGE: Final = 1000
"""The most that is allowed (https://learn.microsoft.com/azure/governance/resource-graph/concepts/work-with-data)."""

_USUAL_QUOTA: Final = 15
"""What Microsoft names as an example, until an answer says what is true."""
_QUOTA_REMAINING: Final = "x-ms-user-quota-remaining"
_QUOTA_RESETS_AFTER: Final = "x-ms-user-quota-resets-after"
_HOURS_MINUTES_SECONDS: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)
_JITTER: Final = 0.5
_RETRIED: Final = frozenset({"POST"})
"""azure-core sends no POST again as a rule; a query can be asked twice."""

_SAYS_NOTHING: Final = frozenset({"", "unknown", "unspecified"})
"""'Unknown' is a client that Azure did not recognise; 'Unspecified' is seen where nobody is named
(https://github.com/projectkudu/AzureResourceExplorer/issues/369). 'System', a change in the background, does say something.
"""
_NOT_IN_A_LITERAL: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]|\{\{|\}\}")
"""What no id is asked about with: line breaks end a literal, and Resource Graph puts a shared query in place of ``{{uri}}``
(https://learn.microsoft.com/azure/governance/resource-graph/concepts/query-language#shared-query-syntax-preview).
"""

# `id` is in every row since Resource Graph gives no skip token without it.
_QUERY: Final = """\
resourcechanges
| extend targetId = tolower(tostring(properties.targetResourceId)), \
changedAt = todatetime(properties.changeAttributes.timestamp), \
changedBy = tostring(properties.changeAttributes.changedBy), \
client = tostring(properties.changeAttributes.clientType)
| where targetId in~ ({ids})
| summarize arg_max(changedAt, id, changedBy, client) by targetId
| project id, targetId, changedAt, changedBy, client
| order by targetId asc"""


class ResourceGraphChangeHistory:
    """Asks Resource Graph, one query for 200 resources of a subscription; see `records.resource_changes.ChangeHistory`.

    A call gives what it has learnt after ``time_limit_seconds``, waiting for the quota and retries included. Whatever goes
    wrong costs one line of warning, with the kind of error alone. One object per process: its callers share the quota.

    ``client_options`` are those of `ResourceGraphClient`: ``base_url``, ``transport``, azure-core's options of retries.
    ``clock`` is in seconds, from any start. The credential is the caller's to close.

    Raises:
        ValueError: ``AZURE_SDK_CLOUD_CONF`` names no cloud.
    """

    def __init__(
        self,
        credential: AsyncTokenCredential,
        *,
        time_limit_seconds: float = _TIME_LIMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **client_options: Any,  # noqa: ANN401 (the client's own, whose types are its matter)
    ) -> None:
        client_options.setdefault("transport", new_transport())
        self._client = ResourceGraphClient(credential, **client_options)
        self._time_limit_seconds = time_limit_seconds
        self._quota = _Quota(clock, sleep)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def last_changes(
        self, *, subscription_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, ResourceChange]:
        ids = sorted({resource_id.lower() for resource_id in resource_ids if not _NOT_IN_A_LITERAL.search(resource_id)})
        learnt = _Learnt(asked=frozenset(ids))
        try:
            async with asyncio.timeout(self._time_limit_seconds):
                for start in range(0, len(ids), _IDS_PER_QUERY):
                    await self._ask(subscription_id, ids[start : start + _IDS_PER_QUERY], learnt)
        except Exception as error:  # noqa: BLE001 (credentials and the SDK raise many things; an author is worth no failed run)
            learnt.troubles.append(_kind(error))
        if learnt.troubles:
            _LOG.warning("Resource Graph did not tell all that was asked: %s", ", ".join(sorted(set(learnt.troubles))))
        return learnt.changes

    async def _ask(self, subscription_id: str, ids: Sequence[str], learnt: "_Learnt") -> None:
        query = _QUERY.format(ids=", ".join(map(_quoted, ids)))
        skip_token: str | None = None
        while True:
            options = QueryRequestOptions(result_format="objectArray", top=_ROWS_PER_PAGE, skip_token=skip_token)
            request = QueryRequest(subscriptions=[subscription_id], query=query, options=options)
            page: QueryResponse | None
            async with self._quota.one_request():
                page = await self._client.resources(
                    request, raw_response_hook=self._quota.learn, retry_on_methods=_RETRIED
                )
            learnt.add(page)
            skip_token = page.skip_token if page else None
            if not skip_token:
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learnt:
    """What one call has found so far; a time limit may end it between any two pages."""

    asked: frozenset[str]
    changes: dict[str, ResourceChange] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def add(self, page: QueryResponse | None) -> None:
        """Takes over a page. Of an empty body the SDK makes None, whatever its types say."""
        if page is None or not isinstance(page.data, list):
            self.troubles.append("an answer without rows")
            return
        if page.result_truncated == "true" and not page.skip_token:
            self.troubles.append("an answer cut short")
        for value in page.data:
            try:
                row = _Row.model_validate(value)
            except ValidationError:
                self.troubles.append("a row that cannot be read")
                continue
            change = ResourceChange(
                changed_by=_said(row.changed_by), changed_at=row.changed_at, client=_said(row.client)
            )
            target_id = row.target_id.lower()
            if target_id in self.asked and change != ResourceChange():
                self.changes[target_id] = change


class _Row(BaseModel):
    """A row of the answer. ``changed_by`` is an e-mail address, an application's or object's id, or 'System'; ``client`` a name
    for people such as 'Azure Portal', or an application's id
    (https://learn.microsoft.com/azure/governance/resource-graph/changes/get-resource-changes).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    target_id: str = Field(alias="targetId")
    changed_at: UtcTime | None = Field(alias="changedAt")
    changed_by: str | None = Field(alias="changedBy")
    client: str | None = Field(alias="client")


class _Quota:
    """How many requests Resource Graph still allows, by the headers of its answers: some 15 in 5 seconds, of one identity
    (https://learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests).

    Requests run side by side, each taken off what is left, so that one that hangs holds up no other.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._remaining = _USUAL_QUOTA
        self._resets_at = clock()
        self._in_flight = 0

    @asynccontextmanager
    async def one_request(self) -> AsyncIterator[None]:
        """Waits until a request is allowed, and counts it."""
        async with self._lock:
            while self._remaining < 1 and (wait_seconds := self._resets_at - self._clock()) > 0:
                # Up to half as long again: other processes of this identity wait for the same moment.
                await self._sleep(wait_seconds * (1 + random.random() * _JITTER))  # noqa: S311 (spreads load, hides nothing)
            self._remaining = (self._remaining if self._remaining > 0 else _USUAL_QUOTA) - 1
            self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def learn(self, response: PipelineResponse[Any, Any]) -> None:
        """Takes over what an answer says, less what else is under way. Headers that cannot be read say nothing."""
        headers = response.http_response.headers
        remaining = str(headers.get(_QUOTA_REMAINING, ""))
        resets_after = _HOURS_MINUTES_SECONDS.fullmatch(str(headers.get(_QUOTA_RESETS_AFTER, "")))
        if resets_after and remaining.isdecimal():
            hours, minutes, seconds = map(float, resets_after.groups())
            self._remaining = int(remaining) - (self._in_flight - 1)
            self._resets_at = self._clock() + hours * 3600 + minutes * 60 + seconds


def _quoted(resource_id: str) -> str:
    r"""A string literal of KQL, in which a backslash escapes ``'`` and itself
    (https://learn.microsoft.com/kusto/query/scalar-data-types/string#string-literals).
    """
    return "'" + resource_id.replace("\\", r"\\").replace("'", r"\'") + "'"


def _said(text: str | None) -> str | None:
    """The text, or None where it says nothing."""
    stripped = (text or "").strip()
    return None if stripped.lower() in _SAYS_NOTHING else stripped


def _kind(error: Exception) -> str:
    """What sort of error it is, without its words, which may quote an id or a URL."""
    status = f" {error.status_code}" if isinstance(error, HttpResponseError) and error.status_code else ""
    return f"{type(error).__name__}{status}"
