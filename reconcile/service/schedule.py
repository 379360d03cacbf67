"""When the day's run is due, where the estate is.

Timers know no time zone on Linux Flex Consumption (https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan),
and fire some milliseconds early now and then (https://github.com/Azure/azure-functions-host/issues/7398). So with a zone the
timer only ticks, and this decides; without one, that the timer fired is the decision.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TICK: Final = "0 */15 * * * *"
"""NCRONTAB. Every offset from UTC in use is a multiple of 15 minutes, so that a tick meets each zone's full hours."""

_DAILY: Final = re.compile(r"(\d{1,2}) (\d{1,2}) (\d{1,2}) \* \* \*")
_LATEST: Final = time(23, 30)
"""Leaves a tick of the same day to make up for one that is missed."""
_EARLY_AT_MOST: Final = timedelta(seconds=1)
"""By how much a timer may fire early, and still means the moment that it was set for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySchedule:
    """One run on each local day, at ``local_time`` or the first tick after it."""

    zone: ZoneInfo
    local_time: time

    def day_at(self, now: datetime) -> date:
        return self._local(now).date()

    def due_day(self, now: datetime, *, last_served: date | None) -> date | None:
        """The local day whose run is to start now, None where there is none.

        A tick that was missed is made up for by the next one of the same day, and only once. A day that is over is not made up
        for: the records are compared as they are now. A local time that the clock jumps over comes when it has jumped, and one
        that it passes twice counts the first time.
        """
        local = self._local(now)
        if last_served is not None and last_served >= local.date():
            return None
        return local.date() if local.time() >= self.local_time else None

    def _local(self, now: datetime) -> datetime:
        return (now + _EARLY_AT_MOST).astimezone(self.zone)


@dataclass(frozen=True, slots=True)
class FiredSchedule:
    """One run on each day in UTC, whenever the timer fires: ``after_midnight`` is when it is set for, and may fire late."""

    after_midnight: timedelta = timedelta()

    def day_at(self, now: datetime) -> date:
        return (now + _EARLY_AT_MOST - self.after_midnight).astimezone(UTC).date()

    def due_day(self, now: datetime, *, last_served: date | None) -> date | None:
        """The day whose run is to start now, None where it has had one."""
        day = self.day_at(now)
        return None if last_served is not None and last_served >= day else day


Schedule = DailySchedule | FiredSchedule


def fired_schedule(ncrontab: str) -> FiredSchedule:
    """The schedule of a timer that is set by an NCRONTAB expression of any kind."""
    match = _DAILY.fullmatch(" ".join(ncrontab.split()))
    if not match:
        return FiredSchedule()
    second, minute, hour = map(int, match.groups())
    return FiredSchedule(timedelta(hours=hour, minutes=minute, seconds=second))


def daily_schedule(ncrontab: str, zone_name: str) -> DailySchedule:
    """The time of day that an NCRONTAB expression names, in a time zone.

    Raises:
        ValueError: the expression names more than a time of day or one too late in it, or there is no such zone.
    """
    match = _DAILY.fullmatch(" ".join(ncrontab.split()))
    if not match:
        raise ValueError("with a time zone it must name one time of each day, such as 0 0 6 * * *")
    second, minute, hour = map(int, match.groups())
    try:
        schedule = DailySchedule(zone=ZoneInfo(zone_name), local_time=time(hour, minute, second))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time of day, or no such IANA time zone (such as Europe/Berlin)") from None
    if schedule.local_time > _LATEST:
        raise ValueError("with a time zone it must be 23:30 or earlier, so that a missed tick can be made up for")
    return schedule
