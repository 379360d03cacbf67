"""What a door sets in its own process."""

import gc
import os
import sys
from typing import Final

_OBJECTS_BETWEEN_COLLECTIONS: Final = 10_000


def spare_the_collector() -> None:
    """Has Python look for garbage less often: a request through the SDK makes some thousand objects, few of them cycles.

    Takes a tenth off a run's processor time for some 5 MB of memory (measured with ``make bench``).
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def discard_stdout() -> None:
    """After whoever reads the output has read enough of it: Python would try to flush the rest as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
