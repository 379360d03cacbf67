"""The policy as it counts in a run: what its source gives, under the settings; whatever cannot be read frees nothing."""

from dataclasses import dataclass
from typing import Final

import pytest

from drift.policy import InvalidPolicy, Limits, Policy
from drift.policy_reading import read_policy
from drift.situation import Unread
from records.heals import HealMode
from records.policy_source import BrokenYaml, MarkedValues, NoPolicy, PlainValue, UnreadPolicy
from tests.unit.observation_samples import Bench, clicked

LIMITS: Final = Limits(heal_max_resources=5, breaker_count=7)
Given = MarkedValues | BrokenYaml | NoPolicy | UnreadPolicy


@dataclass(frozen=True, slots=True)
class Source:
    """A `PolicySource` that always gives the same."""

    given: Given

    async def read(self) -> Given:
        return self.given


async def read(given: Given, mode: HealMode | None = None) -> Policy | InvalidPolicy | Unread:
    return await read_policy(Source(given), mode=mode, limits=LIMITS)


def says(**values: PlainValue) -> MarkedValues:
    return MarkedValues(dict(values), {(): 1, **{(name,): line for line, name in enumerate(values, start=2)}})


async def test_without_a_file_the_settings_count_alone() -> None:
    assert await read(NoPolicy()) == Policy(limits=LIMITS)
    assert await read(NoPolicy(), HealMode.ON) == Policy(limits=LIMITS, heal_mode=HealMode.ON)


@pytest.mark.parametrize(
    ("given", "mode", "effective"),
    [
        pytest.param(NoPolicy(), None, HealMode.DRY_RUN, id="nobody says anything"),
        pytest.param(NoPolicy(), HealMode.ON, HealMode.ON, id="the setting alone says on"),
        pytest.param(NoPolicy(), HealMode.OFF, HealMode.OFF, id="the setting alone says off"),
        pytest.param(says(schema_version=1), None, HealMode.DRY_RUN, id="the file says no mode"),
        pytest.param(says(schema_version=1), HealMode.ON, HealMode.ON, id="the file leaves it to the setting"),
        pytest.param(says(heal_mode="on"), None, HealMode.ON, id="the file alone says on"),
        pytest.param(says(heal_mode="on"), HealMode.DRY_RUN, HealMode.DRY_RUN, id="the setting is the ceiling"),
        pytest.param(says(heal_mode="on"), HealMode.OFF, HealMode.OFF, id="the setting is off"),
        pytest.param(says(heal_mode="off"), HealMode.ON, HealMode.OFF, id="the file is stricter"),
    ],
)
async def test_the_mode_where(given: Given, mode: HealMode | None, effective: HealMode) -> None:
    policy = await read(given, mode)
    assert isinstance(policy, Policy)
    assert policy.heal_mode is effective
    bench = Bench()
    await bench.conclude(clicked(), policy=policy)
    assert len(bench.queue.sent) == (1 if effective is HealMode.ON else 0)


async def test_limits_of_the_file_go_before_those_of_the_settings() -> None:
    policy = await read(says(limits={"heal_max_resources": 2}))
    assert isinstance(policy, Policy)
    assert policy.limits == Limits(heal_max_resources=2, breaker_count=7)


async def test_a_file_that_is_no_policy_is_invalid_and_says_where() -> None:
    policy = await read(says(schema_version=1, rulez=[]), HealMode.ON)
    assert isinstance(policy, InvalidPolicy)
    assert str(policy) == "line 3, rulez: there is no such field"


@pytest.mark.parametrize("values", [None, [], "heal", {"heal_mode": "always"}, {"schema_version": 2}], ids=repr)
async def test_a_file_is_no_policy_that_says(values: PlainValue) -> None:
    assert isinstance(await read(MarkedValues(values, {(): 1}), HealMode.ON), InvalidPolicy)


async def test_what_is_no_yaml_is_invalid_and_says_where() -> None:
    policy = await read(BrokenYaml(message="there is a tab", line=7), HealMode.ON)
    assert isinstance(policy, InvalidPolicy)
    assert str(policy) == "line 7: there is a tab"


async def test_a_file_that_cannot_be_read_is_not_taken_for_none() -> None:
    assert await read(UnreadPolicy("403. Give the app the role."), HealMode.ON) == Unread("403. Give the app the role.")
