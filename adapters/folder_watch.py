"""The process that watches over a private folder: it does what the folder's maker cannot, once that was killed.

It is a script of few imports, since one starts beside every plan. `adapters.private_folder` says the rest.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

_WAIT_SECONDS = 0.05


def watch_over(grace_seconds: float, orders: int) -> None:
    """Waits for the maker's death, which is the end of ``orders``, then ends the process groups that it named.

    As `adapters.terraform_process` does: one SIGINT to each leader, time, then SIGKILL to the whole group.
    """
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    with os.fdopen(orders) as lines:
        for line in lines:
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    alive = {group for group in groups if _told(os.kill, group, signal.SIGINT)}
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline and any(_told(os.kill, group, 0) for group in alive):
        time.sleep(_WAIT_SECONDS)
    for group in groups:
        _told(os.killpg, group, signal.SIGKILL)


def _told(tell: Callable[[int, int], None], process: int, number: int) -> bool:
    try:
        tell(process, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    watch_over(float(sys.argv[1]), sys.stdin.fileno())
    os.execv(sys.executable, [sys.executable, "-I", "-S", *sys.argv[2:]])  # noqa: S606 (the folder's remover)
