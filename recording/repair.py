"""Mends records that are the odd one out: judges, corrects, and writes under the ETags that were judged."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from recording.author import Author
from recording.book import RecordBook
from recording.corrections import Correction, LeftAlone, belated_entry, correction_of, finished
from recording.entries import new_market
from recording.following import registry_follows_trackers
from recording.unfinished import unfinished_records
from records.errors import BlobChangedError, RecordError, RefusedWriteError, StoreError
from records.faults import FaultCode
from records.judged import JudgedMarket, JudgedStack
from records.names import tracker_blob
from records.ports import MarketJudge, RecordLog, RecordReader
from records.readings import Absent, Present, Reading, StateHead
from records.registry import RegistryEntry, RegistryRecord, StateLocation
from records.report import Problem
from records.store_faults import told
from records.tracker import TrackerRecord
from records.verdicts import NEEDS_NOBODY, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRepairs:
    """What would mend a market: corrections and what no correction mends, each sorted by stack."""

    judged: JudgedMarket
    corrections: tuple[Correction, ...]
    left_alone: tuple[LeftAlone, ...]

    @property
    def market(self) -> str:
        return self.judged.market

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What keeps the market from being judged; not that only the log still names it, which is no matter for repair."""
        return tuple(one for one in self.judged.problems if one.code is not FaultCode.NOT_FOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What came of a correction: the verdict afterwards, or None where nothing was written, and why not.

    ``only_in_part`` says why the registry's entry was not written after its tracker.
    """

    correction: Correction
    verdict: Verdict | None = None
    why_not: str | None = None
    only_in_part: str | None = None

    @property
    def is_mended(self) -> bool:
        return self.verdict in NEEDS_NOBODY and self.only_in_part is None


async def plan_repairs(
    market: str,
    *,
    wanted: Collection[str],
    judge: MarketJudge,
    records: RecordReader,
    log: RecordLog,
    author: Author,
) -> MarketRepairs:
    """Reads and judges a market; writes nothing. What cannot be read of it is in its problems.

    Raises:
        StoreError: the log or the bundles cannot be read.
    """
    judged = await judge.judge(market, wanted=wanted)
    begun = await unfinished_records(log, market=market, now=author.at) if _may_be_written(judged) else {}
    registry = judged.registry.record if isinstance(judged.registry, Present) else None
    outcomes: list[Correction | LeftAlone] = []
    for stack in judged.stacks:
        outcome: Correction | LeftAlone | None = await _finished(begun.get(stack.result.stack), stack, records)
        if outcome is None and stack.result.needs_a_person:
            found = await _found(stack, records)
            outcome = correction_of(stack, registry=registry, author=author, found=found)
        if outcome is None and stack.result.verdict is Verdict.HEALTHY:
            outcome = belated_entry(stack, registry=registry)
        outcomes += [outcome] if outcome else []
    unheard_of = begun.keys() - {stack.result.stack for stack in judged.stacks}
    for name in sorted(unheard_of.intersection(wanted) if wanted else unheard_of):
        outcome = await _finished(begun[name], None, records)
        outcomes += [outcome] if outcome else []
    return MarketRepairs(
        judged=judged,
        corrections=tuple(
            sorted((one for one in outcomes if isinstance(one, Correction)), key=lambda correction: correction.stack)
        ),
        left_alone=tuple(one for one in outcomes if isinstance(one, LeftAlone)),
    )


async def apply_repairs(
    repairs: MarketRepairs, *, records: RecordReader, judge: MarketJudge, book: RecordBook
) -> tuple[Repaired, ...]:
    """Writes the corrections of one market: all its entries at once, then each tracker; then judges what was written.

    What keeps one from being written is said of it, and raised for none: the other markets must get theirs.
    """
    why_not: dict[str, str] = {}
    only_in_part: dict[str, str] = {}
    entries = {one.stack: one.after for one in repairs.corrections if isinstance(one.after, RegistryEntry)}
    if entries:
        with _refusals(why_not, entries):
            await _write_entries(repairs, entries, book)
    for one in repairs.corrections:
        if isinstance(one.after, TrackerRecord):
            with _refusals(why_not, (one.stack,)):
                await book.write_tracker(one.after, over=one.over)
            if one.stack in why_not:
                continue
            with _refusals(only_in_part, (one.stack,)):
                await registry_follows_trackers(records, book, market=repairs.market, stacks=(one.stack,))
    verdicts = await _verdicts(judge, repairs.market, {one.stack for one in repairs.corrections} - why_not.keys())
    return tuple(
        Repaired(
            correction=one,
            verdict=verdicts.get(one.stack),
            why_not=why_not.get(one.stack),
            only_in_part=only_in_part.get(one.stack),
        )
        for one in repairs.corrections
    )


def check_all_known(planned: Iterable[MarketRepairs], stacks: Iterable[str]) -> None:
    """Raises:
    RefusedWriteError: a stack that was asked for by name is in none of the markets.
    """
    known: set[str] = set()
    for one in planned:
        known |= {stack.result.stack for stack in one.judged.stacks} | {
            correction.stack for correction in one.corrections
        }
    unknown = sorted(set(stacks) - known)
    if unknown:
        raise RefusedWriteError(f"no record names stack {', '.join(unknown)} in the markets that were looked at.")


@contextmanager
def _refusals(why_not: dict[str, str], stacks: Iterable[str]) -> Iterator[None]:
    try:
        yield
    except BlobChangedError:
        why_not.update(dict.fromkeys(stacks, "The record has changed since it was judged. Run it again."))
    except RefusedWriteError as error:
        why_not.update(dict.fromkeys(stacks, str(error)))
    except (RecordError, StoreError) as error:
        why_not.update(dict.fromkeys(stacks, told(error)))


def _may_be_written(judged: JudgedMarket) -> bool:
    """Not where the registry cannot be read: what is begun there is then not known to be unfinished."""
    return judged.has_verdicts or isinstance(judged.registry, Absent)


async def _finished(begun: TrackerRecord | None, stack: JudgedStack | None, records: RecordReader) -> Correction | None:
    """The rest of a recording that was cut off, unless a deploy is running."""
    verdict = stack.result.verdict if stack else None
    if begun is None or verdict is Verdict.IN_FLIGHT:
        return None
    # A heal's tracker says no more of where the state is than the one before it.
    location = begun.state or (_registered_location(stack) if stack else None)
    if location is None:
        return None
    state = await records.state(location=location)
    if not isinstance(state, Present):
        return None
    over: Reading[TrackerRecord] = stack.readings.tracker if stack else Absent(tracker_blob(begun.market, begun.stack))
    has_bundle = begun.bundle is not None and await records.has_bundle(blob=begun.bundle.blob)
    return finished(begun, state, over=over, verdict=verdict, has_bundle=has_bundle)


def _registered_location(stack: JudgedStack) -> StateLocation | None:
    entry = stack.readings.registry
    return entry.record.state if isinstance(entry, Present) else None


async def _write_entries(repairs: MarketRepairs, entries: dict[str, RegistryEntry], book: RecordBook) -> None:
    reading = repairs.judged.registry
    if reading is None:
        return
    record = reading.record if isinstance(reading, Present) else _new_market(repairs, entries)
    for stack, entry in entries.items():
        record = record.with_entry(stack, entry)
    await book.write_registry(record, over=reading, stacks=sorted(entries))


def _new_market(repairs: MarketRepairs, entries: dict[str, RegistryEntry]) -> RegistryRecord:
    trackers = [stack.readings.tracker for stack in repairs.judged.stacks if stack.result.stack in entries]
    return new_market(repairs.market, [reading.record for reading in trackers if isinstance(reading, Present)])


async def _verdicts(judge: MarketJudge, market: str, stacks: Collection[str]) -> dict[str, Verdict]:
    if not stacks:
        return {}
    judged = await judge.judge(market, wanted=sorted(stacks))
    return {stack.result.stack: stack.result.verdict for stack in judged.stacks}


async def _found(stack: JudgedStack, records: RecordReader) -> Reading[StateHead] | None:
    """The state of a stack that the registry does not name, where its tracker says that it is."""
    tracker = stack.readings.tracker
    if stack.result.verdict is not Verdict.UNREGISTERED or not isinstance(tracker, Present) or not tracker.record.state:
        return None
    return await records.state(location=tracker.record.state)
