"""Planning what was deployed: the port that the plan check and the healer stand on, and what comes back through it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from records.registry import StateLocation
from records.tracker import Bundle

ReadT = TypeVar("ReadT")


class DiagnosticSeverity(StrEnum):
    """Terraform's own words."""

    ERROR = "error"
    WARNING = "warning"


class Step(StrEnum):
    """The command that was running."""

    INIT = "init"
    PLAN = "plan"
    SHOW = "show"
    APPLY = "apply"
    STATE = "state"


class Cause(StrEnum):
    """Why a command gave no answer."""

    FAILED = "failed"
    """It ended with status 1, and its diagnostics say why."""
    NOT_SIGNED_IN = "not_signed_in"
    """It ended with status 1, and had been refused a token."""
    TIME_LIMIT = "time_limit"
    OUTPUT_LIMIT = "output_limit"
    NO_ROOM = "no_room"
    """It was not started: the machine had no memory, process, file or disk space left for it."""
    KILLED = "killed"
    """By a signal that nobody here sent: the machine ran out of memory, or someone stopped it."""
    UNKNOWN_STATUS = "unknown_status"
    """It ended with a status that this command does not have, or with none that could be read."""
    OTHER_BACKEND = "other_backend"
    """`init` set up another state than the one that was asked for."""
    STATE_LOST = "state_lost"
    """An apply made changes that no state knows of, since the backend did not take it, twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """What Terraform said of one thing, without its values.

    ``summary`` is its first line, with an ellipsis in place of whatever may be a value; ``codes`` are error codes of Azure and
    HTTP statuses out of the rest of the text; ``file`` is in the bundle.
    """

    severity: DiagnosticSeverity
    summary: str
    address: str | None = None
    file: str | None = None
    line: int | None = None
    codes: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        told = [f"{self.severity}: {self.summary}", *self.codes, *(part for part in (self.address, place) if part)]
        return "; ".join(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """There is no answer: nothing can be said of drift.

    ``message`` is a sentence with the remedy. It holds no value.
    """

    step: Step
    cause: Cause
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, and after it what Terraform said."""
        return (self.message, *map(str, self.diagnostics))


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePlan:
    """A plan, as files that are gone once its `DeployedRoot` is.

    Both hold secrets in clear. ``json_file`` is what ``terraform show -json`` wrote and may have hundreds of megabytes;
    ``file`` is what an apply takes. ``has_changes`` is Terraform's own answer: false where an apply would do nothing, though
    there may be drift that the configuration does not care about. ``diagnostics`` are warnings.
    """

    file: Path
    json_file: Path
    has_changes: bool
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The whole plan was applied. ``most_writes`` is how often it can have written the state. ``diagnostics`` are warnings."""

    most_writes: int
    diagnostics: tuple[Diagnostic, ...] = ()


class Reach(StrEnum):
    """How far an apply came that failed, before it began a change."""

    NOT_STARTED = "not_started"
    """Terraform was not started: nothing was applied."""
    NO_LOCK = "no_lock"
    """It did not get the state's lock: nothing was applied."""
    NOT_BEGUN = "not_begun"
    """It is not known to have begun a change: Terraform has refused the plan as stale, say."""
    BEGUN = "begun"
    """It had the lock, and the state that was planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedApply:
    """An apply that failed, and may have done all, some or none of its work.

    ``changed`` is how many changes it is known to have finished; ``most_writes`` is as in `Applied`.
    """

    failure: NoAnswer
    reach: Reach
    changed: int = 0
    most_writes: int


class DeployedRoot(Protocol):
    """A root module as it was deployed, in a folder of its own, for one task at a time."""

    async def plan(self, *, lock_timeout_seconds: int | None = None) -> MadePlan | NoAnswer:
        """Plans what is there now.

        Without ``lock_timeout_seconds`` no lock is taken and the state's blob is left as it was, ETag included. With it the
        state is locked, and somebody else's lock is waited for that long.

        The state must be there, which the caller has looked for: where it is missing, Terraform's azurerm backend writes an
        empty one, and everything would read as to be created.
        """

    async def read(self, plan: MadePlan, reader: Callable[[memoryview], ReadT]) -> ReadT:
        """What ``reader`` makes of the plan's JSON, in a thread of its own.

        The JSON is mapped and not loaded, and gone from memory afterwards: nothing that the reader returns may refer to it.
        """

    async def apply(self, plan: MadePlan, *, lock_timeout_seconds: int) -> Applied | FailedApply:
        """Applies a plan that this module made, exactly. Terraform refuses it where the state has moved since."""


class Planner(Protocol):
    """Unpacks bundles and has Terraform plan them. Safe to use from many tasks and processes at once."""

    def deployed(
        self, *, content: bytes, bundle: Bundle, state: StateLocation, subscription_id: str | None = None
    ) -> AbstractAsyncContextManager[DeployedRoot]:
        """The root module in the bundle ``content``, to be planned against ``state``.

        What Terraform leaves is gone when the block ends, however it ends, and so is every process that it started. Where this
        process is killed both are ended from outside, or at the next start.

        ``subscription_id`` is the market's, for a module that leaves its subscription to the pipeline.

        Raises:
            BundleError: on entering: another hash, or no bundle. Nothing was started.
            SettingsError: on entering: there is no Terraform, or no place to unpack to.
        """
