"""What a run of the whole estate tells of module pins: as the report prints it and the table keeps it. Bounded by modules."""

from typing import Final

from pydantic import BaseModel, ConfigDict

from records.timestamps import UtcTime

MOST_STACKS_NAMED: Final = 10
"""Of a version, a reference or a commit; all are counted."""

_FROZEN: Final = ConfigDict(frozen=True, extra="ignore")


class ModuleVersion(BaseModel):
    """A version of a module in use, told as `pins.spread.VersionInUse` is; ``stacks`` are the first few of them."""

    model_config = _FROZEN

    pinned_to: str
    commit: str | None = None
    firmness: str
    stack_count: int
    stacks: tuple[str, ...] = ()
    since: UtcTime | None = None
    behind: int | None = None


class DeployedModulePins(BaseModel):
    """A module and its versions in use, the newest first; ``within`` tells it from others of the same name in its package.

    ``loose_count`` is how many stacks have a reference to it that is not pinned, ``moved_tag_count`` how many of its tags were
    moved.
    """

    model_config = _FROZEN

    module: str
    package: str
    within: str = ""
    newest: str | None = None
    stack_count: int
    loose_count: int = 0
    moved_tag_count: int = 0
    versions: tuple[ModuleVersion, ...]

    @property
    def most_behind(self) -> int:
        """How many releases the oldest version in use is behind the newest."""
        return max((version.behind or 0 for version in self.versions), default=0)


class LooseReference(BaseModel):
    """A reference that is not pinned, as far as anybody can tell, and the stacks that were deployed with it.

    ``pinned_to`` is what it asks for: a branch, or the versions that it allows. ``reason`` is one of `pins.firmness`.
    """

    model_config = _FROZEN

    source: str
    pinned_to: str | None = None
    firmness: str
    reason: str
    stack_count: int
    stacks: tuple[str, ...] = ()


class DeployedCommit(BaseModel):
    """What a tag was for the stacks that deployed it as this commit."""

    model_config = _FROZEN

    commit: str
    stack_count: int
    stacks: tuple[str, ...] = ()


class DeployedMovedTag(BaseModel):
    """A tag that was deployed as more than one commit."""

    model_config = _FROZEN

    package: str
    tag: str
    recorded: tuple[DeployedCommit, ...]


class PinSummary(BaseModel):
    """The pins of all deployed stacks, from their trackers. It changes no verdict and no exit status."""

    model_config = _FROZEN

    modules: tuple[DeployedModulePins, ...] = ()
    loose: tuple[LooseReference, ...] = ()
    moved_tags: tuple[DeployedMovedTag, ...] = ()

    @property
    def spread(self) -> tuple[DeployedModulePins, ...]:
        return tuple(module for module in self.modules if len(module.versions) > 1)

    @property
    def has_something_to_tell(self) -> bool:
        return bool(self.loose or self.moved_tags or self.spread)
