"""What is asked of reconciling over HTTP, validated: the body of ``POST /api/reconcile``, and the ids of runs."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from answering.asking import BadRequestError, check_size, parse_body
from records.names import MarketKey, StackName, is_run_id
from records.runs import MOST_MARKETS_ASKED_FOR, MOST_STACKS_ASKED_FOR, Scope

_TAKES: Final = 'the body takes "markets" and "stacks", both lists of names and both optional'


class _Body(BaseModel):
    """``markets`` and ``stacks`` to look at; what is absent is all there are."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    markets: Annotated[list[MarketKey], Field(min_length=1, max_length=MOST_MARKETS_ASKED_FOR)] = []
    stacks: Annotated[list[StackName], Field(min_length=1, max_length=MOST_STACKS_ASKED_FOR)] = []


def parse_scope(body: bytes) -> Scope:
    """The scope of a request's body; none at all is the whole estate.

    An empty list, or null, is refused: it may come of a query that found nothing, and must not mean everything.

    Raises:
        BodyTooLargeError, BadRequestError
    """
    check_size(body, remedy="leave markets out")
    if not body.strip():
        return Scope()
    asked = parse_body(body, _Body, takes=_TAKES)
    return Scope(markets=tuple(asked.markets), stacks=tuple(asked.stacks)).normalised()


def parse_run_id(name: str) -> str:
    """The id of a run, from a URL.

    Raises:
        BadRequestError
    """
    if not is_run_id(name):
        raise BadRequestError("a run's id is letters, digits, '.', '_' and '-', 64 at most")
    return name


def api_url_of(request_url: str) -> str:
    """Where the API is, from the URL of a request to one of its routes: without its query, which may hold a function key."""
    parts = urlsplit(request_url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').rpartition('/')[0]}"
