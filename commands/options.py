"""Options that several commands have."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from records.names import is_market_key, is_stack_name
from records.timestamps import parse_utc

_SHORT: Final = 256
_LONG: Final = 2048
"""As many characters as records.tracker takes."""

EstateOption = Annotated[
    Path | None,
    typer.Option("--estate", help="An estate on disk; without it, the account that the settings name.", metavar="DIR"),
]
MarketsOption = Annotated[
    list[str] | None, typer.Option("--market", help="Only this market; repeat it for more.", metavar="MARKET")
]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Write the report to this file.", metavar="FILE")]


def short_text(value: str | None) -> str | None:
    """A text that a record can hold."""
    return _checked(value, _SHORT)


def long_text(value: str | None) -> str | None:
    """A longer one: an address, or a reason."""
    return _checked(value, _LONG)


def _checked(value: str | None, most_characters: int) -> str | None:
    if value is None:
        return None
    if not value.strip() or len(value) > most_characters or not value.isprintable():
        raise typer.BadParameter(f"1 to {most_characters} characters on one line")
    return value


def check_market(name: str) -> None:
    """Refuses what no market can be called."""
    if not is_market_key(name):
        raise typer.BadParameter(f"--market {name}: segments of lower-case letters, digits and '-', joined by '/'")


def check_stack(name: str) -> None:
    """Refuses what no stack can be called."""
    if not is_stack_name(name):
        raise typer.BadParameter(f"--stack {name}: lower-case letters, digits and '-', 63 at most")


def parsed_time(text: str | None, *, option: str) -> datetime | None:
    """A time with its offset, as the option of this name was given it."""
    try:
        return parse_utc(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None


class Answer(StrEnum):
    """How a command that writes records tells what it did."""

    TEXT = "text"
    JSON = "json"


AnswerOption = Annotated[Answer, typer.Option("--format", help="How to tell what was done.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Write it. Without this nothing is written.")]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        help="Who writes, for the log. Default: the pipeline's requester, or you.",
        metavar="WHO",
        callback=short_text,
    ),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why, for whoever reads the history.", metavar="TEXT", callback=long_text)
]


class Listing(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"


ListingOption = Annotated[Listing, typer.Option("--format", help="How to print it.")]
