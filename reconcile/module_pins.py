"""Adds the module calls of deployed stacks up to what the report tells of pins. Holds modules and versions, not calls."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from pins.calls import ModuleCall, call_as_deployed
from pins.modules import Module
from pins.moved import MovedTag, TagTally
from pins.spread import ModuleInUse, SpreadTally
from records.errors import StoreError
from records.module_pins import (
    MOST_STACKS_NAMED,
    DeployedCommit,
    DeployedModulePins,
    DeployedMovedTag,
    LooseReference,
    ModuleVersion,
    PinSummary,
)
from records.modules import DeployedModule
from records.plan_checks import stack_path
from records.ports import PinStore
from records.results import Run

_LOG: Final = logging.getLogger(__name__)
_Reference = tuple[str, str, str, str]


@dataclass(slots=True)
class _Loose:
    stacks: set[str] = field(default_factory=set)
    count: int = 0


@dataclass(slots=True)
class PinTally:
    """Takes the calls of markets in any order."""

    _spread: SpreadTally = field(default_factory=lambda: SpreadTally(most_users=MOST_STACKS_NAMED))
    _tags: TagTally = field(default_factory=lambda: TagTally(most_stacks=MOST_STACKS_NAMED))
    _loose: dict[_Reference, _Loose] = field(default_factory=dict)
    _loose_stacks: dict[Module, int] = field(default_factory=dict)

    def add(self, modules: Iterable[DeployedModule]) -> None:
        """The calls of a market, those of a stack together."""
        for (market, stack), of_stack in groupby(modules, key=lambda module: (module.market, module.stack)):
            calls = [call_as_deployed(module) for module in of_stack]
            self._spread.add(calls)
            self._tags.add(calls)
            self._add_loose(stack_path(market, stack), [call for call in calls if call.pin.is_loose])

    def summary(self) -> PinSummary:
        moved = self._tags.moved()
        return PinSummary(
            modules=tuple(
                self._module(module, sum(module.module in one.modules for one in moved))
                for module in self._spread.modules()
            ),
            loose=tuple(
                LooseReference(
                    source=source,
                    pinned_to=pinned_to or None,
                    firmness=firmness,
                    reason=reason,
                    stack_count=loose.count,
                    stacks=tuple(sorted(loose.stacks)),
                )
                for (source, pinned_to, firmness, reason), loose in sorted(self._loose.items())
            ),
            moved_tags=tuple(map(_moved, moved)),
        )

    def _add_loose(self, stack: str, calls: list[ModuleCall]) -> None:
        for reference in {
            (call.source or "", call.pin.pinned_to or "", str(call.pin.firmness), str(call.pin.reason))
            for call in calls
        }:
            loose = self._loose.setdefault(reference, _Loose())
            loose.count += 1
            loose.stacks.add(stack)
            if len(loose.stacks) > MOST_STACKS_NAMED:
                loose.stacks.remove(max(loose.stacks))
        for module in {call.module for call in calls} - {None}:
            if module:
                self._loose_stacks[module] = self._loose_stacks.get(module, 0) + 1

    def _module(self, module: ModuleInUse, moved_tag_count: int) -> DeployedModulePins:
        return DeployedModulePins(
            module=module.module.name,
            package=module.module.package,
            within=module.module.within,
            newest=module.newest,
            stack_count=module.user_count,
            loose_count=self._loose_stacks.get(module.module, 0),
            moved_tag_count=moved_tag_count,
            versions=tuple(
                ModuleVersion(
                    pinned_to=version.pinned_to,
                    commit=version.commit,
                    firmness=str(version.firmness),
                    stack_count=version.user_count,
                    stacks=version.users,
                    since=version.since,
                    behind=version.behind,
                )
                for version in module.versions
            ),
        )


def _moved(moved: MovedTag) -> DeployedMovedTag:
    return DeployedMovedTag(
        package=moved.package,
        tag=moved.tag,
        recorded=tuple(
            DeployedCommit(commit=one.commit, stack_count=one.stack_count, stacks=one.stacks) for one in moved.recorded
        ),
    )


async def keep_pins(store: PinStore, *, run: Run, pins: PinSummary) -> None:
    """Keeps what a run tells of pins. What cannot be kept is logged and no problem: pins change no run's exit status."""
    try:
        await store.save_pins(run=run, pins=pins)
    except StoreError as error:
        _LOG.warning("module pins of run %s are not kept, its reports have them: %s", run.run_id, error)
