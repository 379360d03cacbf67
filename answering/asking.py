"""What HTTP asks for, validated: a request's body, and the names in its URL."""

from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from records.names import is_market_key

MOST_BODY_BYTES: Final = 16 * 1024
"""The scope of a run is an orchestration's input, and so a payload of its history; no other body needs more."""

BodyT = TypeVar("BodyT", bound=BaseModel)


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
    """More than `MOST_BODY_BYTES`; the text is the remedy."""


def check_size(body: bytes, *, remedy: str) -> None:
    """Raises:
    BodyTooLargeError
    """
    if len(body) > MOST_BODY_BYTES:
        raise BodyTooLargeError(remedy)


def parse_body(body: bytes, model: type[BodyT], *, takes: str) -> BodyT:
    """The JSON object of a body, as this model; ``takes`` tells an asker which fields there are.

    Raises:
        BadRequestError: names the fields that are wrong, and none of their values.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _bad_request(error, takes) from None


def parse_market(name: str) -> str:
    """The key of a market, from a URL.

    Raises:
        BadRequestError
    """
    if not is_market_key(name):
        raise BadRequestError("a market's key is segments of lower-case letters, digits and '-', joined by '/'")
    return name


def _bad_request(error: ValidationError, takes: str) -> BadRequestError:
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
    return BadRequestError(takes, errors)
