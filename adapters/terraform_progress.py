"""How far an apply came, by what it printed about each resource (``-json``).

Terraform takes the state's lock and compares the state with the plan's before it begins a change, and prints that it has begun
one before it asks a provider for it. So who has begun one had the lock, and the very state that was planned.

A state's serial counts its writes. On disk the state is written after each resource, and once more in the end. The azurerm
backend is written in the end, and on the way after a resource, but not the first, no more often than every 20 s.

Sources: hashicorp/terraform ``website/docs/internals/machine-readable-ui.mdx``, ``internal/backend/local/backend_local.go``
(``localRunForPlanFile``), ``hook_state.go`` (``StateHook``, ``DefaultStatePersistInterval``),
``internal/states/statemgr/filesystem.go`` (``writeState``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from records.terraform import Cause, FailedApply, NoAnswer, Reach

_LONGEST_LINE_BYTES: Final = 256 * 1024
_PERSIST_SECONDS: Final = 20.0
_NO_LOCK: Final = "Error acquiring the state lock"
_START, _COMPLETE, _ERRORED = "apply_start", "apply_complete", "apply_errored"
_NO_CHANGES: Final = frozenset({"read", "no-op", "noop"})


class _Hook(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    action: str


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    hook: _Hook


@dataclass(slots=True, kw_only=True)
class Progress:
    """How many resources an apply has begun with, has ended with, and how many of them it has changed.

    ``most_writes`` is how often it can have written the state.
    """

    begun: int = 0
    ended: int = 0
    changed: int = 0
    most_writes: int = 1

    def failed(self, failure: NoAnswer) -> FailedApply:
        """The apply as one that failed."""
        return FailedApply(
            failure=failure, reach=self._reach(failure), changed=self.changed, most_writes=self.most_writes
        )

    def _reach(self, failure: NoAnswer) -> Reach:
        if failure.cause is Cause.NO_ROOM:
            return Reach.NOT_STARTED
        if self.begun:
            return Reach.BEGUN
        has_no_lock = any(one.summary == _NO_LOCK for one in failure.diagnostics)
        return Reach.NO_LOCK if has_no_lock and failure.cause is Cause.FAILED else Reach.NOT_BEGUN


def read_progress(stdout: Path, *, seconds: float, is_on_disk: bool) -> Progress:
    """What an apply has printed that took so long; what cannot be read does not count."""
    progress = Progress()
    if stdout.exists():
        _count(stdout, progress)
    on_the_way = progress.ended if is_on_disk else min(max(progress.ended - 1, 0), int(seconds // _PERSIST_SECONDS))
    progress.most_writes = on_the_way + 1
    return progress


def _count(stdout: Path, progress: Progress) -> None:
    with stdout.open("rb") as file:
        while line := file.readline(_LONGEST_LINE_BYTES):
            if b'"type":"apply_' not in line:
                continue
            try:
                said = _Line.model_validate_json(line)
            except ValidationError:
                continue
            progress.begun += said.type == _START
            progress.ended += said.type in {_COMPLETE, _ERRORED}
            progress.changed += said.type == _COMPLETE and said.hook.action not in _NO_CHANGES
