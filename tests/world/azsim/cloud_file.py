"""The cloud: one JSON file that many providers and one test write at the same time.

A writer holds a lock, and the file is replaced in one step, so a reader needs no lock and never sees half of it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CloudFile:
    """Content: `resources` by id (`type`, `attributes`), `data_sources` by type, `faults` by id and operation."""

    path: Path

    def create(self, content: JsonObject) -> None:
        self._write(content)

    def read(self) -> JsonObject:
        content: JsonObject = json.loads(self.path.read_bytes())
        return content

    @contextmanager
    def edit(self) -> Iterator[JsonObject]:
        """Give the content to be changed in place; where it did not change, the file is left alone.

        Nothing is written where the block raises.
        """
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.path.read_bytes()
            content: JsonObject = json.loads(before)
            yield content
            if _text(content) != before:
                self._write(content)

    def _write(self, content: JsonObject) -> None:
        unfinished = self.path.with_suffix(f".{os.getpid()}.new")
        unfinished.write_bytes(_text(content))
        unfinished.replace(self.path)


def _text(content: JsonObject) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
