"""The real command line in a process that a test holds back at the start, or kills after one of its writes.

Run as ``python -m tests.world.disturbed_cli record …``. Without the variables below it is ``python -m cli``.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from azure.core.pipeline.transport import AioHttpTransport

CUT_OFF_AFTER = "DISTURBED_CUT_OFF_AFTER"
"""Dies as soon as storage has answered this many requests that write, of blobs and tables alike."""
READY_FD = "DISTURBED_READY_FD"
"""Writes a byte to this pipe when all is loaded, then waits until its stdin is closed."""

_READS = frozenset({"GET", "HEAD"})


def wait_to_be_let_go(ready_fd: int) -> None:
    os.write(ready_fd, b".")
    os.close(ready_fd)
    sys.stdin.read()


def die_after(writes: int) -> None:
    """Nothing is flushed, closed or cleaned up: the machine that ran the pipeline is gone."""
    send = AioHttpTransport.send
    answered = 0

    async def counting_send(transport: AioHttpTransport, request: Any, **options: Any) -> Any:
        nonlocal answered
        response = await send(transport, request, **options)
        if request.method not in _READS:
            answered += 1
            if answered == writes:
                os.kill(os.getpid(), signal.SIGKILL)
        return response

    setattr(AioHttpTransport, "send", counting_send)  # noqa: B010 (mypy has no words for a method that is replaced)


def disturb(variables: Mapping[str, str]) -> None:
    if CUT_OFF_AFTER in variables:
        die_after(int(variables[CUT_OFF_AFTER]))
    if READY_FD in variables:
        wait_to_be_let_go(int(variables[READY_FD]))


if __name__ == "__main__":
    # Not above: whoever starts the process needs the names of its variables alone.
    cli = importlib.import_module("cli")
    disturb(os.environ)
    cli.main()
