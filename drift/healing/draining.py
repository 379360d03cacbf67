"""Works through the queue without the Functions host, by the host's own rules: five tries, then it is a person's."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from traceback import format_tb
from typing import Final

from drift.healing.delivering import Deliveries
from drift.healing.messages import Refusal, read_message
from drift.healing.worker import Fate, Healer
from records.drift_ports import Delivery, HealInbox
from records.errors import DiedTooOftenError, SettingsError, TrueupError
from records.heals import MOST_TRIES, HealJob

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What came of one delivery: its ``fate``, or the ``error`` by which it went wrong. ``job`` is None where it names none."""

    job: HealJob | None
    fate: Fate | None = None
    error: Exception | None = None


async def drain(deliveries: Deliveries, inbox: HealInbox) -> AsyncIterator[Drained]:
    """Takes each message that can be had now, one after another.

    One that went wrong, or whose stack another worker has, comes again at a later call. One whose workers died as often as a
    message may fail is a person's too.

    Raises:
        StoreError: the queue cannot be read.
        SettingsError: this process can heal nothing; the message waits as a new one.
    """
    healer = deliveries.healer
    async for taking in inbox.deliveries():
        async with taking as delivery:
            message = read_message(delivery.body)
            job = None if isinstance(message, Refusal) else message
            if delivery.tries > MOST_TRIES:
                yield Drained(job=job, error=await _failed(healer, delivery, DiedTooOftenError()))
                continue
            try:
                fate = await deliveries.take(delivery.body)
                await delivery.done()
                yield Drained(job=job, fate=fate)
            except SettingsError:
                # No job is the worse for a process that can heal nothing: this was no try of it.
                await deliveries.send_again(delivery.body)
                await delivery.done()
                raise
            except TrueupError as error:
                yield Drained(job=job, error=await _failed(healer, delivery, error))
            except Exception as error:  # noqa: BLE001 (the boundary of a message: the others are worked on all the same)
                # Where it broke and not with what: an exception's text can quote a plan.
                lines = "".join(format_tb(error.__traceback__))
                _LOG.error("a heal broke with %s\n%s", type(error).__name__, lines)
                yield Drained(job=job, error=await _failed(healer, delivery, error))


async def _failed(healer: Healer, delivery: Delivery, error: Exception) -> Exception:
    """What went wrong; a message that has failed as often as it may is a person's from here on."""
    if delivery.tries < MOST_TRIES:
        return error
    try:
        await healer.fail(delivery.body)
        await delivery.poisoned()
    except TrueupError as failure:
        # It comes again, and the others are worked on all the same.
        return failure
    return error
