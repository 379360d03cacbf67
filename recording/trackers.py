"""What a tracker says after each of the four commands, and after a heal. Pure: records in, a record out.

Fields that this version does not know, and the history, go on from the tracker before. All else is of this deploy or absent: a
bundle of an earlier one would have a plan check compare with what is no longer deployed.
"""

from datetime import datetime
from typing import Final

from recording.author import Author
from recording.deploy import BY_THE_PIPELINE, Deploy
from records.readings import Present, StateHead
from records.registry import RegistryEntry, StateLocation
from records.tracker import MOST_HISTORY_ENTRIES, HistoryAction, HistoryEntry, Outcome, TrackerRecord

BY_TRUEUP: Final = "trueup"
"""What ``deployed_by`` says after a heal, of which ``run_id`` is the job."""
_SCHEMA_VERSION = 1


def after_deploy(
    deploy: Deploy,
    state: Present[StateHead],
    *,
    location: StateLocation,
    subscription_id: str | None,
    previous: TrackerRecord | None,
) -> TrackerRecord:
    """As the pipeline writes it: the state's head as it was read after the apply, never the serial before it and 1."""
    return _tracker(
        deploy.market,
        deploy.stack,
        previous,
        subscription_id=subscription_id,
        release=deploy.release,
        commit=deploy.commit,
        run_id=deploy.run_id,
        run_url=deploy.run_url,
        deployed_at=deploy.deployed_at,
        deployed_by=BY_THE_PIPELINE,
        terraform_version=state.record.terraform_version,
        bundle=deploy.bundle.named(market=deploy.market, stack=deploy.stack) if deploy.bundle else None,
        modules=deploy.modules or None,
        state=location,
        outcome=Outcome.FAILED if deploy.outcome is Outcome.FAILED else None,
        **_content(state),
    )


def from_registry(
    market: str,
    stack: str,
    entry: RegistryEntry,
    state: Present[StateHead],
    *,
    subscription_id: str | None,
    previous: TrackerRecord | None,
    written: HistoryEntry,
) -> TrackerRecord:
    """As far as the registry's entry and the state can tell it: which run deployed, and what, they do not know."""
    return _tracker(
        market,
        stack,
        previous,
        subscription_id=subscription_id,
        release=entry.release,
        commit=entry.commit,
        deployed_at=entry.deployed_at,
        terraform_version=state.record.terraform_version,
        state=entry.state,
        history=_longer(previous, written),
        **_content(state),
    )


def accepting(
    previous: TrackerRecord, state: Present[StateHead], *, location: StateLocation, written: HistoryEntry
) -> TrackerRecord:
    """The tracker with the state's content as the truth; which deploy came last, and of what, stays as it was."""
    return _rewritten(previous, **_content(state), state=location, history=_longer(previous, written))


def after_heal(previous: TrackerRecord, state: Present[StateHead], *, job_id: str, at: datetime) -> TrackerRecord:
    """The tracker with the state's content, and trueup as who brought it there; which bundle is deployed stays as it was.

    ``at`` is kept to the second, as pipelines write theirs: a deploy of the same second is then not taken for an earlier one.
    """
    return _rewritten(
        previous,
        **_content(state),
        terraform_version=state.record.terraform_version,
        run_id=job_id,
        run_url=None,
        deployed_at=at.replace(microsecond=0),
        deployed_by=BY_TRUEUP,
        outcome=None,
    )


def without_bundle(tracker: TrackerRecord) -> TrackerRecord:
    return _rewritten(tracker, bundle=None)


def written_by(author: Author, action: HistoryAction, *, previous: TrackerRecord | None) -> HistoryEntry:
    """Who writes by hand, and what the tracker said of the state before."""
    said = {"lineage": previous.lineage, "serial": previous.serial, "state_md5": previous.state_md5} if previous else {}
    own = {"at": author.at.replace(microsecond=0), "action": action, "by": author.by, "reason": author.reason}
    return HistoryEntry.model_validate(_present(own | said))


def _tracker(market: str, stack: str, previous: TrackerRecord | None, **fields: object) -> TrackerRecord:
    unknown = dict(previous.model_extra or {}) if previous else {}
    history = {"history": previous.history} if previous else {}
    own = {"schema_version": _SCHEMA_VERSION, "market": market, "stack": stack}
    return TrackerRecord.model_validate(own | _present(history | fields) | unknown)


def _rewritten(tracker: TrackerRecord, **changes: object) -> TrackerRecord:
    """The same tracker but for these fields; one that is None is said no more."""
    said = {name: getattr(tracker, name) for name in tracker.model_fields_set if name in TrackerRecord.model_fields}
    return TrackerRecord.model_validate(_present(said | changes) | (tracker.model_extra or {}))


def _content(state: Present[StateHead]) -> dict[str, object]:
    return {"lineage": state.record.lineage, "serial": state.record.serial, "state_md5": state.blob.content_md5}


def _longer(previous: TrackerRecord | None, entry: HistoryEntry) -> tuple[HistoryEntry, ...]:
    earlier = (previous and previous.history) or ()
    return (*earlier, entry)[-MOST_HISTORY_ENTRIES:]


def _present(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
