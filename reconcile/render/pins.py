"""What the report says of module pins, one sentence each, in every format."""

from typing import Final

from records.module_pins import DeployedMovedTag, LooseReference, ModuleVersion
from records.spelling import counted

SAID: Final = "Module pins change no verdict: docs/runbook.md#part-3-module-pins says what to do."
_SHORT_COMMIT: Final = 12
_NAMED: Final = 3


def users(stacks: tuple[str, ...], count: int) -> str:
    """``2 stacks (de/app, fr/app)``."""
    shown = ", ".join(stacks[:_NAMED])
    more = count - min(len(stacks), _NAMED)
    return f"{counted(count, 'stack')} ({shown}{f' and {more:,} more' if more else ''})"


def version_of(version: ModuleVersion) -> str:
    return version.pinned_to or "no version"


def use_of(version: ModuleVersion) -> str:
    behind = f", {counted(version.behind, 'release')} behind" if version.behind else ""
    since = f", since {version.since:%Y-%m-%d}" if version.since else ""
    return f"{users(version.stacks, version.stack_count)}{behind}{since}"


def loose_of(reference: LooseReference) -> str:
    return f"{reference.reason.replace('_', ' ')}: {users(reference.stacks, reference.stack_count)}"


def moved_of(moved: DeployedMovedTag) -> str:
    return "; ".join(f"{one.commit[:_SHORT_COMMIT]} for {users(one.stacks, one.stack_count)}" for one in moved.recorded)
