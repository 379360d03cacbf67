"""Takes states that no pipeline recorded into the records: looks at all of them first, then writes, market by market.

What is wrong with one state or one market is said of that one, and the others are adopted.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lanes.side_by_side import all_side_by_side
from recording.adoption import Adopting, Adoption, Candidate, adoption_of, left_alone
from recording.author import Author
from recording.book import RecordBook
from recording.entries import new_market, registry_following
from recording.following import while_others_write
from recording.placing import Place, StateSource, location_of
from records.errors import BlobChangedError, RecordError, RefusedWriteError, StoreError
from records.faults import FaultCode
from records.judged import JudgedMarket
from records.ports import MarketJudge, RecordReader
from records.readings import Absent, Present, Unreadable
from records.registry import RegistryRecord
from records.store_faults import told
from records.verdicts import Verdict

_AT_ONCE_IN_A_MARKET: Final = 8
_SHOWN_MARKETS: Final = 10
_TO_WRITE: Final = frozenset({Adopting.ADOPT, Adopting.REGISTER})
_CHANGED: Final = "Somebody else wrote its records meanwhile. Run it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What came of one adoption: the verdict afterwards, or None where nothing was to be written.

    ``why`` says what kept its records from being written, all or some; ``has_failed`` that it was no other writer.
    """

    adoption: Adoption
    verdict: Verdict | None = None
    why: str | None = None
    has_failed: bool = False

    @property
    def has_its_records(self) -> bool:
        return self.adoption.adopting is Adopting.UNCHANGED or self.verdict is Verdict.HEALTHY


async def plan_adoptions(
    places: Sequence[Place],
    *,
    source: StateSource,
    subscriptions: Mapping[str, str],
    records: RecordReader,
    judge: MarketJudge,
    author: Author,
    width: int,
    on_market: Callable[[], None] = lambda: None,
) -> tuple[Adoption, ...]:
    """What adopting would make of each state, sorted by market and stack. ``subscriptions`` are by market.

    Raises:
        RefusedWriteError: a market has no record yet, and nothing says its subscription; names all such markets. Or what says
            it does not agree.
    """
    markets = defaultdict(list)
    for place in sorted(places, key=lambda place: (place.market, place.stack)):
        markets[place.market].append(place)

    async def judged(market: str) -> JudgedMarket:
        found = await judge.judge(market, wanted=frozenset(place.stack for place in markets[market]))
        on_market()
        return found

    judged_markets = await all_side_by_side(markets, judged, width=width)
    known = {one.market: _subscription_id(one, markets[one.market], subscriptions) for one in judged_markets}
    unknown = [one.market for one in judged_markets if isinstance(one.registry, Absent) and known[one.market] is None]
    if unknown:
        shown = ", ".join(unknown[:_SHOWN_MARKETS]) + (" …" if len(unknown) > _SHOWN_MARKETS else "")
        raise RefusedWriteError(
            f"nothing says which subscription is that of {shown}: pass --subscription MARKET=ID, a list with the column "
            "subscription_id, or a pattern with that group. Nothing was written."
        )

    async def adoptions(one: JudgedMarket) -> list[Adoption]:
        async def adoption(place: Place) -> Adoption:
            return await _adoption(place, one, source, known[one.market], records, author)

        return await all_side_by_side(markets[one.market], adoption, width=_AT_ONCE_IN_A_MARKET)

    planned = await all_side_by_side(judged_markets, adoptions, width=width)
    return tuple(adoption for some in planned for adoption in some)


async def adopt_states(
    adoptions: Sequence[Adoption],
    *,
    records: RecordReader,
    judge: MarketJudge,
    book: RecordBook,
    width: int,
    on_market: Callable[[], None] = lambda: None,
) -> tuple[Adopted, ...]:
    """Writes what is to be written, each market by itself; what came of each, in the same order. Nothing is raised for one."""
    markets = defaultdict(list)
    for one in adoptions:
        markets[one.place.market].append(one)

    async def adopted(market: str) -> list[Adopted]:
        outcomes = await _adopt_market(market, markets[market], records=records, judge=judge, book=book)
        on_market()
        return outcomes

    outcomes = await all_side_by_side(markets, adopted, width=width)
    found = {one.adoption.place: one for some in outcomes for one in some}
    return tuple(found[one.place] for one in adoptions)


def not_written(adoptions: Iterable[Adoption]) -> tuple[Adopted, ...]:
    """What comes of adoptions that were only looked at."""
    return tuple(Adopted(adoption=one) for one in adoptions)


async def _adopt_market(
    market: str, adoptions: Sequence[Adoption], *, records: RecordReader, judge: MarketJudge, book: RecordBook
) -> list[Adopted]:
    """The trackers first, then the entries of all whose tracker is there, in one write; then the verdicts."""
    outcomes = {one.place.stack: Adopted(adoption=one) for one in adoptions}
    wanted = [one for one in adoptions if one.adopting in _TO_WRITE]
    if not wanted:
        return list(outcomes.values())

    async def write_tracker(one: Adoption) -> None:
        stack = one.place.stack
        try:
            if one.tracker and one.over:
                await book.write_tracker(one.tracker, over=one.over)
        except BlobChangedError:
            outcomes[stack] = replace(outcomes[stack], why=_CHANGED)
        except StoreError as error:
            outcomes[stack] = replace(outcomes[stack], why=told(error), has_failed=True)

    await all_side_by_side(wanted, write_tracker, width=_AT_ONCE_IN_A_MARKET)
    tracked = [one for one in wanted if outcomes[one.place.stack].why is None]
    try:
        overtaken = await _register(market, tracked, records, book)
        failed, why, has_failed = overtaken, _CHANGED, False
    except RefusedWriteError as error:
        failed, why, has_failed = {one.place.stack for one in tracked}, str(error), True
    except (StoreError, RecordError) as error:
        failed, why, has_failed = {one.place.stack for one in tracked}, told(error), True
    for stack in failed:
        outcomes[stack] = replace(outcomes[stack], why=why, has_failed=has_failed)
    judged = await judge.judge(market, wanted=frozenset(one.place.stack for one in wanted))
    for found in judged.stacks:
        stack = found.result.stack
        outcomes[stack] = replace(outcomes[stack], verdict=found.result.verdict)
    return list(outcomes.values())


async def _register(market: str, adoptions: Sequence[Adoption], records: RecordReader, book: RecordBook) -> set[str]:
    """Writes the entries after their trackers; returns the stacks whose entry somebody else has written since it was judged.

    Such an entry is of a later deploy than the state that was adopted, and stands.

    Raises:
        RecordError: the registry record cannot be read.
        RefusedWriteError, StoreError
    """
    overtaken: set[str] = set()
    async for attempt in while_others_write():
        with attempt:
            registry = await records.registry(market=market)
            if isinstance(registry, Unreadable):
                raise RecordError(registry.fault)
            before = registry.record if isinstance(registry, Present) else None
            overtaken = {one.place.stack for one in adoptions if not _is_as_judged(before, one)}
            trackers = {
                one.place.stack: one.tracker for one in adoptions if one.tracker and one.place.stack not in overtaken
            }
            if trackers:
                # One tracker says the subscription of all: they agree, but for the case that some are spelt in.
                record = before or new_market(market, list(trackers.values())[:1])
                after = registry_following(record, trackers, market=market)
                changed = [
                    stack
                    for stack in sorted(trackers)
                    if before is None or before.stacks.get(stack) != after.stacks[stack]
                ]
                if changed:
                    await book.write_registry(after, over=registry, stacks=changed)
    return overtaken


def _is_as_judged(record: RegistryRecord | None, adoption: Adoption) -> bool:
    """Whether the entry is the one that was judged, or already as it should be."""
    stack = adoption.place.stack
    if record is None or stack not in record.stacks:
        return adoption.entry_before is None
    try:
        return record.entry(stack) in (adoption.entry_before, adoption.entry)
    except RecordError:
        return False


async def _adoption(
    place: Place,
    judged: JudgedMarket,
    source: StateSource,
    subscription_id: str | None,
    records: RecordReader,
    author: Author,
) -> Adoption:
    stack = next((one for one in judged.stacks if one.result.stack == place.stack), None)
    faults = [judged.registry.fault] if isinstance(judged.registry, Unreadable) else []
    faults += [] if judged.has_verdicts else [one for one in judged.problems if one.code is not FaultCode.NOT_FOUND]
    if stack is None and faults:
        why = f"The market's records cannot be read: {faults[0].blob}: {faults[0].message}. {faults[0].remedy}"
        return left_alone(place, why)
    candidate = Candidate(
        place=place,
        judged=stack,
        location=location_of(place, source),
        subscription_id=subscription_id,
        author=author,
    )
    registered = candidate.recorded_location
    if registered and records.is_same_state(registered, candidate.location):
        candidate = replace(candidate, location=registered)
    # Beside a tracker, which may give an MD5, a state of which storage keeps none is read whole.
    thorough = stack is not None
    found = await records.state(location=candidate.location, thorough=thorough) if candidate.is_unread else None
    return adoption_of(candidate, found)


def _subscription_id(judged: JudgedMarket, places: Iterable[Place], asked_for: Mapping[str, str]) -> str | None:
    """The registry's own, else what was asked for or the mapping says, else what all trackers say.

    Raises:
        RefusedWriteError: what was asked for is not the registry's own, or not one.
    """
    registered = judged.registry.record.subscription_id if isinstance(judged.registry, Present) else None
    said = [registered, asked_for.get(judged.market), *(place.subscription_id for place in places)]
    known = {one.casefold(): one for one in reversed(said) if one}
    if len(known) > 1:
        raise RefusedWriteError(
            f"market {judged.market} would have several subscriptions: {', '.join(sorted(known.values()))}. Correct the "
            "mapping, or --subscription. Nothing was written."
        )
    trackers = [stack.readings.tracker for stack in judged.stacks]
    tracked = {one.record.subscription_id for one in trackers if isinstance(one, Present)} - {None}
    # Trackers that contradict each other, or what was asked for, are left alone one by one.
    return next(iter(known.values()), next(iter(tracked)) if len(tracked) == 1 else None)
