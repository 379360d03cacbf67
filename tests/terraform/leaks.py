"""Looks for secrets where none may be: in texts, in rows of tables with what is compressed in them, in files."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from commands.printing import print_to
from drift.render.json import render_json
from drift.render.markdown import render_markdown
from drift.render.terminal import render_terminal
from records.plan_checks import CheckReport

_PLANTED: Final = re.compile(rb"planted-[a-z-]+")
_KEY: Final = re.compile(rb'"([A-Za-z0-9+/]{64})"')
"""What `tests.world.azsim.kinds.new_secret` makes."""
_GZIP: Final = b"\x1f\x8b"
_ENOUGH_TO_BE_KNOWN: Final = 12


def secrets_in(document: bytes) -> frozenset[bytes]:
    """Every secret of the simulated cloud, and every planted one, that a plan or a state holds in clear."""
    return frozenset([*_PLANTED.findall(document), *_KEY.findall(document)])


def leaks(secrets: Iterable[str | bytes], places: Mapping[str, str | bytes]) -> list[str]:
    """Where which secret was found. A part of one is one, and so is one as JSON escapes it."""
    found = []
    for secret in secrets:
        known = secret.encode() if isinstance(secret, str) else secret
        assert len(known) >= _ENOUGH_TO_BE_KNOWN, known
        for place, content in places.items():
            text = content.encode() if isinstance(content, str) else content
            if known[: _ENOUGH_TO_BE_KNOWN + 4] in text or known in text:
                found.append(f"{known.decode()} in {place}")
    return found


def text_of_rows(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, bytes]:
    """By table, what is in its rows, out of its compression."""
    return {
        table: b"\n".join(_plain(value) for row in of_table for value in (*row.keys(), *row.values()))
        for table, of_table in rows.items()
    }


def contents(files: Iterable[Path]) -> dict[str, bytes]:
    return {str(path): _plain(path.read_bytes()) for path in files}


def rendered(report: CheckReport) -> dict[str, str]:
    """In all formats."""
    terminal = io.StringIO()
    print_to(terminal, render_terminal(report))
    return {
        "json": "".join(render_json(report)),
        "markdown": "".join(render_markdown(report)),
        "terminal": terminal.getvalue(),
    }


def _plain(value: Any) -> bytes:
    if isinstance(value, bytes):
        return gzip.decompress(value) if value.startswith(_GZIP) else value
    return value.encode() if isinstance(value, str) else json.dumps(value, default=str).encode()
