"""How counts and durations are spelt for a person, alike in summaries and in every format."""

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
