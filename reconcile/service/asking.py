"""What HTTP asks for, validated: the body of ``POST /api/reconcile``, and the names in URLs."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from records.names import MarketKey, StackName, is_market_key, is_run_id
from records.runs import MOST_MARKETS_ASKED_FOR, MOST_STACKS_ASKED_FOR, Scope

MOST_BODY_BYTES: Final = 16 * 1024
"""A scope is an orchestration's input, and so a payload of its history."""


class FieldError(BaseModel):
    """What is wrong with one field; never its value."""

    model_config = ConfigDict(frozen=True)

    field: str
    message: str


class BadRequestError(Exception):
    """What was asked for cannot be understood."""

    def __init__(self, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors


class BodyTooLargeError(Exception):
    """More than `MOST_BODY_BYTES`."""


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
    if len(body) > MOST_BODY_BYTES:
        raise BodyTooLargeError
    if not body.strip():
        return Scope()
    try:
        asked = _Body.model_validate_json(body)
    except ValidationError as error:
        raise _bad_request(error) from None
    return Scope(markets=tuple(asked.markets), stacks=tuple(asked.stacks)).normalised()


def parse_market(name: str) -> str:
    """The key of a market, from a URL.

    Raises:
        BadRequestError
    """
    if not is_market_key(name):
        raise BadRequestError("a market's key is segments of lower-case letters, digits and '-', joined by '/'")
    return name


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


def _bad_request(error: ValidationError) -> BadRequestError:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    errors = tuple(
        FieldError(
            field="".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"]).lstrip("."),
            message=detail["msg"],
        )
        for detail in details
    )
    if not details[0]["loc"]:
        return BadRequestError(f"the body is no JSON object: {errors[0].message}")
    return BadRequestError('the body takes "markets" and "stacks", both lists of names and both optional', errors)
