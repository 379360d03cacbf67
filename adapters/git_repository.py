"""What git says of a repository on this machine: its tags, its branches, and what is checked out. Nothing is fetched.

Source: https://git-scm.com/docs/git-for-each-ref; ``*objectname`` is the commit that an annotated tag stands for.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

from adapters.bundle_unpacking import shown
from pins.library import LibraryRepository
from records.errors import ConfigurationError

_FORMAT: Final = "%(refname)%00%(objectname)%00%(*objectname)"
_TAGS: Final = "refs/tags/"
_HEADS: Final = "refs/heads/"
_REMOTES: Final = "refs/remotes/"
_LIMIT_SECONDS: Final = 60
_GIT_FOLDER: Final = ".git"
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


class _GitError(Exception):
    """Git is not there, does not end, or says no; the text is its own."""


def read_library(folder: Path) -> LibraryRepository:
    """The library's repository, which may be bare.

    Raises:
        ConfigurationError: it is none, or git cannot read it.
    """
    try:
        # A bare repository has no top.
        top = _git(folder, "rev-parse", "--show-toplevel", allow_failure=True).strip()
        refs = _git(folder, "for-each-ref", f"--format={_FORMAT}", _TAGS, _HEADS, _REMOTES)
        remotes = _git(folder, "config", "--get-regexp", r"^remote\..*\.(push)?url$", allow_failure=True)
    except _GitError as error:
        raise ConfigurationError(
            f"--library {shown(folder)}: git cannot read it ({error}). Give the folder of the library's repository."
        ) from None
    tags, branches = dict[str, str](), set[str]()
    for line in refs.splitlines():
        name, commit, peeled = line.split("\0")
        if name.startswith(_TAGS):
            tags[name.removeprefix(_TAGS)] = peeled or commit
        elif name.startswith(_HEADS):
            branches.add(name.removeprefix(_HEADS))
        else:
            branches.add(name.removeprefix(_REMOTES).partition("/")[2])
    return LibraryRepository(
        root=folder.resolve().as_posix(),
        tags=tags,
        branches=frozenset(branches),
        remotes=(
            *([top] if top else []),
            *(url for _, _, url in (line.partition(" ") for line in remotes.splitlines()) if url),
        ),
    )


def checked_out_commit(folder: Path) -> str | None:
    """The commit that is checked out in this very folder; None where it is no repository of its own, or git cannot say."""
    git_folder = folder / _GIT_FOLDER
    if not git_folder.exists():
        # Git would look further up, and find the repository that the folder happens to be in.
        return None
    try:
        return _git(folder, f"--git-dir={git_folder}", "rev-parse", "--verify", "HEAD^{commit}").strip() or None
    except _GitError:
        return None


def _git(folder: Path, *arguments: str, allow_failure: bool = False) -> str:
    """What git prints; nothing where it may fail and does."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    try:
        run = subprocess.run(  # noqa: S603 (no shell; what is not ours is a folder's name)
            ["git", "-C", os.fspath(folder), *arguments],  # noqa: S607 (the one on the PATH, as for Terraform)
            env=environment | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise _GitError("there is no git on the PATH") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _GitError(type(error).__name__) from None
    if run.returncode and not allow_failure:
        lines = run.stderr.decode("utf-8", "replace").strip().splitlines()
        fatal = next((line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "")
        raise _GitError(fatal or f"status {run.returncode}")
    return run.stdout.decode("utf-8", "surrogateescape")
