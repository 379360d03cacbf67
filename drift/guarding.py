"""The boundary of a stack: whatever breaks in looking at one is that stack's, and the others are looked at all the same."""

import logging
from collections.abc import Awaitable, Callable
from traceback import format_tb
from typing import Final

from records.errors import TrueupError
from records.plan_checks import StackObservation, market_and_stack
from records.ports import Clock

_LOG: Final = logging.getLogger(__name__)


async def guarded(
    path: str, observe: Callable[[str, str], Awaitable[StackObservation]], clock: Clock
) -> StackObservation:
    """What was seen of a stack, or that nothing was since looking at it broke.

    Raises:
        TrueupError: one that no stack is to blame for, such as a setting.
    """
    market, stack = market_and_stack(path)
    try:
        return await observe(market, stack)
    except TrueupError:
        raise
    except Exception as error:  # noqa: BLE001 (the boundary of a stack: the others must be looked at)
        # Where it broke and not with what: an exception's text can quote a plan.
        _LOG.error("stack %s: %s\n%s", path, type(error).__name__, "".join(format_tb(error.__traceback__)))
        return unseen(path, f"Looking at it broke with {type(error).__name__}. Report this with the run's log.", clock)


def unseen(path: str, why: str, clock: Clock) -> StackObservation:
    """That nothing is known of a stack."""
    market, stack = market_and_stack(path)
    return StackObservation(market=market, stack=stack, checked_at=clock(), diagnostics=(why,))
