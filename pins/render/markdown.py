"""An audit as Markdown: for a comment on a pull request, or a wiki page.

Foreign text stands in ``<code>``, each character that is no letter or digit as its entity: no renderer takes an entity for
markup (CommonMark 0.31, section 2.5), and none looks for mentions or links in code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pins import wording
from pins.audit import Audit
from pins.render.terminal import summary_line
from records.spelling import visible

MOST_LISTED: Final = 100
"""Of each kind."""
_MOST_CHARACTERS: Final = 400
MOST_BYTES: Final = 65_536
"""Of all: GitHub takes a comment of so many characters. What is left of one kind's share goes to the next."""
_FOR_THE_REST: Final = 4_096
"""Bytes for headings, remedies and what is said of rows that are left out."""


@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    remedy: str = ""


def render_markdown(audit: Audit) -> Iterator[str]:
    """Chunks of text, of ``MOST_BYTES`` at most."""
    yield f"# Module pins\n\n{summary_line(audit)}.\n"
    tables = [table for table in _tables(audit) if table.rows]
    left = MOST_BYTES - _FOR_THE_REST
    for number, table in enumerate(tables):
        rows = list(_fitting(table.rows, left // (len(tables) - number)))
        left -= sum(len(row.encode()) for row in rows)
        yield from _written(table, rows)


def _tables(audit: Audit) -> Iterator[_Table]:
    yield _Table(
        "Not pinned",
        ("where", "module", "source", "why"),
        [(str(call.place), call.name, call.source or "", wording.why(call)) for call in audit.loose],
        wording.REMEDY_OF_A_LOOSE_PIN,
    )
    yield _Table(
        "Forked",
        ("where", "resource", "why"),
        [(str(fork.place), fork.address, wording.of_fork(fork)) for fork in audit.forks],
        wording.REMEDY_OF_A_FORK,
    )
    yield _Table(
        "Moved tags",
        ("where", "tag", "why"),
        [
            (", ".join(map(str, moved.places)) or moved.package, moved.tag, wording.of_moved(moved))
            for moved in audit.moved
        ],
        wording.REMEDY_OF_A_MOVED_TAG,
    )
    yield _Table(
        "Not read",
        ("where", "why"),
        [(f"{one.path}:{one.line or ''}".rstrip(":"), wording.of_unread(one)) for one in audit.unread],
    )
    yield _Table(
        "In use at several versions",
        ("module", "version", "by"),
        [
            (module.module.name, wording.version_name(version.pinned_to, version.commit), wording.use_of(version))
            for module in audit.modules
            if module.is_spread
            for version in module.versions
        ],
    )


def _fitting(rows: Sequence[Sequence[str]], most_bytes: int) -> Iterator[str]:
    for row in rows[:MOST_LISTED]:
        text = f"| {' | '.join(map(_code, row))} |\n"
        most_bytes -= len(text.encode())
        if most_bytes < 0:
            return
        yield text


def _written(table: _Table, rows: Sequence[str]) -> Iterator[str]:
    yield f"\n## {table.title}\n\n| {' | '.join(table.head)} |\n|{'---|' * len(table.head)}\n"
    yield from rows
    if len(rows) < len(table.rows):
        yield f"\n{len(table.rows) - len(rows):,} more, which `--format json` lists.\n"
    if table.remedy:
        yield f"\n{table.remedy}\n"


def _code(text: str) -> str:
    if not text:
        return ""
    shown = visible(text)
    shown = shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]}…"
    return f"<code>{''.join(char if char.isalnum() or char in ' /.,-=?()' else f'&#{ord(char)};' for char in shown)}</code>"
