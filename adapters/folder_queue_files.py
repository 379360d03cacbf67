"""The files of a queue beside an estate on disk.

``DIR/queues/{queue}/{name}.json`` is a message, and nothing else is in that folder. What is known of it beside its content is
in ``DIR/queues/.{queue}/{name}.json``; ``{name}.lock`` there is the lock of who has it, ``.lock`` that of who changes
something.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.folder_locks import FileHold, try_lock
from adapters.folder_writing import etag_of, locked, replace_file
from records.timestamps import UtcTime

_QUEUES: Final = "queues"
_MESSAGES: Final = "[!.]*.json"


class Handling(BaseModel):
    """What is known of the message whose ETag is ``of``: from when on it may be taken (UTC), and how often it was."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    of: str
    not_before: UtcTime | None = None
    tries: int = 0


class QueueFiles:
    """A queue's files. All of its methods but `changing` are for who is within `changing`, and raise `OSError`."""

    def __init__(self, root: Path, queue: str) -> None:
        self._root = root / _QUEUES
        self._messages = self._root / queue
        self._beside = self._root / f".{queue}"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keeps all others out, for milliseconds.

        Raises:
            OSError: also `filelock.Timeout`, where another stays for half a minute.
        """
        for folder in (self._messages, self._beside):
            folder.mkdir(parents=True, exist_ok=True)
        with locked(self._beside / ".lock"):
            yield

    def put(self, name: str, content: bytes, *, not_before: datetime | None = None) -> None:
        """A message in place of the one of this name. Who dies before its handling is written has sent it without delay."""
        etag = etag_of(replace_file(self._messages / name, content))
        self._keep(name, Handling(of=etag, not_before=not_before))

    def oldest_first(self) -> list[tuple[str, str]]:
        """The name and ETag of every message."""
        found = [(file.stat(), file.name) for file in self._messages.glob(_MESSAGES) if file.is_file()]
        return [(name, etag_of(status)) for status, name in sorted(found, key=lambda one: (one[0].st_mtime_ns, one[1]))]

    def handling(self, name: str, etag: str) -> Handling:
        """What is not known, or of an earlier message of the name, is as if it had never been taken."""
        with suppress(FileNotFoundError, ValidationError):
            kept = Handling.model_validate_json((self._beside / name).read_bytes())
            if kept.of == etag:
                return kept
        return Handling(of=etag)

    def try_take(self, name: str) -> FileHold | None:
        """The hold on a message; None where another has it."""
        return try_lock(self._lock_file(name))

    def taken(self, name: str, handling: Handling) -> tuple[bytes, int]:
        """Counts a try, then gives the content and how many tries there were."""
        tries = handling.tries + 1
        self._keep(name, handling.model_copy(update={"tries": tries}))
        return (self._messages / name).read_bytes(), tries

    def remove(self, name: str, etag: str, *, into: str | None = None) -> None:
        """Removes a message, or moves it into another queue; one that was sent under its name meanwhile is left alone."""
        file = self._messages / name
        if not file.exists() or etag_of(file.stat()) != etag:
            return
        if into:
            folder = self._root / into
            folder.mkdir(parents=True, exist_ok=True)
            file.replace(folder / name)
        else:
            file.unlink()
        (self._beside / name).unlink(missing_ok=True)

    def forget_lock(self, name: str) -> None:
        """For who holds it: removes the lock's file where there is no such message any more."""
        if not (self._messages / name).exists():
            self._lock_file(name).unlink(missing_ok=True)

    def _keep(self, name: str, handling: Handling) -> None:
        replace_file(self._beside / name, handling.model_dump_json().encode())

    def _lock_file(self, name: str) -> Path:
        return self._beside / f"{name}.lock"
