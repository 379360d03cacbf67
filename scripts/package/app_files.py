"""The app's own files: what `func azure functionapp publish` would take."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

from scripts.package.archive import Entry
from scripts.package.errors import PackageError

IGNORE_FILE: Final = ".funcignore"
_NEEDED: Final = ("host.json", "function_app.py", "requirements.txt")


def app_files(source: Path) -> list[Entry]:
    """All files of a checkout but for those that ``.funcignore`` names.

    Raises:
        PackageError: a file is not there without which Functions would find no app, or is a link out of the checkout.
    """
    missing = [name for name in (IGNORE_FILE, *_NEEDED) if not (source / name).is_file()]
    if missing:
        raise PackageError(f"{source}: {', '.join(missing)} not found. Build in a checkout of trueup.")
    ignored = GitIgnoreSpec.from_lines((source / IGNORE_FILE).read_text("utf-8").splitlines())
    found = [Entry(name, source / name) for name in _names(source, ignored)]
    left_out = {*_NEEDED} - {entry.name for entry in found}
    if left_out:
        raise PackageError(f"{source / IGNORE_FILE}: leaves out {', '.join(sorted(left_out))}. Take the line out.")
    return found


def _names(source: Path, ignored: GitIgnoreSpec) -> Iterator[str]:
    for folder, folders, files in os.walk(source):
        below = Path(folder).relative_to(source)
        folders[:] = [name for name in folders if not ignored.match_file(f"{(below / name).as_posix()}/")]
        for name in ((below / file).as_posix() for file in files):
            if not ignored.match_file(name):
                if not (source / name).resolve().is_relative_to(source.resolve()):
                    raise PackageError(
                        f"{source / name}: links to what is outside. Remove it, or list it in {IGNORE_FILE}."
                    )
                yield name
