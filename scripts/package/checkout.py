"""What git tracks in a checkout, and whether it is as the commit has it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from adapters.git_command import GitError, git
from scripts.package.errors import PackageError


@dataclass(frozen=True, slots=True)
class Checkout:
    """``commit`` is what is checked out. ``blobs`` has each name in the commit or the index, and the id of its content in the
    commit: None where it is in the index alone.
    """

    commit: str
    blobs: dict[str, str | None]

    def has(self, name: str, content: bytes | None) -> bool:
        """Whether the commit has exactly this content, byte by byte; None is a file that is not there.

        Git is not asked what has changed: it passes over files that it was told to (``update-index --assume-unchanged``), and
        over what its filters change.
        """
        return content is not None and self.blobs.get(name) == _blob_id(content, like=self.commit)


def read_checkout(folder: Path) -> Checkout:
    """Raises:
    PackageError: the folder is not the top of a checkout, or git cannot read it.
    """
    remedy = "The package takes what is committed: build in a clone of trueup's repository."
    try:
        if below := git(folder, "rev-parse", "--show-prefix").strip():
            raise PackageError(f"{folder}: is {below} in another git checkout, and none itself. {remedy}")
        commit = git(folder, "rev-parse", "--verify", "HEAD^{commit}").strip()
        committed = git(folder, "ls-tree", "-r", "-z", commit)
        tracked = git(folder, "ls-files", "-z")
    except GitError as error:
        raise PackageError(f"{folder}: git cannot read it as a checkout ({error}). {remedy}") from None
    blobs: dict[str, str | None] = dict.fromkeys(_listed(tracked))
    for line in _listed(committed):
        described, _, name = line.partition("\t")
        blobs[name] = described.split(" ")[2]
    return Checkout(commit, blobs)


def _listed(printed: str) -> list[str]:
    return printed.split("\0")[:-1]


def _blob_id(content: bytes, *, like: str) -> str:
    """Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects; all ids of a repository are of one kind."""
    kind = hashlib.sha256 if len(like) == hashlib.sha256().digest_size * 2 else hashlib.sha1
    return kind(b"blob %d\0" % len(content) + content).hexdigest()
