"""Freeze windows: over whole years of looks at a clock on the wall, where clocks are changed and where they are not."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.freeze import Cron, open_until, parse_cron, parse_duration

A_LOOK = timedelta(minutes=5)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_open(cron: str, duration: str, zone: str, moment: str) -> bool:
    return open_until(parse_cron(cron), parse_duration(duration), ZoneInfo(zone), at(moment)) is not None


@cache
def looks(zone: str, year: int) -> list[tuple[datetime, datetime]]:
    """Each five minutes of a year, with what a clock on the wall shows then."""
    start, wall = datetime(year, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    moments = (start + A_LOOK * step for step in range(366 * 24 * 12))
    return [(moment, moment.astimezone(wall).replace(tzinfo=None)) for moment in moments]


def begins_at(cron: Cron, shown: datetime) -> bool:
    return shown.minute in cron.minutes and shown.hour in cron.hours and cron.falls_on(shown.date())


def starts(cron: Cron, zone: str, year: int) -> list[datetime]:
    """Every look at which the wall shows a start, and every look after a jump over one: found by looking."""
    found, before = [], None
    for moment, shown in looks(zone, year):
        skipped: list[datetime] = []
        if before is not None and shown - before > A_LOOK:
            skipped = [before + A_LOOK * step for step in range(1, (shown - before) // A_LOOK)]
        if begins_at(cron, shown) or any(begins_at(cron, minute) for minute in skipped):
            found.append(moment)
        before = shown
    return found


YEARS = [
    pytest.param("0 18 * * fri", "Europe/Berlin", 2026, "3h", id="Berlin on Friday evenings"),
    pytest.param(
        "30 2 * * *", "Europe/Berlin", 2026, "45m", id="Berlin at a time that is skipped once and comes twice once"
    ),
    pytest.param("*/15 2-3 * * sun", "Europe/Berlin", 2026, "10m", id="Berlin on Sundays, each quarter of an hour"),
    pytest.param("0 0 * * *", "America/Sao_Paulo", 2018, "5h", id="Sao Paulo at a midnight that is skipped once"),
    pytest.param("30 23 * * *", "America/Sao_Paulo", 2018, "50m", id="Sao Paulo before a midnight that comes twice"),
    pytest.param("10 2 * * *", "Australia/Lord_Howe", 2026, "1h", id="Lord Howe in its half hour that is skipped"),
    pytest.param("0 12 * * *", "Pacific/Apia", 2011, "2h", id="Apia, which skipped a whole day"),
    pytest.param("0 0 1,15 * mon", "Asia/Kolkata", 2026, "6h", id="Kolkata on two days of the month and on Mondays"),
    pytest.param("0 22 24 12 *", "UTC", 2026, "70h", id="once a year"),
]


@pytest.mark.parametrize(("cron", "zone", "year", "duration"), YEARS)
def test_a_window_is_open_from_each_start_for_its_duration(cron: str, zone: str, year: int, duration: str) -> None:
    parsed, length = parse_cron(cron), parse_duration(duration)
    begun = starts(parsed, zone, year)
    assert begun
    edges = {moment for start in begun for moment in (start, start + length.exact)}
    looked = [moment + nudge for moment in sorted(edges)[2:-2] for nudge in (-A_LOOK, timedelta(), A_LOOK)]
    for moment in looked[:1200] + looked[-300:]:
        expected = any(start <= moment < start + length.exact for start in begun)
        assert (open_until(parsed, length, ZoneInfo(zone), moment) is not None) == expected, moment


MOMENTS = [
    pytest.param(
        "30 2 * * *", "1h", "2026-03-29T00:59", "2026-03-29T01:00", "2026-03-29T02:00", id="a start that is skipped"
    ),
    pytest.param(
        "30 2 * * *", "30m", "2026-10-25T00:29", "2026-10-25T00:30", "2026-10-25T01:00", id="the first of two"
    ),
    pytest.param(
        "30 2 * * *", "30m", "2026-10-25T01:29", "2026-10-25T01:30", "2026-10-25T02:00", id="the second of two"
    ),
    pytest.param(
        "0 18 * * fri", "62h", "2026-03-27T16:59", "2026-03-27T17:00", "2026-03-30T07:00", id="hours over a short day"
    ),
    pytest.param(
        "0 18 * * fri", "2d14h", "2026-03-27T16:59", "2026-03-27T17:00", "2026-03-30T06:00", id="days, a short one"
    ),
    pytest.param(
        "0 18 * * fri", "2d14h", "2026-10-23T15:59", "2026-10-23T16:00", "2026-10-26T07:00", id="days, a long one"
    ),
    pytest.param(
        "30 2 * * *", "1d", "2026-10-24T00:29", "2026-10-24T00:30", "2026-10-25T01:30", id="an end that comes twice"
    ),
]


@pytest.mark.parametrize(("cron", "duration", "before", "start", "end"), MOMENTS)
def test_a_window_in_berlin_over_a_change_of_clocks(
    cron: str, duration: str, before: str, start: str, end: str
) -> None:
    zone = "Europe/Berlin"
    window = parse_cron(cron), parse_duration(duration), ZoneInfo(zone)
    closed_before = open_until(*window, at(before))
    assert closed_before is None or closed_before <= at(start)
    assert is_open(cron, duration, zone, start)
    last = open_until(*window, at(end) - timedelta(minutes=1))
    assert last is not None
    assert last >= at(end)
    assert open_until(*window, at(start)) == at(end)


@settings(max_examples=200)
@given(
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"]),
    st.integers(0, 20 * 365 * 24 * 60).map(lambda minutes: at("2010-01-01") + timedelta(minutes=minutes)),
    st.integers(0, 59),
    st.integers(0, 23),
)
def test_a_window_of_a_day_that_begins_each_day_never_closes(zone: str, now: datetime, minute: int, hour: int) -> None:
    window = parse_cron(f"{minute} {hour} * * *"), parse_duration("1d"), ZoneInfo(zone)
    if zone == "Pacific/Apia" and now.year == 2011:
        return  # it has no 30 December 2011, on which the window of the 29th would end
    end = open_until(*window, now)
    assert end is not None
    assert end > now


def test_a_window_stays_open_when_the_clock_goes_back_over_its_midnight() -> None:
    shown = at("2010-11-07T02:45").astimezone(ZoneInfo("America/St_Johns"))
    assert (shown.day, shown.hour) == (6, 23)
    assert is_open("0 0 * * *", "30m", "America/St_Johns", "2010-11-07T02:45")


def test_a_long_window_is_found_quickly_whatever_its_cron() -> None:
    assert is_open("* * * * *", "366d", "Europe/Berlin", "2026-11-25T06:00")
    assert not is_open("* * 1 1 *", "1m", "Europe/Berlin", "2026-11-25T06:00")


CRONS = [
    ("0 18 * * fri", "2026-11-27T18:00", "2026-11-26T18:00"),
    ("0 18 * * 7", "2026-11-29T18:00", "2026-11-28T18:00"),
    ("0 18 * * 0", "2026-11-29T18:00", "2026-11-28T18:00"),
    ("0 18 * * FRI-SUN", "2026-11-29T18:00", "2026-11-26T18:00"),
    ("0 18 * * 5-7", "2026-11-29T18:00", "2026-11-30T18:00"),
    ("0 18 24 dec *", "2026-12-24T18:00", "2026-11-24T18:00"),
    ("*/20 18 * * *", "2026-11-24T18:40", "2026-11-24T18:30"),
    ("10-30/10 18 * * *", "2026-11-24T18:30", "2026-11-24T18:40"),
    ("0 18 13 * fri", "2026-11-27T18:00", "2026-11-26T18:00"),
    ("0 18 13 * fri", "2026-12-13T18:00", "2026-12-14T18:00"),
    ("0 18 */2 * fri", "2026-11-27T18:00", "2026-11-25T18:00"),
    ("0 18 29 2 *", "2028-02-29T18:00", "2027-03-01T18:00"),
]


@pytest.mark.parametrize(("cron", "opens", "not_at"), CRONS)
def test_what_a_cron_expression_names(cron: str, opens: str, not_at: str) -> None:
    assert is_open(cron, "1m", "UTC", opens)
    assert not is_open(cron, "1m", "UTC", not_at)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 0 18 * * fri", "five fields"),
        ("", "five fields"),
        ("60 18 * * *", "minute: must go up, from 0 to 59"),
        ("0 18-6 * * *", "hour: must go up"),
        ("0 18 0 * *", "day of the month"),
        ("0 18 * 13 *", "month"),
        ("0 18 * * fry", "day of the week: no such number or name"),
        ("0 18 * * 8", "day of the week"),
        ("0 18 * * sat-mon", "day of the week: must go up"),
        ("0 18 L * *", "day of the month: no such number"),
        ("0 18 ? * *", "day of the month: must be"),
        ("0 18 * * 5#2", "day of the week: must be"),
        ("5/15 18 * * *", "a step needs"),
        ("*/0 18 * * *", "a step is 1 or more"),
        ("*-5 18 * * *", "begins no range"),
        ("0,,5 18 * * *", "minute: must be"),
        ("0 18 30 feb *", "days that never come"),
        ("0 18 ٣ * *", "day of the month"),
    ],
)
def test_a_cron_expression_that_is_refused(cron: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_cron(cron)


@pytest.mark.parametrize(
    "duration", ["", "0h", "62", "62 hours", "14h2d", "-1h", "1.5h", "367d", "366d1m", "PT1H", "1h h"]
)
def test_a_duration_that_is_refused(duration: str) -> None:
    with pytest.raises(ValueError, match="days, hours and minutes"):
        parse_duration(duration)


@pytest.mark.parametrize(
    ("text", "minutes"), [("90m", 90), ("2d", 2880), ("2d14h", 3720), ("1D 1H 1M", 1501), ("366d", 527_040)]
)
def test_a_duration(text: str, minutes: int) -> None:
    duration = parse_duration(text)
    assert timedelta(days=duration.days) + duration.exact == timedelta(minutes=minutes)
