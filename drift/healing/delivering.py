"""What is done with one message of the queue: its job is taken as far as it goes, or the message waits as a new one."""

from dataclasses import dataclass
from typing import Final

from drift.healing.messages import Refusal, read_message
from drift.healing.worker import Fate, Healer
from records.drift_ports import HealQueue
from records.ports import Clock

_LATER_SECONDS: Final = 60
_LEAST_LIFE_SECONDS: Final = 5
"""A message that would live no longer would only fail to be sent: its own clock is the queue's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """A worker at the queue."""

    healer: Healer
    queue: HealQueue
    clock: Clock

    async def take(self, body: bytes) -> Fate:
        """Who returns from this has done with the message, and what is left to do comes as another one.

        Raises:
            TrueupError: the job is left where it is, and its message is to come again.
        """
        fate = await self.healer.heal(body)
        if fate is Fate.LATER:
            await self.send_again(body)
        return fate

    async def send_again(self, body: bytes) -> None:
        """The message waits as a new one, since each return of this one would count as a failure of its job.

        One that has all but expired is let go, as it would be gone before it came again: a check queues its job anew.
        """
        job = read_message(body)
        if isinstance(job, Refusal):
            return
        seconds_left = int((job.expires_at - self.clock()).total_seconds())
        if seconds_left > _LEAST_LIFE_SECONDS:
            delay_seconds = min(_LATER_SECONDS, seconds_left - _LEAST_LIFE_SECONDS)
            await self.queue.send(job=job, delay_seconds=delay_seconds)
