"""How far a job has come, in a word and a colour."""

from collections.abc import Mapping
from typing import Final

from records.heal_ledger import HealRow, HealStep
from records.plan_checks import HoldReason

STYLES: Final[Mapping[HealStep, str]] = {
    HealStep.VERIFIED: "green",
    HealStep.HELD: "yellow",
    HealStep.EXPIRED: "yellow",
    HealStep.REJECTED: "yellow",
    HealStep.NOT_CONVERGED: "red",
    HealStep.FAILED: "red",
}
"""Of the steps that end a job in a way that somebody may have to act on, and of the one that all of it is for."""


def step_word(step: HealStep, reason: HoldReason | None = None) -> str:
    """``held (locked)``: the words of the JSON, the ledger and the runbook."""
    return f"{step} ({reason})" if reason else str(step)


def note_of(row: HealRow) -> str:
    """What is said of its last step."""
    return (row.events[-1].note if row.events else None) or ""
