"""An audit as Markdown: for a comment on a pull request, or a wiki page.

Foreign text stands in ``<code>``, each character that is no letter or digit as its entity: no renderer takes an entity for
markup (CommonMark 0.31, section 2.5), and none looks for mentions or links in code.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from pins import wording
from pins.audit import Audit
from pins.render.terminal import summary_line
from records.spelling import visible

MOST_LISTED: Final = 100
"""Of each kind, which keeps a comment under the 65,536 characters that GitHub allows."""
_MOST_CHARACTERS: Final = 400


def render_markdown(audit: Audit) -> Iterator[str]:
    """Chunks of text."""
    yield f"# Module pins\n\n{summary_line(audit)}.\n"
    yield from _table(
        "Not pinned",
        ("where", "module", "source", "why"),
        [(str(call.place), call.name, call.source or "", wording.BECAUSE[call.pin.reason]) for call in audit.loose],
        wording.REMEDY_OF_A_LOOSE_PIN,
    )
    yield from _table(
        "Forked",
        ("where", "resource", "why"),
        [(str(fork.place), fork.address, wording.of_fork(fork)) for fork in audit.forks],
        wording.REMEDY_OF_A_FORK,
    )
    yield from _table(
        "Moved tags",
        ("where", "tag", "why"),
        [
            (", ".join(map(str, moved.places)) or moved.package, moved.tag, wording.of_moved(moved))
            for moved in audit.moved
        ],
        wording.REMEDY_OF_A_MOVED_TAG,
    )
    yield from _table(
        "Not read",
        ("where", "why"),
        [(f"{one.path}:{one.line or ''}".rstrip(":"), wording.of_unread(one)) for one in audit.unread],
    )
    yield from _table(
        "In use at several versions",
        ("module", "version", "by"),
        [
            (module.module.name, version.pinned_to, wording.of_version(version))
            for module in audit.modules
            if module.is_spread
            for version in module.versions
        ],
    )


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], remedy: str = "") -> Iterator[str]:
    if not rows:
        return
    yield f"\n## {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for row in rows[:MOST_LISTED]:
        yield f"| {' | '.join(map(_code, row))} |\n"
    if len(rows) > MOST_LISTED:
        yield f"\n{len(rows) - MOST_LISTED:,} more, which `--format json` lists.\n"
    if remedy:
        yield f"\n{remedy}\n"


def _code(text: str) -> str:
    if not text:
        return ""
    shown = visible(text)
    shown = shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]}…"
    return f"<code>{''.join(char if char.isalnum() or char in ' /.,-=?()' else f'&#{ord(char)};' for char in shown)}</code>"
