"""Runs a command and prints its peak memory in bytes: ``python -m bench.peak_memory COMMAND [ARGUMENT …]``.

A process of its own, because the kernel counts for a child what its parent held when it was started.
"""

import resource
import subprocess
import sys


def main() -> int:
    """Runs the command with its output dropped; returns its exit status."""
    finished = subprocess.run(sys.argv[1:], check=False, stdout=subprocess.DEVNULL)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main())
