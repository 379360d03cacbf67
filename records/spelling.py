"""How counts, times and foreign text are spelt for a person, alike in every report and in every format."""

from datetime import datetime
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_UNITS_SHOWN: Final = 2


def counted(count: int, noun: str) -> str:
    """``1 stack``, ``1,204 stacks``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: int) -> str:
    """The two largest units, what is less dropped: ``1 d 2 h``, ``5 min 7 s``, ``0 s``. The sign is not shown."""
    left, parts = abs(seconds), []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:_UNITS_SHOWN]) or "0 s"


def to_the_minute(moment: datetime) -> str:
    """``2026-11-23 06:00 UTC``; the moment is UTC."""
    return f"{moment.isoformat(sep=' ', timespec='minutes')[:16]} UTC"


def to_the_second(moment: datetime) -> str:
    """``2026-11-23 06:00:07 UTC``; the moment is UTC."""
    return f"{moment.isoformat(sep=' ', timespec='seconds')[:19]} UTC"


def visible(text: str) -> str:
    r"""The text with each character that does not print shown as its escape (``\n``, ``\x1b``, ``\u202e``).

    A line break, an escape sequence or a change of writing direction in a blob's name or a tag's value must not alter how the
    report around it reads, and a lone surrogate could not be written as UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible_character, text))


def _visible_character(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
