"""The queue of heals and the leases of stacks in memory, held to the same contract suites as the adapters."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from adapters.heal_messages import to_message
from records.drift_ports import Delivery, StackLease
from records.errors import StoreError
from records.heals import HealJob
from records.ports import Clock


def utc_now() -> datetime:
    return datetime.now(UTC)


class Refusing:
    """Does as it should until it is told to refuse."""

    def __init__(self) -> None:
        self._refusals: dict[str, StoreError] = {}

    def refuse(self, method: str, error: StoreError) -> None:
        """From now on, every call of the method of this name."""
        self._refusals[method] = error

    def heal(self) -> None:
        self._refusals.clear()

    def check(self, method: str) -> None:
        """For the methods themselves.

        Raises:
            StoreError: what it was told to refuse with.
        """
        if method in self._refusals:
            raise self._refusals[method]


@dataclass(slots=True, eq=False)
class MemoryMessage:
    """A message in the queue, and who has it."""

    body: bytes
    not_before: datetime | None = None
    tries: int = 0
    is_held: bool = False


class MemoryHealQueue(Refusing):
    """A `HealQueue` in memory. ``sent`` are the jobs that were sent and ``delays`` theirs, in the order in which they came.

    ``messages`` is what is in the queue now, ``poison`` what was moved out of it.
    """

    def __init__(self, *, clock: Clock = utc_now) -> None:
        super().__init__()
        self.sent: list[HealJob] = []
        self.delays: list[int] = []
        self.messages: list[MemoryMessage] = []
        self.poison: list[bytes] = []
        self.clock = clock

    async def send(self, *, job: HealJob, delay_seconds: int = 0) -> None:
        self.check("send")
        body = to_message(job)
        self.sent.append(HealJob.model_validate_json(body))
        self.delays.append(delay_seconds)
        self.put(body, not_before=self.clock() + timedelta(seconds=delay_seconds) if delay_seconds else None)

    def put(self, body: bytes, *, not_before: datetime | None = None) -> None:
        """A message as anybody may have sent it."""
        self.messages.append(MemoryMessage(body, not_before))

    def duplicate(self) -> None:
        """Every message once more, as a queue that delivers at least once may."""
        self.messages += [MemoryMessage(message.body, message.not_before) for message in self.messages]


@dataclass(slots=True)
class MemoryDelivery:
    """A `Delivery` in memory. It is no longer this process's where ``is_stolen``."""

    queue: MemoryHealQueue
    message: MemoryMessage
    is_stolen: bool = False

    @property
    def body(self) -> bytes:
        return self.message.body

    @property
    def tries(self) -> int:
        return self.message.tries

    async def done(self) -> None:
        self.queue.check("done")
        if not self.is_stolen and self.message in self.queue.messages:
            self.queue.messages.remove(self.message)

    async def poisoned(self) -> None:
        self.queue.check("poisoned")
        if not self.is_stolen and self.message in self.queue.messages:
            self.queue.poison.append(self.message.body)
            self.queue.messages.remove(self.message)


class MemoryHealInbox(Refusing):
    """A `HealInbox` on the messages of a `MemoryHealQueue`; with ``order`` they come in another than that of sending.

    Each comes once in a round; one that was not done with comes again in the next.
    """

    def __init__(
        self,
        queue: MemoryHealQueue,
        *,
        order: Callable[[list[MemoryMessage]], list[MemoryMessage]] = lambda messages: messages,
    ) -> None:
        super().__init__()
        self.queue = queue
        self.order = order

    async def deliveries(self) -> AsyncIterator[AbstractAsyncContextManager[Delivery]]:
        seen: list[MemoryMessage] = []
        while message := self._next(seen):
            seen.append(message)
            message.is_held = True
            message.tries += 1
            yield self._held(MemoryDelivery(self.queue, message))

    def _next(self, seen: list[MemoryMessage]) -> MemoryMessage | None:
        self.check("deliveries")
        now = self.queue.clock()
        for message in self.order(list(self.queue.messages)):
            if (
                message not in seen
                and not message.is_held
                and (message.not_before is None or message.not_before <= now)
            ):
                return message
        return None

    @asynccontextmanager
    async def _held(self, delivery: MemoryDelivery) -> AsyncIterator[Delivery]:
        try:
            yield delivery
        finally:
            delivery.message.is_held = False


@dataclass(slots=True)
class MemoryLease:
    """A `StackLease` in memory, which is lost when a test says so."""

    is_lost: bool = False


class MemoryLeases(Refusing):
    """`StackLeases` in memory. ``taken`` are those that somebody has, by market and stack; tests may put others' there."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[tuple[str, str], MemoryLease] = {}

    @asynccontextmanager
    async def held(self, *, market: str, stack: str) -> AsyncIterator[StackLease | None]:
        self.check("held")
        if (market, stack) in self.taken:
            yield None
            return
        lease = self.taken[market, stack] = MemoryLease()
        try:
            yield lease
        finally:
            if self.taken.get((market, stack)) is lease:
                del self.taken[market, stack]
