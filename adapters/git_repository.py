"""What git says of a repository on this machine: its tags, its branches, and what is checked out. Nothing is fetched.

Source: https://git-scm.com/docs/git-for-each-ref; ``*objectname`` is what an annotated tag stands for: before git 2.45 that of
one level, which is another tag where a tag was made of a tag.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from adapters.bundle_unpacking import shown
from adapters.git_command import GitError, git
from pins.library import LibraryRepository
from pins.versions import TAGS
from records.errors import ConfigurationError

_FORMAT: Final = "%00".join(
    f"%({field})" for field in ("refname", "objecttype", "objectname", "*objecttype", "*objectname")
)
_HEADS: Final = "refs/heads/"
_REMOTES: Final = "refs/remotes/"
_GIT_FOLDER: Final = ".git"
_COMMIT: Final = "commit"
_TAG: Final = "tag"


def read_library(folder: Path) -> LibraryRepository:
    """The library's repository, which may be bare.

    Raises:
        ConfigurationError: it is none, or git cannot read it.
    """
    root = folder.resolve()
    try:
        # A bare repository has no top.
        top = git(root, "rev-parse", "--show-toplevel", allow_failure=True).rstrip("\n")
        is_shallow = git(root, "rev-parse", "--is-shallow-repository").strip() == "true"
        refs = git(root, "for-each-ref", f"--format={_FORMAT}", TAGS, _HEADS, _REMOTES)
        remotes = git(root, "config", "--get-regexp", r"^remote\..*\.(push)?url$", allow_failure=True)
        tags, branches = _refs(root, refs)
    except GitError as error:
        raise ConfigurationError(
            f"--library {shown(folder)}: git cannot read it ({error}). Give the folder of the library's repository."
        ) from None
    return LibraryRepository(
        root=root.as_posix(),
        top=top or root.as_posix(),
        tags=tags,
        branches=branches,
        remotes=tuple(url for _, _, url in (line.partition(" ") for line in remotes.split("\n")) if url),
        is_shallow=is_shallow,
    )


def commits_there(folder: Path, commits: Collection[str]) -> frozenset[str]:
    """Which of these whole commits the repository has.

    Raises:
        ConfigurationError: git cannot say.
    """
    try:
        return frozenset(_commits_of(folder, commits).values())
    except GitError as error:
        raise ConfigurationError(
            f"--library {shown(folder)}: git cannot read its commits ({error}). Clone it anew."
        ) from None


def checked_out_commit(folder: Path) -> str | None:
    """The commit that is checked out in this very folder; None where it is no repository of its own, or git cannot say."""
    # Git takes a relative --git-dir from the folder that -C leads to.
    git_folder = folder.resolve() / _GIT_FOLDER
    if not git_folder.exists():
        # Git would look further up, and find the repository that the folder happens to be in.
        return None
    try:
        return git(folder, f"--git-dir={git_folder}", "rev-parse", "--verify", "HEAD^{commit}").strip() or None
    except GitError:
        return None


def _refs(root: Path, refs: str) -> tuple[Mapping[str, str], frozenset[str]]:
    """The commit of each tag, without those of anything else, such as a file; and the names of the branches."""
    tags, branches, nested = dict[str, str](), set[str](), list[str]()
    # A ref's name may hold what else ends a line.
    for line in filter(None, refs.split("\n")):
        name, kind, found, kind_of_tag, found_of_tag = line.split("\0")
        if name.startswith(_HEADS):
            branches.add(name.removeprefix(_HEADS))
        elif name.startswith(_REMOTES):
            branches.add(name.removeprefix(_REMOTES).partition("/")[2])
        elif (kind_of_tag or kind) == _TAG:
            nested.append(name)
        elif (kind_of_tag or kind) == _COMMIT:
            tags[name.removeprefix(TAGS)] = found_of_tag or found
    peeled = _commits_of(root, nested)
    return tags | {name.removeprefix(TAGS): commit for name, commit in peeled.items()}, frozenset(branches)


def _commits_of(folder: Path, names: Collection[str]) -> Mapping[str, str]:
    """The commit that each name stands for in the end; without those that stand for none.

    Source: https://git-scm.com/docs/git-cat-file#_batch_output.
    """
    if not names:
        return {}
    answers = git(folder, "cat-file", "--batch-check", asked="".join(f"{name}^{{commit}}\n" for name in names))
    read = (answer.split(" ") for answer in answers.split("\n"))
    return {name: answer[0] for name, answer in zip(names, read, strict=False) if answer[1:2] == [_COMMIT]}
