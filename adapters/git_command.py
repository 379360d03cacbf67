"""Git, as it is asked of a folder on this machine."""

import os
import subprocess
from pathlib import Path
from typing import Final

_LIMIT_SECONDS: Final = 60
_OF_ANOTHER_REPOSITORY: Final = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    }
)
"""What a hook or an alias of git's hands down (``git rev-parse --local-env-vars``); its configuration stays."""


class GitError(Exception):
    """Git is not there, does not end, or says no; the text is its own."""


def git(folder: Path, *arguments: str, allow_failure: bool = False, asked: str = "") -> str:
    """What git prints; nothing where it may fail and does. ``asked`` is what it reads.

    Raises:
        GitError: see there.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    try:
        run = subprocess.run(  # noqa: S603 (no shell; what is not ours is a folder's name)
            ["git", "-C", os.fspath(folder), *arguments],  # noqa: S607 (the one on the PATH, as for Terraform)
            env=environment | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            input=asked.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise GitError("there is no git on the PATH") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(type(error).__name__) from None
    if run.returncode and not allow_failure:
        lines = run.stderr.decode("utf-8", "replace").strip().splitlines()
        fatal = next((line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "")
        raise GitError(fatal or f"status {run.returncode}")
    return run.stdout.decode("utf-8", "surrogateescape")
