"""What a pipeline knows of a deploy when it asks for it to be recorded."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from records.bundles import PackedBundle
from records.registry import Elsewhere, StateLocation
from records.tracker import ModulePin, Outcome

BY_THE_PIPELINE: Final = "pipeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateClaims:
    """Who says where the stack's state is: the command line (``asked_for``), or the folder that was deployed (``initialised``).

    None of them: the registry's entry says it.
    """

    asked_for: StateLocation | None = None
    initialised: StateLocation | Elsewhere | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """One apply of one stack that has ended, ``deployed_at`` in UTC.

    ``subscription_id`` is what the command line says, ``signed_in_to`` what the pipeline's environment does: it serves where a
    market is new. ``serial_before`` and ``serial_after`` are the state's serials before and after the apply, where the pipeline
    knows them.
    """

    market: str
    stack: str
    deployed_at: datetime
    outcome: Outcome = Outcome.SUCCEEDED
    release: str | None = None
    commit: str | None = None
    run_id: str | None = None
    run_url: str | None = None
    subscription_id: str | None = None
    signed_in_to: str | None = None
    serial_before: int | None = None
    serial_after: int | None = None
    state: StateClaims = StateClaims()
    bundle: PackedBundle | None = None
    modules: tuple[ModulePin, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.market}/{self.stack}"
