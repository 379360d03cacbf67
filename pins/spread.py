"""Which versions of each module are in use, where, since when, and how far behind the newest in use.

A version's distance is the number of releases after it, up to the newest in use: of the library's tags where they are at hand,
else of the versions in use. A pre-release that one market tries leaves no other behind: it counts for pre-releases alone.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pins.calls import ModuleCall
from pins.configuration import Origin
from pins.firmness import Firmness
from pins.modules import Module
from pins.versions import Version
from records.plan_checks import stack_path

_WEAKEST_FIRST: Final = tuple(Firmness)
Releases = Callable[[Module], Collection[Version]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInUse:
    """A version of a module, and who uses it: ``users`` are stacks (``de/network``), or folders of configuration, sorted.

    ``pinned_to`` is the version, the one that was deployed where a range allows several; else what is asked for instead, such
    as a branch, and ``commit`` what that was. ``user_count`` is how many users there are, also where not all are named,
    ``firmness`` the weakest of theirs. ``since`` is when the first of its stacks was deployed, ``behind`` how many releases
    later the newest in use is; None where it is no version.
    """

    pinned_to: str
    commit: str | None
    firmness: Firmness
    users: tuple[str, ...]
    user_count: int
    since: datetime | None
    behind: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleInUse:
    """A module and its versions in use, the newest first and what is no version last.

    ``user_count`` is how many use it, some perhaps at two versions. ``newest`` is no pre-release unless all are.
    """

    module: Module
    versions: tuple[VersionInUse, ...]
    user_count: int
    newest: str | None

    @property
    def is_spread(self) -> bool:
        return len(self.versions) > 1


_InUse = tuple[str, str | None]


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
    _modules: dict[Module, dict[_InUse, _Use]] = field(default_factory=dict)
    _user_counts: dict[Module, int] = field(default_factory=dict)

    def add(self, calls: Iterable[ModuleCall]) -> None:
        """The calls of one stack, or of one folder, all at once: two calls of a module in one of them are one user."""
        seen: set[tuple[Module, _InUse, str]] = set()
        users: set[tuple[Module, str]] = set()
        for call in calls:
            module = call.module
            if module is None:
                continue
            in_use = call.version_in_use, call.commit_in_use
            user = _user(call)
            if (module, user) not in users:
                users.add((module, user))
                self._user_counts[module] = self._user_counts.get(module, 0) + 1
            use = self._modules.setdefault(module, {}).setdefault(in_use, _Use(call.release, call.pin.firmness))
            use.firmness = min(use.firmness, call.pin.firmness, key=_WEAKEST_FIRST.index)
            if (module, in_use, user) in seen or user in use.users:
                continue
            seen.add((module, in_use, user))
            use.user_count += 1
            use.users.add(user)
            if self.most_users is not None and len(use.users) > self.most_users:
                # The first by name, in whatever order they come.
                use.users.remove(max(use.users))
            moments = [moment for moment in (use.since, call.place.deployed_at) if moment]
            use.since = min(moments, default=None)

    def modules(self, releases: Releases = lambda _: ()) -> tuple[ModuleInUse, ...]:
        return tuple(
            _module(module, uses, releases(module), self._user_counts[module])
            for module, uses in sorted(self._modules.items())
        )


def _module(module: Module, uses: dict[_InUse, _Use], releases: Collection[Version], user_count: int) -> ModuleInUse:
    in_use = {use.version for use in uses.values() if use.version}
    newest = max(_final(in_use) or in_use, default=None)
    known = {*releases, *in_use}
    position = {version: number for number, version in enumerate(sorted(in_use, reverse=True))}
    newest_first = sorted(
        uses.items(),
        key=lambda item: (
            position[item[1].version] if item[1].version else len(position),
            item[0][0],
            item[0][1] or "",
        ),
    )
    return ModuleInUse(
        module=module,
        versions=tuple(
            VersionInUse(
                pinned_to=text,
                commit=commit,
                firmness=use.firmness,
                users=tuple(sorted(use.users)),
                user_count=use.user_count,
                since=use.since,
                behind=_behind(use.version, in_use, known) if use.version else None,
            )
            for (text, commit), use in newest_first
        ),
        user_count=user_count,
        newest=str(newest) if newest else None,
    )


def _behind(version: Version, in_use: Collection[Version], known: Collection[Version]) -> int:
    if version.prerelease is None:
        in_use, known = _final(in_use), _final(known)
    newest = max(in_use)
    return sum(version < other <= newest for other in known)


def _final(versions: Collection[Version]) -> set[Version]:
    return {version for version in versions if version.prerelease is None}


def _user(call: ModuleCall) -> str:
    place = call.place
    if place.origin is Origin.TRACKER:
        return stack_path(place.market or "", place.stack or "")
    return place.path.rpartition("/")[0] or "."
