"""The ledger of heals: how far each job has come, by which steps it may go on, and who had a say in it.

The row of a job is what a worker that was killed leaves behind. It says where that one stood; what is true is read anew.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict

from records.heals import HealJob, Sha256
from records.names import MarketKey
from records.plan_checks import HoldReason
from records.timestamps import UtcTime

MOST_EVENTS: Final = 200
"""The oldest go, but for the first and the applies: a row is one entity of a table."""

_FROZEN: Final = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Lever(StrEnum):
    """What a person can do about healing; the words of the commands."""

    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    REJECT = "reject"
    RETRY = "retry"


class HealStep(StrEnum):
    """How far a job has come."""

    QUEUED = "queued"
    """Its message is in the queue, or is about to be."""
    BEGUN = "begun"
    """A worker holds the stack's lease, and looks at what is there."""
    JUDGED = "judged"
    """A plan under Terraform's lock shows the same drift, and nothing withholds the heal."""
    APPLYING = "applying"
    """That plan is being applied. Whoever finds this later cannot know whether it was."""
    APPLIED = "applied"
    """Terraform has ended, well or not; the cloud may have changed."""
    VERIFIED = "verified"
    """A plan made after it shows nothing of the drift, and the records say what the state says, or what a later deploy left."""
    NOT_CONVERGED = "not_converged"
    """After the apply something of the drift was there still, or again."""
    SUPERSEDED = "superseded"
    """The ground, or the drift, is another than the one that the job was made for: nothing was applied."""
    HELD = "held"
    """A reason to hold applies now; a person may approve some of them."""
    EXPIRED = "expired"
    """No worker took it in time."""
    FAILED = "failed"
    """It broke, or failed five times. Nothing tries it again by itself."""
    REJECTED = "rejected"
    """A person has said no."""


_ENDS: Final = frozenset({HealStep.SUPERSEDED, HealStep.HELD, HealStep.EXPIRED, HealStep.FAILED})
"""How a job can end before anything was applied."""
_CONCLUSIONS: Final = frozenset({HealStep.VERIFIED, HealStep.NOT_CONVERGED, HealStep.HELD, HealStep.FAILED})
"""How it can end once an apply may have begun."""
_AGAIN: Final = frozenset({HealStep.QUEUED, HealStep.BEGUN})
_A_PERSONS: Final = frozenset({HealStep.QUEUED, HealStep.REJECTED})
"""What can become of a job that has ended: the same drift is found again, or a person has a say."""
TRANSITIONS: Final[Mapping[HealStep, frozenset[HealStep]]] = MappingProxyType(
    {
        HealStep.QUEUED: _AGAIN | _ENDS | {HealStep.REJECTED},
        HealStep.BEGUN: _AGAIN | _ENDS | _CONCLUSIONS | {HealStep.JUDGED},
        HealStep.JUDGED: _AGAIN | _ENDS | {HealStep.APPLYING},
        HealStep.APPLYING: _AGAIN | _CONCLUSIONS | {HealStep.APPLIED},
        HealStep.APPLIED: _AGAIN | _CONCLUSIONS,
        HealStep.VERIFIED: _A_PERSONS,
        HealStep.NOT_CONVERGED: _A_PERSONS,
        HealStep.SUPERSEDED: _A_PERSONS,
        HealStep.HELD: _A_PERSONS,
        HealStep.EXPIRED: _A_PERSONS,
        HealStep.FAILED: _A_PERSONS,
        HealStep.REJECTED: frozenset({HealStep.QUEUED}),
    }
)
"""What may follow what. A worker that takes a job over begins it again, wherever the last one stood; whether that one may have
applied is `HealRow.applying_since`, which no new beginning forgets.
"""

ENDED: Final = frozenset(step for step, following in TRANSITIONS.items() if HealStep.BEGUN not in following)
"""Steps after which nothing goes on by itself: a check, or a person, queues the job anew."""


class IllegalStepError(ValueError):
    """A step that may not follow the one before."""


class Approval(BaseModel):
    """A person's word on one reason for which this very job was held. It counts where the `LeverUse` that it follows from is
    on record (`drift.healing.approvals`).
    """

    model_config = _FROZEN

    reason: HoldReason
    by: str
    at: UtcTime


class HealEvent(BaseModel):
    """A step of a job and when it was taken (UTC).

    ``by`` is a person's name where it was one's, ``reason`` why it was held, ``note`` a sentence.
    """

    model_config = _FROZEN

    step: HealStep
    at: UtcTime
    reason: HoldReason | None = None
    by: str | None = None
    note: str | None = None


class OwnLock(BaseModel):
    """Terraform's lock as this worker took it: told by it, an orphan of ours is known from a stranger's."""

    model_config = _FROZEN

    id: str
    who: str


class HealRow(BaseModel):
    """A job as the ledger keeps it. ``run_id`` is the run of plan checks that found it.

    ``finding_fingerprints`` name each finding of the job by itself: what is left of them after an apply that was cut off is
    known again. ``attribute_fingerprints`` name what it puts back, whatever stood there: by these the breaker knows it again,
    and a person's no. ``applying_since`` is set from before an apply until it is known what came of it. ``left_serial`` is
    the state's when that apply had ended, if the apply can have left it. ``own_lock`` is Terraform's lock, of a plan or of an
    apply. ``reason`` is why it is held, ``approvals`` what persons have overruled, ``events`` every step, oldest first.
    """

    model_config = _FROZEN

    job: HealJob
    step: HealStep
    run_id: str
    finding_fingerprints: tuple[str, ...] = ()
    attribute_fingerprints: tuple[str, ...] = ()
    applying_since: UtcTime | None = None
    left_serial: int | None = None
    reason: HoldReason | None = None
    approvals: tuple[Approval, ...] = ()
    own_lock: OwnLock | None = None
    events: tuple[HealEvent, ...] = ()

    def moved(
        self,
        step: HealStep,
        *,
        at: datetime,
        by: str | None = None,
        note: str | None = None,
        reason: HoldReason | None = None,
        **changes: object,
    ) -> "HealRow":
        """The row one step on; ``changes`` are of its other fields.

        Raises:
            IllegalStepError: the step may not follow.
        """
        if step not in TRANSITIONS[self.step]:
            raise IllegalStepError(f"{step} does not follow {self.step}")
        event = HealEvent(step=step, at=at, reason=reason, by=by, note=note)
        events = _bounded((*self.events, event))
        return self.model_copy(update={**changes, "step": step, "reason": reason, "events": events})

    @property
    def has_ended(self) -> bool:
        return self.step in ENDED

    @property
    def applied_at(self) -> tuple[datetime, ...]:
        """When this job was applied, or may have been: what the oscillation breaker counts. Not when it was held at the last
        moment instead.
        """
        following = (*(event.step for event in self.events[1:]), None)
        return tuple(
            event.at
            for event, next_step in zip(self.events, following, strict=False)
            if event.step is HealStep.APPLYING and next_step is not HealStep.HELD
        )


def _bounded(events: tuple[HealEvent, ...]) -> tuple[HealEvent, ...]:
    """Without the oldest, where they are too many, but for the first and for those that the breaker counts."""
    too_many = len(events) - MOST_EVENTS
    if too_many <= 0:
        return events
    # What follows an apply says whether it was one.
    pairs = pairwise(events[:-1])
    can_go = [n for n, pair in enumerate(pairs, start=1) if HealStep.APPLYING not in {event.step for event in pair}]
    going = set(can_go[:too_many])
    return tuple(event for number, event in enumerate(events) if number not in going)


class LeverUse(BaseModel):
    """A person's hand on a lever: what was done, by whom, when and why. ``market`` is None for all, ``job_id`` for no job's.

    ``overrules`` is the reason to hold that an approval is of.
    """

    model_config = _FROZEN

    lever: Lever
    by: str
    reason: str
    at: UtcTime
    market: MarketKey | None = None
    job_id: Sha256 | None = None
    overrules: HoldReason | None = None
