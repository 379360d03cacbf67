"""Times as the records spell them: ISO 8601, UTC when no offset is given, written with ``Z``."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer

_LENGTH_OF_A_DATE: Final = len("2026-11-23")


def parse_utc(text: str) -> datetime:
    """The moment that an ISO 8601 date and time names; without an offset it is UTC.

    A date alone is refused: it would be off by up to a day, and tier 3 compares to within five minutes.
    Digits beyond the microsecond, which Terraform's lock writes, are dropped.

    Raises:
        ValueError: the text is no date and time, or lies outside the years 1 to 9999 in UTC.
    """
    if len(text) <= _LENGTH_OF_A_DATE:
        raise ValueError("a date and time is needed, such as 2026-11-23T05:12:00Z")
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("not an ISO 8601 date and time, such as 2026-11-23T05:12:00Z") from None


def format_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with ``Z``, to the second where there is no fraction."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _to_utc(value: object) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, str):
        return parse_utc(value)
    raise ValueError("a time is written as text, such as 2026-11-23T05:12:00Z")


UtcTime = Annotated[datetime, BeforeValidator(_to_utc), PlainSerializer(format_utc, return_type=str, when_used="json")]
