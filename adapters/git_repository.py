"""What git says of a repository on this machine: its tags, its branches, and what is checked out. Nothing is fetched.

Source: https://git-scm.com/docs/git-for-each-ref; ``*objectname`` is the commit that an annotated tag stands for.
"""

from pathlib import Path
from typing import Final

from adapters.bundle_unpacking import shown
from adapters.git_command import GitError, git
from pins.library import LibraryRepository
from records.errors import ConfigurationError

_FORMAT: Final = "%(refname)%00%(objectname)%00%(*objectname)"
_TAGS: Final = "refs/tags/"
_HEADS: Final = "refs/heads/"
_REMOTES: Final = "refs/remotes/"
_GIT_FOLDER: Final = ".git"


def read_library(folder: Path) -> LibraryRepository:
    """The library's repository, which may be bare.

    Raises:
        ConfigurationError: it is none, or git cannot read it.
    """
    try:
        # A bare repository has no top.
        top = git(folder, "rev-parse", "--show-toplevel", allow_failure=True).strip()
        refs = git(folder, "for-each-ref", f"--format={_FORMAT}", _TAGS, _HEADS, _REMOTES)
        remotes = git(folder, "config", "--get-regexp", r"^remote\..*\.(push)?url$", allow_failure=True)
    except GitError as error:
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
        return git(folder, f"--git-dir={git_folder}", "rev-parse", "--verify", "HEAD^{commit}").strip() or None
    except GitError:
        return None
