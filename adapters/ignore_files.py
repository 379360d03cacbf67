"""What a folder's ignore files exclude: read as git reads them (gitignore(5)), except that git's own index is not asked."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from adapters.bundle_unpacking import shown
from records.errors import BundleError

GIT_FOLDER: Final = ".git"
GITIGNORE: Final = ".gitignore"
TRUEUPIGNORE: Final = ".trueupignore"


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of an ignore file that excludes something, and what to do to have it in all the same."""

    ignore_file: Path
    line: str
    remedy: str

    def __str__(self) -> str:
        return f"the line {self.line!r} of {shown(self.ignore_file)} excludes it. If it holds no secret, {self.remedy}."


class IgnoreRules:
    """The .gitignore files from the top of a folder's repository down, and then the folder's own .trueupignore."""

    def __init__(self, folder: Path) -> None:
        self.trueupignore = folder / TRUEUPIGNORE
        self.top = next((above for above in (folder, *folder.parents) if (above / GIT_FOLDER).exists()), folder)
        self._read: dict[Path, list[tuple[str, GitIgnoreSpecPattern]]] = {}

    def excluding(self, path: Path, *, is_folder: bool) -> Rule | None:
        """The rule that excludes this very path; the last to match in the nearest file decides."""
        gitignores = [above / GITIGNORE for above in path.parents if above.is_relative_to(self.top)]
        for ignore_file in (self.trueupignore, *gitignores):
            if ignore_file.parent in path.parents:
                relative = path.relative_to(ignore_file.parent).as_posix() + ("/" if is_folder else "")
                for line, pattern in reversed(self._rules(ignore_file)):
                    if _is_about(pattern, relative):
                        return Rule(ignore_file, line, self._remedy(path, ignore_file)) if pattern.include else None
        return None

    def excluding_from(self, below: Path, path: Path) -> Rule | None:
        """The rule that excludes a file or one of the folders between it and ``below``."""
        folders = [above for above in path.parents if above != below and above.is_relative_to(below)]
        rules = (self.excluding(above, is_folder=True) for above in reversed(folders))
        return next(filter(None, rules), None) or self.excluding(path, is_folder=False)

    def _remedy(self, path: Path, ignore_file: Path) -> str:
        where = self.trueupignore if self.trueupignore.parent in path.parents else ignore_file
        return f"add the line `!/{shown(path.relative_to(where.parent))}` to {shown(where)}"

    def _rules(self, ignore_file: Path) -> list[tuple[str, GitIgnoreSpecPattern]]:
        if ignore_file not in self._read:
            try:
                text = ignore_file.read_text(encoding="utf-8-sig", errors="surrogateescape")
                lines = [line for line in text.split("\n") if line]
                self._read[ignore_file] = [(line, GitIgnoreSpecPattern(line)) for line in lines]
            except FileNotFoundError:
                self._read[ignore_file] = []
            except (OSError, GitIgnorePatternError, re.error) as error:
                raise BundleError(f"{shown(ignore_file)}: it cannot be read ({error}). Correct or delete it.") from None
        return self._read[ignore_file]


def _is_about(pattern: GitIgnoreSpecPattern, path: str) -> bool:
    """Whether it matches this very path, a folder's with a '/' at its end; pathspec's also match all that is below a folder.

    The one group of its expression is that '/' of a folder.
    """
    matches = pattern.regex.finditer(path) if pattern.regex else ()
    return any(
        match.end(match.lastindex) == len(path) if match.lastindex else match.re.search(path.rstrip("/")) is not None
        for match in matches
    )
