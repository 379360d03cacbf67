"""An audit for a terminal: what needs a person, the modules that are in use at several versions, and counts."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from pins import wording
from pins.audit import Audit
from pins.firmness import Firmness
from records.spelling import counted, visible

_INDENT: Final = (0, 0, 0, 2)
MOST_LISTED: Final = 200
"""Of each kind; the JSON has them all."""


def render_terminal(audit: Audit) -> RenderableType:
    """A Rich renderable."""
    return Group(*_parts(audit))


def _parts(audit: Audit) -> Iterator[RenderableType]:
    loose = ((str(call.place), wording.of_call(call), call.source or "") for call in audit.loose)
    yield from _section("Not pinned", loose, len(audit.loose), wording.REMEDY_OF_A_LOOSE_PIN)
    forks = ((str(fork.place), wording.of_fork(fork), "") for fork in audit.forks)
    yield from _section("Forked", forks, len(audit.forks), wording.REMEDY_OF_A_FORK)
    moved = (
        (visible(one.package), wording.of_moved(one), "\n".join(str(place) for place in one.places))
        for one in audit.moved
    )
    yield from _section("Moved tags", moved, len(audit.moved), wording.REMEDY_OF_A_MOVED_TAG)
    unread = (
        (one.path if one.line is None else f"{one.path}:{one.line}", wording.of_unread(one), "") for one in audit.unread
    )
    yield from _section("Not read", unread, len(audit.unread), "")
    spread = [module for module in audit.modules if module.is_spread]
    in_use = ((wording.of_module(module), "\n".join(map(wording.of_version, module.versions)), "") for module in spread)
    yield from _section("In use at several versions", in_use, len(spread), "")
    yield Text(summary_line(audit), style="bold")


def _section(title: str, items: Iterable[tuple[str, str, str]], count: int, remedy: str) -> Iterator[RenderableType]:
    if not count:
        return
    yield Text(f"{title} ({count:,})", style="bold")
    for index, (where, what, aside) in enumerate(items):
        if index == MOST_LISTED:
            yield Padding(Text(f"# {count - MOST_LISTED:,} more, which --format json lists"), _INDENT)
            break
        yield Padding(Text(visible(where), style="cyan", overflow="fold"), _INDENT)
        yield Padding(Text(what, overflow="fold"), (0, 0, 0, 4))
        if aside:
            yield Padding(Text(visible_lines(aside), style="dim", overflow="fold"), (0, 0, 0, 4))
    if remedy:
        yield Padding(Text(f"→ {remedy} {wording.DOCUMENT}"), _INDENT)
    yield Text()


def visible_lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def summary_line(audit: Audit) -> str:
    """``118 module calls: 110 hard, 5 local, 2 floating, 1 unknown``."""
    counts = [f"{audit.counts[firmness]:,} {firmness}" for firmness in reversed(Firmness) if audit.counts[firmness]]
    calls = counted(len(audit.calls), "module call")
    return f"{calls}: {', '.join(counts)}" if counts else calls
