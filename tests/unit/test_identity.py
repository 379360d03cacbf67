"""What runs and their orchestrations are called."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.service.identity import daily_run, day_of, instance_of, run_on_demand
from records.names import is_run_id
from records.runs import WHOLE_SCOPE, Scope

SIX: Final = datetime(2026, 11, 25, 6, 0, 0, 123456, tzinfo=UTC)
NAMES: Final = st.lists(st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True), max_size=5)
SCOPES: Final = st.builds(lambda markets, stacks: Scope(markets=tuple(markets), stacks=tuple(stacks)), NAMES, NAMES)
STARTS: Final = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis wants them without)


class TestADailyRun:
    def test_is_called_after_its_day_whenever_it_starts(self) -> None:
        day = date(2026, 11, 25)
        assert daily_run(day, started_at=SIX).run_id == "daily-2026-11-25"
        assert daily_run(day, started_at=SIX + timedelta(hours=9)).run_id == "daily-2026-11-25"

    @given(st.dates())
    def test_tells_its_day_and_is_its_orchestration(self, day: date) -> None:
        run_id = daily_run(day, started_at=SIX).run_id
        assert day_of(run_id) == day
        assert instance_of(run_id) == run_id
        assert is_run_id(run_id)

    @pytest.mark.parametrize(
        "run_id",
        [
            pytest.param("daily-2026-02-30", id="a day that no calendar has"),
            pytest.param("daily-2026-13-01", id="a month that no calendar has"),
            pytest.param("daily-0000-01-01", id="a year before the first"),
            pytest.param("daily-20261125", id="a day spelt otherwise"),
            pytest.param("daily-2026-11-25T06", id="more than a day"),
            pytest.param("daily-2026-11-25\n", id="a line break"),
            pytest.param("xdaily-2026-11-25", id="something before"),
            pytest.param("Daily-2026-11-25", id="a capital"),
            pytest.param("daily-२०२६-११-२५", id="digits of another script"),
            pytest.param("request-0000000000000000-20261125T060000123Z", id="a run on demand"),
            pytest.param("20261125T060000123Z", id="a run at a terminal"),
            pytest.param("", id="nothing"),
        ],
    )
    def test_is_no_run_of_another_name(self, run_id: str) -> None:
        assert day_of(run_id) is None


class TestARunOnDemand:
    @given(SCOPES, STARTS)
    def test_leads_to_its_orchestration(self, scope: Scope, started_at: datetime) -> None:
        run = run_on_demand(scope, started_at=started_at)
        instance_id = instance_of(run.run_id)
        assert instance_id is not None
        assert run.run_id.startswith(f"{instance_id}-")
        assert is_run_id(run.run_id)
        assert (day_of(run.run_id), run.started_at) == (None, started_at)

    @given(SCOPES, STARTS, STARTS)
    def test_of_the_same_scope_has_the_same_orchestration_another_day(
        self, scope: Scope, one: datetime, other: datetime
    ) -> None:
        runs = [run_on_demand(scope, started_at=started_at).run_id for started_at in (one, other)]
        assert instance_of(runs[0]) == instance_of(runs[1])

    @given(SCOPES, SCOPES)
    def test_has_the_orchestration_of_its_scope_alone(self, one: Scope, other: Scope) -> None:
        instances = [instance_of(run_on_demand(scope, started_at=SIX).run_id) for scope in (one, other)]
        assert (instances[0] == instances[1]) == (one.normalised() == other.normalised())

    @given(SCOPES)
    def test_of_the_same_names_in_another_order_has_the_same_orchestration(self, scope: Scope) -> None:
        again = Scope(markets=(*reversed(scope.markets), *scope.markets), stacks=tuple(reversed(scope.stacks)))
        assert run_on_demand(again, started_at=SIX) == run_on_demand(scope, started_at=SIX)

    def test_of_the_whole_estate_is_told_by_its_name(self) -> None:
        run = run_on_demand(WHOLE_SCOPE, started_at=SIX)
        assert run.run_id == "request-0000000000000000-20261125T060000123Z"

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param(Scope(markets=("a",)), Scope(stacks=("a",)), id="a market, and a stack of its name"),
            pytest.param(Scope(markets=("a", "b")), Scope(markets=("a/b",)), id="two markets, and a nested one"),
        ],
    )
    def test_tells_scopes_that_look_alike_apart(self, one: Scope, other: Scope) -> None:
        assert run_on_demand(one, started_at=SIX).run_id != run_on_demand(other, started_at=SIX).run_id


@pytest.mark.parametrize(
    "run_id",
    [
        pytest.param("20261125T060000123Z", id="of a run at a terminal"),
        pytest.param("nightly-7", id="of a name that somebody chose"),
        pytest.param("request-0000000000000000", id="of an orchestration"),
        pytest.param("request-000000000000000-20261125T060000123Z", id="with a digit too few"),
        pytest.param("request-00000000000000AB-20261125T060000123Z", id="in capitals"),
        pytest.param("request-0000000000000000-20261125T060000123Z\n", id="with a line break"),
        pytest.param("daily-2026-02-30", id="of a day that no calendar has"),
    ],
)
def test_no_orchestration_does_a_run(run_id: str) -> None:
    assert instance_of(run_id) is None


class TestAScope:
    @given(SCOPES)
    def test_is_the_same_in_any_order_and_however_often_a_name_is_given(self, scope: Scope) -> None:
        again = Scope(markets=(*reversed(scope.markets), *scope.markets), stacks=tuple(reversed(scope.stacks)))
        assert again.normalised() == scope.normalised()
        assert scope.normalised().normalised() == scope.normalised()

    @given(SCOPES)
    def test_names_the_same_when_it_is_normalised(self, scope: Scope) -> None:
        normal = scope.normalised()
        assert (set(normal.markets), set(normal.stacks)) == (set(scope.markets), set(scope.stacks))
        assert normal.is_whole_estate == scope.is_whole_estate

    @pytest.mark.parametrize(
        ("scope", "whole"),
        [
            (Scope(), True),
            (Scope(markets=("de",)), False),
            (Scope(stacks=("app",)), False),
        ],
        ids=["of nothing", "of a market", "of a stack"],
    )
    def test_is_the_whole_estate_where_it_names_nothing(self, scope: Scope, whole: bool) -> None:
        assert scope.is_whole_estate is whole
