"""The app's own files: those that git tracks, but for what ``func azure functionapp publish`` would leave out too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

from scripts.package.archive import Entry
from scripts.package.checkout import read_checkout
from scripts.package.errors import PackageError, spelt

IGNORE_FILE: Final = ".funcignore"
_NEEDED: Final = ("host.json", "function_app.py", "requirements.txt")
_BUILDING: Final = (IGNORE_FILE, "scripts/package/")
"""Are not packed, and decide what is."""


@dataclass(frozen=True, slots=True)
class AppFiles:
    """``changed`` are the names of what is not as ``commit`` has it: other, new or gone."""

    entries: list[Entry]
    commit: str
    changed: list[str]


def app_files(source: Path, *, with_changes: bool) -> AppFiles:
    """All files of a checkout that git tracks but for those that ``.funcignore`` names. What git does not track never goes in.

    Raises:
        PackageError: a file is not there or not tracked without which Functions would find no app, or is a link; or one is
            not as it was committed, unless that is to be packed ``with_changes``.
    """
    missing = [name for name in (IGNORE_FILE, *_NEEDED) if not (source / name).is_file()]
    if missing:
        raise PackageError(f"{source}: {', '.join(missing)} not found. Build in a checkout of trueup.")
    ignored = GitIgnoreSpec.from_lines((source / IGNORE_FILE).read_text("utf-8").splitlines())
    checkout = read_checkout(source)
    packed = {name for name in checkout.blobs if not ignored.match_file(name)}
    for name in _NEEDED:
        if name not in checkout.blobs:
            raise PackageError(f"{source / name}: is not tracked by git. Add it, and commit it.")
        if name not in packed:
            raise PackageError(f"{source / IGNORE_FILE}: leaves out {name}. Take the line out.")
    building = {name for name in checkout.blobs if name.startswith(_BUILDING)} | {IGNORE_FILE}
    contents = {name: _content(source, name) for name in sorted(packed | building)}
    changed = [name for name, content in contents.items() if not checkout.has(name, content)]
    if changed and not with_changes:
        raise PackageError(
            f"{source}: not as commit {checkout.commit} has it: {', '.join(_told(name, contents) for name in changed)}. "
            f"Commit what is to be deployed, or build with the changes by {spelt('with-changes')}: the package names them. "
            "What git does not show was hidden from it by core.autocrlf or `git update-index`."
        )
    entries = [Entry(name, content) for name, content in contents.items() if name in packed and content is not None]
    return AppFiles(entries, checkout.commit, changed)


def _content(source: Path, name: str) -> bytes | None:
    """Read once, so that what is packed is what was compared; None where there is no such file."""
    file = source / name
    if file.resolve() != source.resolve() / name:
        raise PackageError(
            f"{file}: is a link, or in a folder that is one. Put a file there, or list it in {IGNORE_FILE}."
        )
    return file.read_bytes() if file.is_file() else None


def _told(name: str, contents: dict[str, bytes | None]) -> str:
    return name if contents[name] is not None else f"{name} (gone)"
