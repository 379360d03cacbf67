"""When the day's run is due: over whole years of ticks, where the clocks are changed and where they are not."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.service.schedule import DailySchedule, FiredSchedule, Schedule, daily_schedule

SIX = time(6)
TICK = timedelta(minutes=15)
A_LOOK = timedelta(minutes=5)
DAY = timedelta(days=1)

Served = list[tuple[date, datetime]]

YEARS = [
    pytest.param("Europe/Berlin", 2026, SIX, id="Berlin at six"),
    pytest.param("Europe/Berlin", 2026, time(2, 30), id="Berlin at a time that is skipped once and comes twice once"),
    pytest.param("America/Sao_Paulo", 2026, SIX, id="Sao Paulo, which has no summer time any more"),
    pytest.param("America/Sao_Paulo", 2018, SIX, id="Sao Paulo when its clocks jumped at midnight"),
    pytest.param("America/Sao_Paulo", 2018, time(0), id="Sao Paulo at a midnight that is skipped once"),
    pytest.param("America/Sao_Paulo", 2018, time(23, 30), id="Sao Paulo at an hour before midnight that comes twice"),
    pytest.param("Asia/Kolkata", 2026, SIX, id="Kolkata, half an hour off"),
    pytest.param("Australia/Lord_Howe", 2026, SIX, id="Lord Howe, whose summer is half an hour"),
    pytest.param("Australia/Lord_Howe", 2026, time(2, 10), id="Lord Howe in its half hour that is skipped"),
    pytest.param("Pacific/Chatham", 2026, SIX, id="Chatham, three quarters of an hour off"),
    pytest.param("Pacific/Chatham", 2024, time(3), id="Chatham in its skipped hour, in a leap year"),
    pytest.param("America/New_York", 2026, SIX, id="New York"),
    pytest.param("Africa/Casablanca", 2026, time(2, 30), id="Casablanca, which leaves summer time for Ramadan"),
    pytest.param("Pacific/Apia", 2011, SIX, id="Apia, which skipped a whole day"),
    pytest.param("Europe/Berlin", 2026, time(6, 7, 30), id="Berlin between two ticks"),
]

MOMENTS = [
    pytest.param("Europe/Berlin", SIX, "2026-01-15", "2026-01-15T05:00", id="Berlin in winter"),
    pytest.param("Europe/Berlin", SIX, "2026-07-15", "2026-07-15T04:00", id="Berlin in summer"),
    pytest.param("Europe/Berlin", time(2, 30), "2026-03-29", "2026-03-29T01:00", id="a time that is skipped"),
    pytest.param("Europe/Berlin", time(2, 30), "2026-10-25", "2026-10-25T00:30", id="a time that comes twice"),
    pytest.param("America/Sao_Paulo", time(0), "2018-11-04", "2018-11-04T03:00", id="a midnight that is skipped"),
    pytest.param("America/Sao_Paulo", time(23, 30), "2018-02-17", "2018-02-18T01:30", id="an evening hour twice"),
    pytest.param("Asia/Kolkata", SIX, "2026-07-15", "2026-07-15T00:30", id="Kolkata"),
    pytest.param("Australia/Lord_Howe", SIX, "2026-01-15", "2026-01-14T19:00", id="Lord Howe in summer"),
    pytest.param("Australia/Lord_Howe", SIX, "2026-07-15", "2026-07-14T19:30", id="Lord Howe in winter"),
    pytest.param("Pacific/Chatham", SIX, "2026-01-15", "2026-01-14T16:15", id="Chatham in summer"),
    pytest.param("Pacific/Apia", SIX, "2011-12-31", "2011-12-30T16:00", id="Apia on the day after the one it skipped"),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def berlin() -> DailySchedule:
    return daily_schedule("0 0 6 * * *", "Europe/Berlin")


def every(step: timedelta, start: datetime, end: datetime) -> Iterable[datetime]:
    while start < end:
        yield start
        start += step


@cache
def looks_at_the_clock(zone: str, year: int) -> Sequence[tuple[datetime, datetime]]:
    """Each five minutes of a local year, with what a clock on the wall shows then."""
    start, end = (datetime(new_year, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC) for new_year in (year, year + 1))
    wall = ZoneInfo(zone)
    return [(moment, moment.astimezone(wall).replace(tzinfo=None)) for moment in every(A_LOOK, start, end)]


def first_moments(zone: str, year: int, local_time: time) -> dict[date, datetime]:
    """Of each local day, when the wall's clock first shows this time or a later one: found by looking at it."""
    moments: dict[date, datetime] = {}
    for moment, shown in looks_at_the_clock(zone, year):
        if shown.date() not in moments and shown >= datetime.combine(shown.date(), local_time):
            moments[shown.date()] = moment
    return moments


def next_tick(moment: datetime) -> datetime:
    past_the_tick = (moment - at("2000-01-01")) % TICK
    return moment - past_the_tick + TICK if past_the_tick else moment


def serve(schedule: Schedule, ticks: Iterable[datetime], last_served: date | None = None) -> Served:
    """What is started at which tick, where each start is remembered."""
    served: Served = []
    for tick in ticks:
        day = schedule.due_day(tick, last_served=last_served)
        if day is not None:
            served.append((day, tick))
            last_served = day
    return served


@pytest.mark.parametrize(("zone", "year", "local_time"), YEARS)
def test_each_day_of_a_year_has_one_run_at_its_time_or_the_first_tick_after(
    zone: str, year: int, local_time: time
) -> None:
    looks = looks_at_the_clock(zone, year)
    served = serve(DailySchedule(zone=ZoneInfo(zone), local_time=local_time), every(TICK, looks[0][0], looks[-1][0]))
    expected = {day: next_tick(moment) for day, moment in first_moments(zone, year, local_time).items()}
    assert served == list(expected.items())
    assert [day for day, _ in served] == sorted({shown.date() for _, shown in looks})


@pytest.mark.parametrize(("zone", "local_time", "day", "expected"), MOMENTS)
def test_a_day_is_served_at(zone: str, local_time: time, day: str, expected: str) -> None:
    schedule = DailySchedule(zone=ZoneInfo(zone), local_time=local_time)
    served = serve(schedule, every(TICK, at(expected) - DAY, at(expected) + DAY))
    assert dict(served)[date.fromisoformat(day)] == at(expected)


def test_the_days_that_a_zone_skips_are_not_missed() -> None:
    days = first_moments("Pacific/Apia", 2011, SIX)
    assert date(2011, 12, 30) not in days
    assert len(days) == 364


@pytest.mark.parametrize(
    ("now", "last_served", "due"),
    [
        pytest.param("2026-11-25T04:45", "2026-11-24", None, id="before six"),
        pytest.param("2026-11-25T05:00", "2026-11-24", "2026-11-25", id="at six"),
        pytest.param("2026-11-25T05:00", "2026-11-25", None, id="at six once more, delivered twice"),
        pytest.param("2026-11-25T05:00:20", "2026-11-24", "2026-11-25", id="a tick that comes late"),
        pytest.param("2026-11-25T05:15", "2026-11-24", "2026-11-25", id="a tick after one that was missed"),
        pytest.param(
            "2026-11-25T22:45", "2026-11-24", "2026-11-25", id="the last tick of a day whose others were missed"
        ),
        pytest.param("2026-11-25T23:00", "2026-11-24", None, id="the day after one that was missed, before six"),
        pytest.param("2026-11-26T05:00", "2026-11-22", "2026-11-26", id="at six after three days that were missed"),
        pytest.param("2026-11-26T05:15", "2026-11-26", None, id="the tick after that, which makes up for none of them"),
        pytest.param("2026-11-25T14:00", None, "2026-11-25", id="a first deployment in the afternoon"),
        pytest.param("2026-11-25T04:00", None, None, id="a first deployment at night"),
        pytest.param("2026-11-25T05:00", "2026-11-26", None, id="a day in the future that was served"),
        pytest.param("2026-11-25T04:59:59.995", "2026-11-24", "2026-11-25", id="a tick some milliseconds early"),
        pytest.param("2026-11-25T04:59:58", "2026-11-24", None, id="two seconds before six"),
    ],
)
def test_at_a_tick_the_day_is_due(now: str, last_served: str | None, due: str | None) -> None:
    served = date.fromisoformat(last_served) if last_served else None
    assert berlin().due_day(at(now), last_served=served) == (date.fromisoformat(due) if due else None)


def test_the_moment_may_be_told_in_any_zone() -> None:
    now = at("2026-11-25T05:00").astimezone(ZoneInfo("Pacific/Chatham"))
    assert berlin().due_day(now, last_served=None) == berlin().day_at(now) == date(2026, 11, 25)


AROUND_THE_CHANGES = [
    *every(TICK, at("2026-03-27"), at("2026-03-31")),
    *every(TICK, at("2026-10-23"), at("2026-10-27")),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(AROUND_THE_CHANGES)), st.sampled_from([SIX, time(2, 30), time(0)]))
def test_ticks_in_any_order_and_number_serve_no_day_twice_and_none_that_is_over(
    ticks: list[datetime], local_time: time
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    served = serve(DailySchedule(zone=zone, local_time=local_time), ticks)
    days = [day for day, _ in served]
    assert days == sorted(set(days))
    assert all(day == tick.astimezone(zone).date() for day, tick in served)
    moments = first_moments("Europe/Berlin", 2026, local_time)
    assert all(tick >= moments[day] for day, tick in served)


@settings(deadline=None, max_examples=50)
@given(st.randoms(use_true_random=True), st.sampled_from([SIX, time(2, 30), time(0)]))
def test_ticks_a_little_early_or_late_and_some_twice_serve_each_day_once_and_at_its_time(
    chance: Random, local_time: time
) -> None:
    ticks = [
        tick + timedelta(milliseconds=chance.randint(-50, 2_000))
        for tick in every(TICK, at("2026-10-23T22:00"), at("2026-10-26T23:00"))
        for _ in range(chance.randint(1, 2))
    ]
    served = serve(DailySchedule(zone=ZoneInfo("Europe/Berlin"), local_time=local_time), ticks, date(2026, 10, 23))
    moments = first_moments("Europe/Berlin", 2026, local_time)
    assert [day for day, _ in served] == [date(2026, 10, 24), date(2026, 10, 25), date(2026, 10, 26)]
    early, late = timedelta(milliseconds=50), timedelta(seconds=2)
    assert all(moments[day] - early <= tick <= moments[day] + late for day, tick in served)


class TestWithoutAZone:
    @pytest.mark.parametrize(
        ("now", "last_served", "due"),
        [
            pytest.param("2026-11-25T06:00", "2026-11-24", "2026-11-25", id="at the day's firing"),
            pytest.param("2026-11-25T06:00", None, "2026-11-25", id="at the first firing of all"),
            pytest.param("2026-11-25T06:00:01", "2026-11-25", None, id="delivered twice"),
            pytest.param("2026-11-25T18:00", "2026-11-25", None, id="a second firing of one day"),
            pytest.param("2026-11-25T23:59:59.990", "2026-11-25", "2026-11-26", id="some milliseconds before midnight"),
            pytest.param("2026-11-26T00:00", "2026-11-26", None, id="midnight, after an early firing"),
            pytest.param("2026-11-25T23:58", "2026-11-25", None, id="two minutes before midnight"),
            pytest.param("2026-11-28T06:00", "2026-11-25", "2026-11-28", id="after days that were missed"),
            pytest.param("2026-11-25T06:00", "2026-11-26", None, id="a day in the future that was served"),
        ],
    )
    def test_a_firing_means_the_day(self, now: str, last_served: str | None, due: str | None) -> None:
        served = date.fromisoformat(last_served) if last_served else None
        assert FiredSchedule().due_day(at(now), last_served=served) == (date.fromisoformat(due) if due else None)

    def test_the_day_is_that_in_utc_wherever_the_clock_is(self) -> None:
        assert FiredSchedule().day_at(datetime(2026, 11, 26, 1, tzinfo=ZoneInfo("Asia/Kolkata"))) == date(2026, 11, 25)

    @settings(deadline=None)
    @given(st.lists(st.integers(min_value=-900, max_value=900), min_size=30, max_size=30), st.sampled_from([0, 6, 23]))
    def test_a_timer_that_fires_a_little_early_or_late_serves_every_day(self, jitter: list[int], hour: int) -> None:
        firings = [at("2026-11-01") + DAY * number + timedelta(hours=hour) for number in range(30)]
        served = serve(
            FiredSchedule(),
            [firing + timedelta(milliseconds=off) for firing, off in zip(firings, jitter, strict=True)],
        )
        assert [day for day, _ in served] == [firing.date() for firing in firings]


class TestFromSettings:
    @pytest.mark.parametrize(
        ("ncrontab", "local_time"),
        [
            ("0 0 6 * * *", SIX),
            ("30 5 23 * * *", time(23, 5, 30)),
            ("00 00 06 * * *", SIX),
            ("  0 0\t6 *  * * ", SIX),
        ],
    )
    def test_a_time_of_each_day_is_taken(self, ncrontab: str, local_time: time) -> None:
        schedule = daily_schedule(ncrontab, "Australia/Lord_Howe")
        assert (schedule.local_time, schedule.zone.key) == (local_time, "Australia/Lord_Howe")

    @pytest.mark.parametrize(
        "ncrontab",
        ["", "0 6 * * *", "0 */15 * * * *", "0 0 6,18 * * *", "0 0 6 * * MON-FRI", "0 0 6 1 * *", "06:00:00", "@daily"],
    )
    def test_what_names_more_or_less_than_one_time_of_each_day_is_refused(self, ncrontab: str) -> None:
        with pytest.raises(ValueError, match=r"^with a time zone it must name one time of each day, such as 0 0 6"):
            daily_schedule(ncrontab, "Europe/Berlin")

    @pytest.mark.parametrize("ncrontab", ["0 0 24 * * *", "0 60 6 * * *", "60 0 6 * * *", "99 99 99 * * *"])
    def test_a_time_that_no_clock_shows_is_refused(self, ncrontab: str) -> None:
        with pytest.raises(ValueError, match=r"^no such time of day, or no such IANA time zone"):
            daily_schedule(ncrontab, "Europe/Berlin")

    @pytest.mark.parametrize("ncrontab", ["1 30 23 * * *", "0 45 23 * * *", "59 59 23 * * *"])
    def test_a_time_after_the_last_tick_of_a_day_is_refused(self, ncrontab: str) -> None:
        with pytest.raises(ValueError, match="23:30 or earlier"):
            daily_schedule(ncrontab, "Europe/Berlin")
        assert daily_schedule("0 30 23 * * *", "Europe/Berlin").local_time == time(23, 30)

    @pytest.mark.parametrize(
        "zone",
        [
            "",
            "Mars/Olympus",
            "../etc/passwd",
            "/etc/passwd",
            "Europe",
            "Europe/../Europe/Berlin",
            "Europe/Berlin\0",
            "é",
        ],
    )
    def test_what_is_no_time_zone_is_refused_and_not_repeated(self, zone: str) -> None:
        with pytest.raises(ValueError, match="no such IANA time zone") as refused:
            daily_schedule("0 0 6 * * *", zone)
        assert str(refused.value) == "no such time of day, or no such IANA time zone (such as Europe/Berlin)"
        assert refused.value.__suppress_context__
