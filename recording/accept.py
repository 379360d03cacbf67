"""Takes a state that was written outside the pipeline for the truth, because a person says so and why."""

from dataclasses import dataclass
from typing import Final

from recording.author import Author
from recording.book import RecordBook
from recording.following import registry_follows_trackers
from recording.trackers import accepting, from_registry, written_by
from records.errors import RefusedWriteError
from records.judged import JudgedStack
from records.ports import MarketJudge, RecordReader
from records.readings import Present
from records.results import StackResult
from records.tracker import HistoryAction, TrackerRecord
from records.verdicts import OddOneOut, Tier, Verdict

_OF_THE_STATE: Final = frozenset(
    {
        Verdict.PIPELINE_DRIFT,
        Verdict.STATE_FORKED,
        Verdict.STATE_ROLLED_BACK,
        Verdict.LINEAGE_MISMATCH,
        Verdict.RECORDS_SPLIT,
        Verdict.UNVERIFIABLE,
    }
)
_OF_A_RECORD: Final = frozenset({OddOneOut.TRACKER, OddOneOut.REGISTRY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What is taken for the truth: the verdict it answers, and the tracker as it will say it."""

    judged: JudgedStack
    after: TrackerRecord

    @property
    def result(self) -> StackResult:
        return self.judged.result


async def plan_acceptance(
    market: str, stack: str, *, judge: MarketJudge, author: Author, serial: int | None
) -> Acceptance | None:
    """What accepting would write; None where the records agree already. ``serial`` is the one that the person has looked at.

    Raises:
        RefusedWriteError: there is no such stack, a deploy is running, the state is not there or not the one looked at, or it
            is another record that is wrong.
    """
    judged_market = await judge.judge(market, wanted=(stack,))
    if not judged_market.stacks:
        faults = "; ".join(f"{one.blob}: {one.message}" for one in judged_market.problems)
        raise RefusedWriteError(f"{market}/{stack}: {faults or 'no record names this stack'}.")
    (judged,) = judged_market.stacks
    if judged.result.verdict is Verdict.HEALTHY:
        return None
    state, entry = judged.readings.state, judged.readings.registry
    reason = _why_not(judged.result)
    if reason or not isinstance(state, Present) or not isinstance(entry, Present):
        remedy = judged.result.remedy
        raise RefusedWriteError(f"{market}/{stack}: {reason or 'there is no state to accept.'} {remedy}")
    if serial is not None and serial != state.record.serial:
        raise RefusedWriteError(
            f"{market}/{stack}: the state's serial is {state.record.serial} and not {serial}: it was written again. "
            "Look at it, then accept what is there."
        )
    reading = judged.readings.tracker
    tracker = reading.record if isinstance(reading, Present) else None
    written = written_by(author, HistoryAction.ACCEPT, previous=tracker)
    if tracker:
        after = accepting(tracker, state, location=entry.record.state, written=written)
    else:
        after = from_registry(
            market,
            stack,
            entry.record,
            state,
            subscription_id=judged.result.subscription_id,
            previous=None,
            written=written,
        )
    return Acceptance(judged=judged, after=after)


async def accept_state(
    acceptance: Acceptance, *, records: RecordReader, judge: MarketJudge, book: RecordBook
) -> StackResult:
    """Writes the tracker under the ETag that was judged, then the registry's entry; returns the verdict afterwards.

    Raises:
        BlobChangedError: the tracker has changed since it was judged; nothing was written.
        RecordError, RefusedWriteError, StoreError
    """
    market, stack = acceptance.result.market, acceptance.result.stack
    await book.write_tracker(acceptance.after, over=acceptance.judged.readings.tracker)
    await registry_follows_trackers(records, book, market=market, stacks=(stack,))
    judged = (await judge.judge(market, wanted=(stack,))).stacks
    if not judged:
        raise RefusedWriteError(f"{market}/{stack}: it is written, and the market can no longer be judged.")
    return judged[0].result


def _why_not(result: StackResult) -> str | None:
    """None where a person may take the state for the truth."""
    if result.verdict is Verdict.IN_FLIGHT:
        return "a deploy is running."
    if result.odd_one_out in _OF_A_RECORD:
        return f"the {result.odd_one_out} is the odd one out and not the state; see `trueup repair`."
    is_tier_3_ahead = result.verdict is Verdict.REGISTRY_AHEAD and result.tier is Tier.TIMES
    if result.verdict not in _OF_THE_STATE and not is_tier_3_ahead:
        return f"{result.verdict} is nothing that can be accepted."
    return None
