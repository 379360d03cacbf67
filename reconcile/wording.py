"""What a result says to a person: one sentence on what is wrong, and one on what to do.

A moved serial says that the state was written outside the pipeline, and no more: an apply raises it, and so do
``state mv``, ``import``, a refresh-only apply and ``state push``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from reconcile.judgement import Judgement, Votes
from records.locks import Lock
from records.readings import StackReadings, Unreadable
from records.spelling import counted, duration
from records.verdicts import Note, OddOneOut, Tier, Verdict

RUNBOOK: Final = "docs/runbook.md"

_REPAIR: Final = "Look at the last run of {market}/{stack}, then run `trueup repair {these}`."

_FIRST_STEPS: Final = {
    Verdict.HEALTHY: "Nothing to do.",
    Verdict.NOT_DEPLOYED: "Nothing to do until its first deploy.",
    Verdict.IN_FLIGHT: "Wait for the deploy to end, then run `{again}`.",
    Verdict.UNREADABLE: "Mend the record that the evidence names, as its fault says, then run `{again}`.",
    Verdict.UNREGISTERED: (
        "If it is still wanted, run `trueup repair {these}`; if its tracker has no `state`, take it in with `trueup adopt`, "
        "or put its entry back into registry/{market}/subscription.json. If it is not wanted, delete "
        "trackers/{market}/{stack}.json."
    ),
    Verdict.STATE_MISSING: "Stop the pipeline of {market}/{stack} and restore the state blob's last version; do not apply.",
    Verdict.LINEAGE_MISMATCH: "Stop the pipeline of {market}/{stack}: find out which state is this stack's; do not apply.",
    Verdict.STATE_FORKED: "Stop the pipeline of {market}/{stack} and compare the state with the version of the last deploy.",
    Verdict.PIPELINE_DRIFT: (
        "Run `terraform plan` from the release on record, then deploy {market}/{stack} by its pipeline; or, if a person "
        "decides that the change stays, run `trueup accept {these} --by WHO --reason WHY`."
    ),
    Verdict.STATE_ROLLED_BACK: "Stop the pipeline of {market}/{stack} and find the newer state among the blob's versions.",
    Verdict.TRACKER_BEHIND: _REPAIR,
    Verdict.TRACKER_AHEAD: _REPAIR,
    Verdict.REGISTRY_BEHIND: _REPAIR,
    Verdict.REGISTRY_AHEAD: _REPAIR,
    Verdict.RECORDS_SPLIT: "Stop the pipeline of {market}/{stack}, find the last good deploy, and deploy it again.",
    Verdict.UNVERIFIABLE: "Deploy {market}/{stack} by its pipeline, or put it on record as it is with `trueup adopt`.",
}
_AHEAD_IN_TIME: Final = (
    "Nothing to do if the last run of {market}/{stack} changed nothing; otherwise deploy it again by its pipeline."
)
"""Of `registry_ahead` in tier 3, where no two records agree and there is nothing to repair."""


def remedy_for(verdict: Verdict, market: str, stack: str, *, tier: Tier | None = None) -> str:
    """The runbook's section for this verdict, and the first step with its command."""
    is_ahead_in_time = verdict is Verdict.REGISTRY_AHEAD and tier is Tier.TIMES
    step = (_AHEAD_IN_TIME if is_ahead_in_time else _FIRST_STEPS[verdict]).format(
        market=market,
        stack=stack,
        these=f"--market {market} --stack {stack}",
        again=f"trueup reconcile --market {market}",
    )
    return f"{RUNBOOK}#{verdict}: {step}"


def summarise(judgement: Judgement, votes: Votes, *, lock: Lock | None, notes: Sequence[Note], masked: bool) -> str:
    """One sentence: which record is wrong, by how much, since when; a second one for each note."""
    sentences = [_what_is_wrong(judgement, votes)]
    if masked and lock:
        sentences = [f"A deploy is running: {_held_by(lock)}. Until it ends the records need not agree."]
    if lock and Note.STALE_LOCK in notes:
        sentences.append(f"The state is still locked: {_held_by(lock)}.")
    if Note.LOCK_OF_UNKNOWN_AGE in notes:
        sentences.append("The state is leased, and nothing says by whom or since when.")
    if Note.REGISTRY_WITHOUT_SERIAL in notes:
        sentences.append("The registry gives no serial, so it has no vote.")
    return " ".join(sentences)


def _what_is_wrong(judgement: Judgement, votes: Votes) -> str:
    serials = votes.serials
    state, tracker, registry = serials.state, serials.tracker, serials.registry
    match judgement.verdict:
        case Verdict.HEALTHY if votes.tier is Tier.TIMES:
            return f"The state's last change and the deploy on record are {duration(judgement.time_delta_seconds or 0)} apart."
        case Verdict.HEALTHY:
            return f"The records agree on serial {state}."
        case Verdict.NOT_DEPLOYED:
            return "There is no state, and no record claims a deploy."
        case Verdict.UNREADABLE:
            return _what_is_unreadable(votes.readings)
        case Verdict.UNREGISTERED:
            return "A tracker says that this stack was deployed, and the registry has no such stack."
        case Verdict.STATE_MISSING:
            return f"There is no state, though {_claimants(votes)} a deploy."
        case Verdict.LINEAGE_MISMATCH:
            return f"The records are of different states: {_whose_lineage(judgement.odd_one_out)}."
        case Verdict.STATE_FORKED:
            return (
                f"The state has the tracker's serial {state} and not its content{_since(votes)}: "
                "the same serial was written twice."
            )
        case Verdict.PIPELINE_DRIFT if votes.tier is Tier.TIMES:
            return (
                f"The state changed {duration(judgement.time_delta_seconds or 0)} after the deploy on record{_since(votes)}: "
                "it was written outside the pipeline, or the record was not."
            )
        case Verdict.PIPELINE_DRIFT:
            ahead = f"{_serials(judgement)} ahead of {_against(votes)}{_since(votes)}"
            return f"The state is {ahead}: it was written outside the pipeline."
        case Verdict.STATE_ROLLED_BACK:
            behind = f"{_serials(judgement)} behind {_against(votes)}{_since(votes)}"
            return f"The state is {behind}: an older state was put back."
        case Verdict.TRACKER_BEHIND | Verdict.TRACKER_AHEAD:
            side = "behind" if judgement.verdict is Verdict.TRACKER_BEHIND else "ahead of"
            return f"The tracker is {_serials(judgement)} {side} state and registry ({tracker} against {state})."
        case Verdict.REGISTRY_AHEAD if votes.tier is Tier.TIMES:
            return (
                f"The deploy on record is {duration(judgement.time_delta_seconds or 0)} later than the state's last change; "
                "a deploy that changed nothing looks so too."
            )
        case Verdict.REGISTRY_BEHIND | Verdict.REGISTRY_AHEAD:
            side = "behind" if judgement.verdict is Verdict.REGISTRY_BEHIND else "ahead of"
            return f"The registry is {_serials(judgement)} {side} state and tracker ({registry} against {state})."
        case Verdict.RECORDS_SPLIT:
            return f"All three differ: state {state}, tracker {tracker}, registry {registry}{_since(votes)}."
        case Verdict.UNVERIFIABLE | Verdict.IN_FLIGHT:
            return "No record has a serial or a time to compare the state with."


def _what_is_unreadable(readings: StackReadings) -> str:
    faults = [
        reading.fault
        for reading in (readings.state, readings.tracker, readings.registry)
        if isinstance(reading, Unreadable)
    ]
    return " ".join(f"The {fault.record} cannot be trusted: {fault.message}." for fault in faults)


def _claimants(votes: Votes) -> str:
    names = [
        name
        for name, record in (("tracker", votes.tracker), ("registry", votes.registry))
        if record and (record.serial is not None or record.deployed_at)
    ]
    return f"the {' and the '.join(names)} {'claims' if len(names) == 1 else 'claim'}"


def _whose_lineage(odd: OddOneOut) -> str:
    return "nothing says which is right" if odd is OddOneOut.UNDETERMINED else f"the {odd}'s lineage differs"


def _against(votes: Votes) -> str:
    """What the state is compared with, and both serials: ``tracker and registry (44 against 42)``."""
    serials = votes.serials
    present = (("tracker", serials.tracker), ("registry", serials.registry))
    names = " and ".join(name for name, serial in present if serial is not None)
    record = serials.tracker if votes.tier is Tier.THREE_RECORDS else serials.registry
    return f"{names} ({serials.state} against {record})"


def _serials(judgement: Judgement) -> str:
    return counted(abs(judgement.serial_delta or 0), "serial")


def _since(votes: Votes) -> str:
    return f", there since {_moment(votes.state_changed_at)}" if votes.state_changed_at else ""


def _held_by(lock: Lock) -> str:
    since = f" since {_moment(lock.created_at)}" if lock.created_at else ""
    return f"{lock.who or 'someone'} holds the lock{since} for {lock.operation or 'an unnamed operation'}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
