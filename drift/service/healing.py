"""What the Functions host has done about heals: a message of their queue, one that failed too often, and the levers.

The host delivers a message at least once, tries one that failed again, and moves it to the poison queue after the fifth time
(host.json, ``queues``).
"""

import logging
from dataclasses import dataclass
from traceback import format_tb
from typing import Final

from drift.healing.delivering import Deliveries
from drift.healing.levers import Levers
from records.errors import SettingsError, TrueupError

HEAL: Final = "heal_stack"
FAIL: Final = "heal_poison"
"""The names of the functions: `docs/hosting.md` and app settings know them."""
QUEUE_CONNECTION: Final = "HealQueue"
"""The app setting, or the prefix of several, by which the host finds the queue's account (docs/hosting.md)."""

_LOG: Final = logging.getLogger(__name__)


class HealBrokeError(Exception):
    """A heal broke on an error that is not trueup's; the text is its type. The app's log says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealService:
    """All that heals need of the world, opened once in a process."""

    deliveries: Deliveries
    levers: Levers


async def heal_message(service: HealService, body: bytes) -> None:
    """Takes the job of a message as far as it goes; who returns from this has done with the message.

    Raises:
        TrueupError: the job is left where it is, and the host tries the message again.
        HealBrokeError: the same.
    """
    try:
        await service.deliveries.take(body)
    except SettingsError as error:
        # No job is the worse for an app that can heal nothing.
        _LOG.error("the message waits for an app that can heal: %s", error)
        await service.deliveries.send_again(body)
    except TrueupError:
        raise
    except Exception as error:  # noqa: BLE001 (as `drift.healing.draining`: the boundary of a message)
        # The host logs an exception with its text, and one that nobody foresaw can quote a plan.
        _LOG.error("a heal broke with %s\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
        raise HealBrokeError(type(error).__name__) from None


async def fail_message(service: HealService, body: bytes) -> None:
    """Ends the job of a message that has failed as often as it may: a person's from here on.

    Raises:
        StoreError: the ledger cannot be read or written, and the host tries it again.
        StackBusyError: another worker has the stack; the same.
    """
    await service.deliveries.healer.fail(body)
