"""Which versions of each module are in use, where, since when, and how far behind the newest in use.

A version's distance is the number of releases after it, up to the newest in use: of the library's tags where they are at hand,
else of the versions in use.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pins.calls import ModuleCall
from pins.configuration import Origin
from pins.firmness import Firmness
from pins.modules import Module, version_of
from pins.versions import Version
from records.plan_checks import stack_path

_WEAKEST_FIRST: Final = tuple(Firmness)
Releases = Callable[[Module], Collection[Version]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInUse:
    """A version of a module, and who uses it: ``users`` are stacks (``de/network``), or folders of configuration, sorted.

    ``user_count`` is how many they are, also where not all are named, ``firmness`` the weakest of theirs. ``since`` is when the
    first of its stacks was deployed, ``behind`` how many releases later the newest in use is; None where it is no version, such
    as a branch.
    """

    pinned_to: str
    firmness: Firmness
    users: tuple[str, ...]
    user_count: int
    since: datetime | None
    behind: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleInUse:
    """A module and its versions in use, the newest first and what is no version last.

    ``user_count`` is how many use it, some perhaps at two versions.
    """

    module: Module
    versions: tuple[VersionInUse, ...]
    user_count: int

    @property
    def is_spread(self) -> bool:
        return len(self.versions) > 1

    @property
    def newest(self) -> str | None:
        return next((version.pinned_to for version in self.versions if version.behind == 0), None)


@dataclass(slots=True)
class _Use:
    version: Version | None
    firmness: Firmness
    users: set[str] = field(default_factory=set)
    user_count: int = 0
    since: datetime | None = None


@dataclass(slots=True)
class SpreadTally:
    """Adds calls up to the modules in use. ``most_users`` is how many users of a version are named; None for all."""

    most_users: int | None = None
    _modules: dict[Module, dict[str, _Use]] = field(default_factory=dict)
    _user_counts: dict[Module, int] = field(default_factory=dict)

    def add(self, calls: Iterable[ModuleCall]) -> None:
        """The calls of one stack, or of one folder, all at once: two calls of a module in one of them are one user."""
        seen: set[tuple[Module, str, str]] = set()
        users: set[tuple[Module, str]] = set()
        for call in calls:
            module = call.module
            if module is None:
                continue
            version, text = version_of(call.pin), call.version_in_use
            user = _user(call)
            if (module, user) not in users:
                users.add((module, user))
                self._user_counts[module] = self._user_counts.get(module, 0) + 1
            use = self._modules.setdefault(module, {}).setdefault(text, _Use(version, call.pin.firmness))
            use.firmness = min(use.firmness, call.pin.firmness, key=_WEAKEST_FIRST.index)
            if (module, text, user) in seen or user in use.users:
                continue
            seen.add((module, text, user))
            use.user_count += 1
            use.users.add(user)
            if self.most_users is not None and len(use.users) > self.most_users:
                # The first by name, in whatever order they come.
                use.users.remove(max(use.users))
            moments = [moment for moment in (use.since, call.place.deployed_at) if moment]
            use.since = min(moments, default=None)

    def modules(self, releases: Releases = lambda _: ()) -> tuple[ModuleInUse, ...]:
        return tuple(
            ModuleInUse(module=module, versions=_versions(uses, releases(module)), user_count=self._user_counts[module])
            for module, uses in sorted(self._modules.items())
        )


def _versions(uses: dict[str, _Use], releases: Collection[Version]) -> tuple[VersionInUse, ...]:
    in_use = {use.version for use in uses.values() if use.version}
    newest = max(in_use, default=None)
    known = {*releases, *in_use}
    found = [
        VersionInUse(
            pinned_to=text,
            firmness=use.firmness,
            users=tuple(sorted(use.users)),
            user_count=use.user_count,
            since=use.since,
            behind=None if use.version is None or newest is None else _between(use.version, newest, known),
        )
        for text, use in uses.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.behind is None, one.behind or 0, one.pinned_to)))


def _between(version: Version, newest: Version, known: Collection[Version]) -> int:
    return sum(version < other <= newest for other in known)


def _user(call: ModuleCall) -> str:
    place = call.place
    if place.origin is Origin.TRACKER:
        return stack_path(place.market or "", place.stack or "")
    return place.path.rpartition("/")[0] or "."
