"""What is said of each reason to hold: why in a few words, and what on-call does about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from records.plan_checks import HoldReason
from records.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """``because`` goes after 'held because'; ``next_step`` is what on-call does, ``{market}`` standing for the stack's.

    'Approve the job' is offered for the reasons that an approval may overrule (`drift.decide.APPROVABLE`), and no others.
    """

    because: str
    next_step: str


HOLDS: Final = {
    HoldReason.INCONCLUSIVE: ReasonWords(
        "nothing can be said of it",
        "Mend what is named, then run `trueup drift check --market {market}` again. Until then nothing says that it has not "
        "drifted.",
    ),
    HoldReason.PAUSED: ReasonWords(
        "healing is switched off",
        "Ask whoever switched it off; until it is on again nothing is undone. The next check after that decides anew.",
    ),
    HoldReason.FROZEN: ReasonWords(
        "a code freeze is on",
        "Wait for its end; the next check after that decides anew. If it cannot wait, approve the job.",
    ),
    HoldReason.RECORDS_DISAGREE: ReasonWords(
        "the records come first",
        "Run `trueup reconcile --market {market}` and do what it says, then check again. Beside what it says, undo nothing and "
        "deploy nothing: either could take back what somebody meant.",
    ),
    HoldReason.LOCKED: ReasonWords(
        "somebody holds the state's lock",
        "Wait until they are done, then check again. Never force a lock whose holder may be alive.",
    ),
    HoldReason.UNSAFE: ReasonWords(
        "an action is not known to be safe",
        "Plan the deployed bundle and read it; then deploy by the stack's pipeline, under review.",
    ),
    HoldReason.DESTRUCTIVE: ReasonWords(
        "the apply would delete something",
        "Ask whoever changed it what depends on it by now; put it right by hand, or approve the job.",
    ),
    HoldReason.PROTECTED: ReasonWords(
        "it is never touched unattended",
        "Ask its owner; have it put right by hand, or approve the job.",
    ),
    HoldReason.MIXED: ReasonWords(
        "the apply would do more than undo the drift",
        "Deploy by the stack's pipeline, where the whole of it is reviewed.",
    ),
    HoldReason.PENDING_CHANGE: ReasonWords(
        "nothing has drifted",
        "Look at the stack's last deploy; then deploy by its pipeline, where the change is reviewed.",
    ),
    HoldReason.BLAST_RADIUS: ReasonWords(
        "too much would change at once",
        "Find out what changed so much; if it is to be undone, approve the job.",
    ),
    HoldReason.OSCILLATING: ReasonWords(
        "it was healed before and came back",
        "Find who or what puts it back. Take the change into the code, or stop them and approve the job.",
    ),
    HoldReason.FLEET_WIDE: ReasonWords(
        "the same drift is in many markets",
        "Look for an Azure Policy or an event of the platform. Take the change into the code, or approve the jobs.",
    ),
    HoldReason.APPROVAL_REQUIRED: ReasonWords(
        "a person is asked first",
        "Read the change; if it is to be undone, approve the job.",
    ),
    HoldReason.DRY_RUN: ReasonWords(
        "the heal mode is dry-run",
        "It is still as it was found. Undo it by hand, or deploy the release on record by the stack's pipeline. For trueup to "
        "undo it: HEAL_MODE=on, or heal_mode (heal_mode_by_market) in the policy; the stricter of the two counts.",
    ),
}

WITHHELD: Final = ReasonWords(
    "what decides on it is not known",
    "What was found is listed, and nothing undoes it: the decision alone is withheld. Mend what is named, then run "
    "`trueup drift check --market {market}` again.",
)
"""Of a stack that is inconclusive although its plan went through: for the policy, the pauses, the ledger or the fleet."""

_UNDER_A_VERDICT: Final = (
    "The verdict on its records comes first, which is {verdict}: run `trueup reconcile --market {market}` and do what it says, "
    "then check again. Until then nothing says that it has not drifted."
)
_UNDER_VERDICTS: Final = (
    " Where a verdict stands in brackets, the records come first: run `trueup reconcile --market {market}` and do what it "
    "says."
)

GRAVE: Final = frozenset({HoldReason.INCONCLUSIVE, HoldReason.UNSAFE, HoldReason.DESTRUCTIVE})
"""Reasons that are red on a terminal."""


def words_of(reason: HoldReason, *, is_planned: bool) -> ReasonWords:
    """``is_planned`` is whether it is known what differs."""
    return WITHHELD if reason is HoldReason.INCONCLUSIVE and is_planned else HOLDS[reason]


def step_for(reason: HoldReason, *, market: str, is_planned: bool, verdicts: Sequence[Verdict | None] = (None,)) -> str:
    """What on-call does about holds of this market, after the section of the runbook that says more.

    ``verdicts`` has for each stack the verdict on its records that comes first, None where none does.
    """
    step = words_of(reason, is_planned=is_planned).next_step
    if any(verdicts):
        step = _UNDER_A_VERDICT if len(verdicts) == 1 else step + _UNDER_VERDICTS
    return f"docs/runbook.md#{reason}: {step.format(market=market, verdict=verdicts[0])}"
