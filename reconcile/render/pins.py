"""What the report says of module pins, one sentence each, in every format."""

from typing import Final

from pins import wording
from records.module_pins import DeployedMovedTag, LooseReference, ModuleVersion
from records.spelling import counted, visible

SAID: Final = "Module pins change no verdict: docs/runbook.md#part-3-module-pins says what to do."
_NAMED: Final = 3


def users(stacks: tuple[str, ...], count: int) -> str:
    """``2 stacks (de/app, fr/app)``."""
    return f"{counted(count, 'stack')} ({wording.named(stacks, count, most=_NAMED)})"


def version_of(version: ModuleVersion) -> str:
    return wording.version_name(version.pinned_to, version.commit)


def use_of(version: ModuleVersion) -> str:
    return users(version.stacks, version.stack_count) + wording.distance(version.behind, version.since)


def loose_of(reference: LooseReference) -> str:
    """``version range, ~> 1.2: 2 stacks (de/app, fr/app)``."""
    asked = f", {visible(reference.pinned_to)}" if reference.pinned_to else ""
    return f"{reference.reason.replace('_', ' ')}{asked}: {users(reference.stacks, reference.stack_count)}"


def moved_of(moved: DeployedMovedTag) -> str:
    return "; ".join(f"{wording.short(one.commit)} for {users(one.stacks, one.stack_count)}" for one in moved.recorded)
