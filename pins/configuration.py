"""What is read of Terraform's configuration: the blocks of a file that say which modules are called and what is defined."""

from dataclasses import dataclass
from enum import StrEnum

from pins.firmness import Text


class Origin(StrEnum):
    """Where a call, or a file, was found."""

    FOLDER = "folder"
    BUNDLE = "bundle"
    TRACKER = "tracker"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument's text, where it is written out, and its line, from 1."""

    text: Text
    line: int


class BlockKind(StrEnum):
    """The blocks that are looked at."""

    MODULE = "module"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of a file; ``name`` is its last label, ``type`` a resource's first."""

    kind: BlockKind
    name: str
    line: int
    type: str | None = None
    source: Argument | None = None
    version: Argument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFile:
    """A file that Terraform loads.

    ``path`` is relative to the repository's ``root``, with '/' between its segments, or begins with that of the bundle that it
    is in; ``folder`` is that of the module, relative to ``root``. ``is_fetched`` is whether `terraform init` put it there.
    """

    origin: Origin
    path: str
    folder: str
    root: str
    blocks: tuple[Block, ...]
    is_fetched: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_override(self) -> bool:
        """Source: https://developer.hashicorp.com/terraform/language/files/override."""
        stem = self.name.removesuffix(".json").rpartition(".")[0]
        return stem == "override" or stem.endswith("_override")


class Trouble(StrEnum):
    """Why something was not read."""

    BROKEN_HCL = "broken_hcl"
    BROKEN_JSON = "broken_json"
    NOT_UTF8 = "not_utf8"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    SYMLINK_LOOP = "symlink_loop"
    OUTSIDE_REPOSITORY = "outside_repository"
    MISSING_MODULE = "missing_module"
    UNREADABLE_TRACKER = "unreadable_tracker"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadPath:
    """Something that could not be read: nobody knows what it calls. ``line`` is from 1; ``why`` holds nothing of the file."""

    path: str
    trouble: Trouble
    why: str
    origin: Origin = Origin.FOLDER
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that was read of the folders and bundles, and what could not be."""

    files: tuple[ConfigurationFile, ...] = ()
    unread: tuple[UnreadPath, ...] = ()
