"""Tags that were moved: the same name, and another commit than was deployed.

A tag that was moved gives other code under the version that people approved. Two trackers that recorded different commits for
the same tag show it by themselves; the library's repository shows it also where all trackers agree.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pins.address import PackageSource, Scheme
from pins.calls import ModuleCall, Place
from pins.configuration import Origin
from pins.firmness import Reason
from pins.library import Library
from pins.modules import Module, package_of
from pins.versions import RefKind, read_ref, tag_name
from records.plan_checks import stack_path


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCommit:
    """What a tag was for the stacks that deployed it as this commit; ``stack_count`` is how many, where not all are named."""

    commit: str
    stacks: tuple[str, ...]
    stack_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedTag:
    """A tag that is, or was, more than one commit; ``modules`` are those that are called by it.

    ``now`` is its commit in the library's repository: None where that is not at hand, or has the tag no more (``is_gone``).
    ``places`` are the lines of configuration that name it.
    """

    package: str
    tag: str
    modules: tuple[Module, ...]
    recorded: tuple[RecordedCommit, ...]
    now: str | None = None
    is_gone: bool = False
    places: tuple[Place, ...] = ()


@dataclass(slots=True)
class _Tag:
    modules: set[Module] = field(default_factory=set)
    commits: dict[str, set[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)


@dataclass(slots=True)
class TagTally:
    """Adds calls up to tags and their commits. ``most_stacks`` is how many stacks are named for each; None for all."""

    most_stacks: int | None = None
    _tags: dict[tuple[str, str], _Tag] = field(default_factory=dict)

    def add(self, calls: Iterable[ModuleCall]) -> None:
        """The calls of one stack all at once: two calls of a module in one of them are one user of its tag."""
        seen: set[tuple[tuple[str, str], str, str]] = set()
        for call in calls:
            key, module = _tag_of(call), call.module
            if key is None or module is None:
                continue
            tag = self._tags.setdefault(key, _Tag())
            tag.modules.add(module)
            if call.place.origin is not Origin.TRACKER:
                tag.places.add(call.place)
            elif call.commit:
                commit, stack = call.commit.lower(), stack_path(call.place.market or "", call.place.stack or "")
                stacks = tag.commits.setdefault(commit, set())
                if (key, commit, stack) in seen or stack in stacks:
                    continue
                seen.add((key, commit, stack))
                tag.counts[commit] = tag.counts.get(commit, 0) + 1
                stacks.add(stack)
                if self.most_stacks is not None and len(stacks) > self.most_stacks:
                    stacks.remove(max(stacks))

    def moved(self, library: Library | None = None) -> tuple[MovedTag, ...]:
        found = (self._moved(package, name, tag, library) for (package, name), tag in sorted(self._tags.items()))
        return tuple(one for one in found if one)

    def _moved(self, package: str, name: str, tag: _Tag, library: Library | None) -> MovedTag | None:
        is_known = library is not None and package in library.packages
        now = library.commit(name) if library and is_known else None
        is_gone = is_known and now is None and bool(tag.commits)
        if len({*tag.commits, *([now] if now and tag.commits else [])}) < 2 and not is_gone:
            return None
        return MovedTag(
            package=package,
            tag=name,
            modules=tuple(sorted(tag.modules)),
            recorded=tuple(
                RecordedCommit(commit=commit, stacks=tuple(sorted(stacks)), stack_count=tag.counts[commit])
                for commit, stacks in sorted(tag.commits.items())
            ),
            now=now,
            is_gone=is_gone,
            places=tuple(sorted(tag.places, key=lambda place: (place.path, place.line or 0))),
        )


def _tag_of(call: ModuleCall) -> tuple[str, str] | None:
    """The package and the tag that a call names, also one that the library has no more."""
    source = call.pin.source
    if call.pin.reason not in {Reason.VERSION_TAG, Reason.NO_SUCH_REF} or not isinstance(source, PackageSource):
        return None
    if source.scheme is not Scheme.GIT or not source.ref or read_ref(source.ref).kind is not RefKind.VERSION:
        return None
    return package_of(source), tag_name(source.ref)
