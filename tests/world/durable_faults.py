"""What can go wrong in a hub, and for which activities: at-least-once delivery, failures, a crash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from tests.world.durable_host import ActivityCall

Matches = str | Callable[[ActivityCall], bool]
When = Literal["before", "after"]


@dataclass(slots=True)
class _Twice:
    matches: Matches
    at_once: bool


@dataclass(slots=True)
class _Failure:
    matches: Matches
    when: When
    left: int


class DurableFaults:
    """The rules of one or more hubs. `matches` is an activity's name, as a shell pattern, or a predicate on the call."""

    def __init__(self) -> None:
        self._twice: list[_Twice] = []
        self._failures: list[_Failure] = []
        self._crash_after: int | None = None

    def deliver_twice(self, matches: Matches, *, at_once: bool = False) -> None:
        """Execute each matching call twice, one after the other or both at once. The first completion counts."""
        self._twice.append(_Twice(matches=matches, at_once=at_once))

    def fail_first(self, times: int, matches: Matches, *, when: When = "before") -> None:
        """Fail the first executions of matching calls, before the real activity ran or after it did its work."""
        self._failures.append(_Failure(matches=matches, when=when, left=times))

    def crash_after(self, event_count: int) -> None:
        """Stop the hub once it has appended that many events, of all instances and since its first start."""
        self._crash_after = event_count

    def crashes_at(self, event_count: int) -> bool:
        return event_count == self._crash_after

    def repeats(self, call: ActivityCall) -> tuple[int, int]:
        """How many deliveries of a call there are at once, and how many executions each of them makes in turn."""
        for rule in self._twice:
            if _matches(rule.matches, call):
                return (2, 1) if rule.at_once else (1, 2)
        return 1, 1

    def take_failure(self, call: ActivityCall) -> When | None:
        for rule in self._failures:
            if rule.left and _matches(rule.matches, call):
                rule.left -= 1
                return rule.when
        return None


def _matches(matches: Matches, call: ActivityCall) -> bool:
    return fnmatchcase(call.name, matches) if isinstance(matches, str) else matches(call)
