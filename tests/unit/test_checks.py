"""The sentence of a check: the reason that is given first, and beside it that the same drift is elsewhere."""

from datetime import timedelta
from typing import Any

import pytest

from drift.checks import check_of
from drift.conditions import FLEET_AT_LEAST
from drift.policy import KillSwitch, Limits
from drift.situation import FleetSpread
from records.plan_checks import HoldReason
from tests.unit.drift_samples import ON
from tests.unit.observation_samples import NOW, brakes, clicked, seen

STRICT = ON.model_copy(update={"limits": Limits(heal_max_resources=0)})
SPREAD = FleetSpread(markets_with_it=10, markets_checked=10)
TOLD = "The same drift is in 10 of 10 markets"


def test_a_reason_that_goes_before_it_does_not_hide_that_the_drift_is_in_many_markets() -> None:
    held = check_of(clicked(), brakes(policy=STRICT, fleet=SPREAD), now=NOW)
    assert held.reason is HoldReason.BLAST_RADIUS
    assert held.why.endswith(f"lets 0 through. {TOLD}.")


def test_a_persons_words_end_before_it_is_said() -> None:
    paused = ON.model_copy(update={"kill_switch": KillSwitch(why="quarter end")})
    assert check_of(clicked(), brakes(policy=paused, fleet=SPREAD), now=NOW).why.endswith(f": quarter end. {TOLD}.")


def test_the_reason_that_says_it_says_it_once() -> None:
    held = check_of(clicked(), brakes(fleet=SPREAD), now=NOW)
    assert (held.reason, held.why.count(TOLD)) == (HoldReason.FLEET_WIDE, 1)


@pytest.mark.parametrize(
    ("stack", "fleet"),
    [
        pytest.param(
            clicked(), FleetSpread(markets_with_it=FLEET_AT_LEAST - 1, markets_checked=10), id="in two markets"
        ),
        pytest.param(seen(), SPREAD, id="a clean stack"),
    ],
)
def test_what_is_no_event_is_not_called_one(stack: Any, fleet: FleetSpread) -> None:
    judged = check_of(stack, brakes(policy=STRICT, fleet=fleet), now=NOW + timedelta(seconds=1))
    assert "The same drift" not in judged.why
