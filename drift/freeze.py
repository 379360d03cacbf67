"""When a freeze window is open: a start by cron, a duration and a time zone.

Cron is crontab(5)'s five fields, minutes first. The two hours that trouble other schedulers end in a freeze here: a start
that the clock jumps over comes when it has jumped, and one that the clock passes twice comes twice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

LONGEST_DURATION: Final = timedelta(days=366)

_DAY: Final = timedelta(days=1)
_A_FULL_CYCLE: Final = tuple(date(2000, 1, 1) + _DAY * day for day in range(28 * 366))
"""Holds every day of every month on every day of the week."""
_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,4})m)?")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SUNDAY_AT_THE_END: Final = 7
_FIELDS: Final = 5
_FIELD_NAMES: Final = ("minute", "hour", "day of the month", "month", "day of the week")
_BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, _SUNDAY_AT_THE_END))
_NAMES: Final[tuple[dict[str, int], ...]] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, start=1)},
    {name: number for number, name in enumerate(_WEEKDAYS)},
)
_PART = re.compile(r"(?P<first>\*|[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?(?:/(?P<step>\d{1,2}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The moments that a cron expression names, on a clock on the wall. ``weekdays`` counts from Sunday, 0.

    ``either_day`` is cron's own rule: where neither day field begins with ``*``, a day that fits one of them will do.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def falls_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday

    def times_latest_first(self) -> Iterator[time]:
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                yield time(hour, minute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Days by the calendar, whatever their length, and then ``exact`` time on top, as in RFC 5545, section 3.3.6."""

    days: int
    exact: timedelta


def parse_duration(text: str) -> Duration:
    """``2d14h``, ``90m``: days, hours and minutes in this order.

    Raises:
        ValueError: another spelling, no time at all, or more than 366 days.
    """
    match = _DURATION.fullmatch(text.replace(" ", "").lower())
    days, hours, minutes = (int(number or 0) for number in match.groups()) if match else (0, 0, 0)
    exact = timedelta(hours=hours, minutes=minutes)
    if not timedelta() < exact + _DAY * days <= LONGEST_DURATION:
        raise ValueError("must be days, hours and minutes such as 2d14h or 90m, and 366 days at most")
    return Duration(days=days, exact=exact)


def parse_cron(text: str) -> Cron:
    """A cron expression of five fields, with ``*``, lists, ranges, steps of either, and names of months and days.

    Raises:
        ValueError: names the field that is wrong; or the days that it names never come.
    """
    fields = text.lower().split()
    if len(fields) != _FIELDS:
        raise ValueError(
            "must have cron's five fields, minutes first, such as 0 18 * * fri (NCRONTAB's seconds are left out)"
        )
    minutes, hours, days, months, weekdays = (_numbers_of(field, place) for place, field in enumerate(fields))
    cron = Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(number % _SUNDAY_AT_THE_END for number in weekdays),
        either_day=not (fields[2].startswith("*") or fields[4].startswith("*")),
    )
    if not any(cron.falls_on(day) for day in _A_FULL_CYCLE):
        raise ValueError("names days that never come")
    return cron


def open_until(cron: Cron, duration: Duration, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the window that is open now ends (UTC); None where none is open. It opens at its start and is closed at its end."""
    # Clocks that go back over midnight have shown tomorrow's first minutes already.
    last_day = now.astimezone(zone).date() + _DAY
    first_day = (now - duration.exact - _DAY * (duration.days + 2)).astimezone(zone).date()
    for back in range((last_day - first_day).days + 1):
        day = last_day - _DAY * back
        if not cron.falls_on(day):
            continue
        for wall_time in cron.times_latest_first():
            for start in _moments_of(datetime.combine(day, wall_time), zone):
                if start <= now < (end := _end_of(start, duration, zone)):
                    return end
    return None


def _end_of(start: datetime, duration: Duration, zone: ZoneInfo) -> datetime:
    """Of two moments that the calendar's end may mean, the later: a freeze that is too long harms nobody."""
    if not duration.days:
        return start + duration.exact
    wall = (start.astimezone(zone) + _DAY * duration.days).replace(tzinfo=None)
    return max(_in_utc(wall, zone, fold=0), _in_utc(wall, zone, fold=1)) + duration.exact


def _moments_of(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """When a clock on the wall shows this time: once, twice, or, where it jumps over it, when it has jumped."""
    first, second = _in_utc(wall, zone, fold=0), _in_utc(wall, zone, fold=1)
    if first == second:
        return (first,)
    if first < second:
        return (first, second)
    return (_jump_between(second, first, zone),)


def _in_utc(wall: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _jump_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the zone's offset changes; in a gap, fold 1 reads with the offset after it and so lies before it."""
    old_offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old_offset else (before, middle)
    return after


def _numbers_of(field: str, place: int) -> frozenset[int]:
    return frozenset(number for part in field.split(",") for number in _numbers_of_part(part, place))


def _numbers_of_part(part: str, place: int) -> range:
    lowest, highest = _BOUNDS[place]
    match = _PART.fullmatch(part)
    if not match:
        raise ValueError(f"{_FIELD_NAMES[place]}: must be *, a number, a range such as 1-5, or a list of these")
    if match["first"] == "*":
        if match["last"]:
            raise ValueError(f"{_FIELD_NAMES[place]}: * begins no range")
        first, last = lowest, highest
    else:
        first = _number_of(match["first"], place)
        last = _number_of(match["last"], place) if match["last"] else first
        if match["step"] and not match["last"]:
            raise ValueError(f"{_FIELD_NAMES[place]}: a step needs * or a range before it")
    if place == len(_BOUNDS) - 1 and match["last"] and last == 0:
        last = _SUNDAY_AT_THE_END
    if not lowest <= first <= last <= highest:
        raise ValueError(f"{_FIELD_NAMES[place]}: must go up, from {lowest} to {highest} at most")
    step = int(match["step"] or 1)
    if not step:
        raise ValueError(f"{_FIELD_NAMES[place]}: a step is 1 or more")
    return range(first, last + 1, step)


def _number_of(text: str, place: int) -> int:
    if text.isdecimal() and len(text) <= 2:
        return int(text)
    try:
        return _NAMES[place][text]
    except KeyError:
        raise ValueError(f"{_FIELD_NAMES[place]}: no such number or name") from None
