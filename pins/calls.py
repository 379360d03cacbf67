"""The module calls of a configuration, each with the line that decides its version."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from pins.configuration import Argument, Block, BlockKind, Configuration, ConfigurationFile, Origin
from pins.firmness import NotLiteral, Pin, pin_as_deployed, pin_of
from pins.modules import Module, module_of, version_of
from pins.versions import Version, parse_version
from records.module_sources import masked_source
from records.modules import DeployedModule
from records.names import tracker_blob

_MOST_REFERENCES: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call was found: a file's line, from 1, or a tracker, whose call no line is known of.

    ``path`` is relative to the repository's root, or is the tracker's blob; ``market`` and ``stack`` are a tracker's.
    """

    origin: Origin
    path: str
    line: int | None = None
    market: str | None = None
    stack: str | None = None
    deployed_at: datetime | None = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCall:
    """A module call: its path (``keyvault``, ``keyvault.roles``), where it is, and how firmly it is pinned.

    ``source`` and ``version`` are as written, with the secrets in them masked; None where they are not there or not written
    out. ``deployed_version`` is what a tracker says that a registry gave, ``commit`` what it says that a ref was.
    """

    name: str
    place: Place
    source: str | None
    version: str | None
    pin: Pin
    deployed_version: str | None = None
    commit: str | None = None
    is_fetched: bool = False

    @property
    def module(self) -> Module | None:
        return module_of(self.pin)

    @property
    def release(self) -> Version | None:
        """The full version that is in use: the one that was deployed, else the one that it is pinned to."""
        return parse_version(self._given) if self._given else version_of(self.pin)

    @property
    def version_in_use(self) -> str:
        """The release, alike however it is written; else what it is pinned to, empty where to nothing."""
        return str(self.release or self._given or self.pin.pinned_to or "")

    @property
    def commit_in_use(self) -> str | None:
        """What a ref that is not pinned was when it was deployed; None where the pin tells, or nobody can."""
        return self.commit.lower() if self.commit and self.pin.is_loose else None

    @property
    def _given(self) -> str | None:
        return self.deployed_version if self.pin.is_by_version else None


def calls_of(configuration: Configuration) -> Iterator[ModuleCall]:
    """Every call of every module of it, with the override files merged over them as Terraform does.

    Source: https://developer.hashicorp.com/terraform/language/files/override#merging-module-blocks, and hashicorp/terraform
    ``internal/configs/module_merge.go``: ``source`` and ``version`` are replaced each on its own.
    """
    modules: dict[tuple[str, str], list[ConfigurationFile]] = defaultdict(list)
    for file in configuration.files:
        modules[file.root, file.folder].append(file)
    for files in modules.values():
        yield from _calls_of_module(sorted(files, key=lambda file: file.path))


@lru_cache(maxsize=_MOST_REFERENCES)
def _as_deployed(source: str, version: str | None, constraint: str | None) -> tuple[str, Pin]:
    """A source without its secrets, and its pin: an estate has few references, and each of them in many stacks."""
    return masked_source(source), pin_as_deployed(source, version=version, constraint=constraint)


def call_as_deployed(module: DeployedModule) -> ModuleCall:
    """A call that a tracker tells of."""
    source, pin = _as_deployed(module.source, module.version, module.constraint)
    return ModuleCall(
        name=module.name,
        place=Place(
            origin=Origin.TRACKER,
            path=tracker_blob(module.market, module.stack),
            market=module.market,
            stack=module.stack,
            deployed_at=module.deployed_at,
        ),
        source=source,
        version=module.constraint,
        pin=pin,
        deployed_version=module.version,
        commit=module.commit,
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """An argument, and the file that it prevails in."""

    argument: Argument
    file: ConfigurationFile


def _calls_of_module(files: Iterable[ConfigurationFile]) -> Iterator[ModuleCall]:
    own = [(file, block) for file in files if not file.is_override for block in _calls(file)]
    overriding: dict[str, list[tuple[ConfigurationFile, Block]]] = defaultdict(list)
    for file in files:
        if file.is_override:
            for block in _calls(file):
                overriding[block.name].append((file, block))
    for file, block in own:
        yield _call(file, block, overriding.get(block.name, []))
    known = {block.name for _, block in own}
    for name in sorted(overriding.keys() - known):
        # Terraform refuses what overrides nothing; whoever reads the report should see it all the same.
        (file, block), *rest = overriding[name]
        yield _call(file, block, rest)


def _calls(file: ConfigurationFile) -> Iterator[Block]:
    return (block for block in file.blocks if block.kind is BlockKind.MODULE)


def _call(file: ConfigurationFile, block: Block, overriding: list[tuple[ConfigurationFile, Block]]) -> ModuleCall:
    source = _Written(block.source, file) if block.source else None
    version = _Written(block.version, file) if block.version else None
    for over, by in overriding:
        source = _Written(by.source, over) if by.source else source
        version = _Written(by.version, over) if by.version else version
    source_text = source.argument.text if source else None
    version_text = version.argument.text if version else None
    pin = pin_of(source_text, version_text, folder=file.folder)
    deciding = version if version and pin.is_by_version else source
    place = Place(
        origin=file.origin,
        path=deciding.file.path if deciding else file.path,
        line=deciding.argument.line if deciding else block.line,
    )
    return ModuleCall(
        name=block.name,
        place=place,
        source=None if source_text is None or isinstance(source_text, NotLiteral) else masked_source(source_text),
        version=None if isinstance(version_text, NotLiteral) else version_text,
        pin=pin,
        is_fetched=file.is_fetched,
    )
