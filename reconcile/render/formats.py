"""How words, times and foreign text are spelt for a person, alike in every format."""

from datetime import datetime

from reconcile.spelling import duration


def words(name: str) -> str:
    """A verdict, status or note as words: ``pipeline_drift`` is ``pipeline drift``."""
    return name.replace("_", " ")


def to_the_minute(moment: datetime) -> str:
    """``2026-11-23 06:00 UTC``; the moment is UTC."""
    return f"{moment.isoformat(sep=' ', timespec='minutes')[:16]} UTC"


def to_the_second(moment: datetime) -> str:
    """``2026-11-23 06:00:07 UTC``; the moment is UTC."""
    return f"{moment.isoformat(sep=' ', timespec='seconds')[:19]} UTC"


def age(since: datetime, *, at: datetime) -> str:
    """How long before a run something was so; ``in this run`` where it is less than a minute, or later."""
    seconds = int((at - since).total_seconds())
    return "in this run" if seconds < 60 else f"{duration(seconds)} before this run"


def visible(text: str) -> str:
    r"""The text with each character that does not print shown as its escape (``\n``, ``\u202e``).

    A line break or a change of writing direction in a blob's name must not alter how the report around it
    reads, and a lone surrogate could not be written as UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible_character, text))


def _visible_character(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
