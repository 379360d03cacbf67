"""What the commands that write records share: who writes, and how what they did is told."""

import json
import secrets
import sys
from contextlib import AbstractContextManager, nullcontext

from pydantic import JsonValue
from rich.console import Console, RenderableType

from adapters.bootstrap import Estate
from adapters.clock import utc_now
from adapters.pipeline_environment import Pipeline, current_user
from commands.options import Answer, Listing
from commands.printing import print_to
from recording.author import Author
from recording.book import RecordBook
from records.record_log import RecordCommand

_SESSION_BYTES = 6


def author_of(
    command: RecordCommand, *, by: str | None, pipeline: Pipeline, run_id: str | None = None, reason: str | None = None
) -> Author:
    """As asked for, else whoever the pipeline runs for, else the user of this machine."""
    return Author(
        by=by or pipeline.by or current_user(),
        command=command,
        at=utc_now(),
        session_id=secrets.token_hex(_SESSION_BYTES),
        run_id=run_id or pipeline.run_id,
        reason=reason,
    )


def book_of(estate: Estate, author: Author) -> RecordBook:
    return RecordBook(writer=estate.writer, log=estate.log, author=author)


def tell(answer: Answer | Listing, *, text: RenderableType, document: JsonValue) -> None:
    if answer in {Answer.JSON, Listing.JSON}:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        print_to(sys.stdout, text)


def working(doing: str) -> AbstractContextManager[object]:
    """Says on a terminal what takes its time; in a pipe nothing."""
    console = Console(stderr=True)
    return console.status(doing) if console.is_terminal else nullcontext()
