"""A file as memory that the system fills as it is read, so that one of any size needs little of this process's own."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The content of a file. Whatever refers to it must be gone when the block ends."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            # An empty file cannot be mapped.
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages, memoryview(pages) as view:
            yield view
