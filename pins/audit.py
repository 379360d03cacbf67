"""What an audit of module pins found, and what it means for whoever called it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pins.calls import ModuleCall, calls_of
from pins.configuration import Configuration, UnreadPath
from pins.firmness import Firmness
from pins.forks import Fork, forks_in
from pins.library import Library, LibraryFile
from pins.moved import MovedTag, TagTally
from pins.refs import resolved
from pins.spread import ModuleInUse, SpreadTally
from records.runs import EXIT_ALL_HEALTHY, EXIT_NEEDS_A_PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Every call by its place, the modules in use, what is wrong with them, and what could not be read."""

    calls: tuple[ModuleCall, ...] = ()
    modules: tuple[ModuleInUse, ...] = ()
    forks: tuple[Fork, ...] = ()
    moved: tuple[MovedTag, ...] = ()
    unread: tuple[UnreadPath, ...] = ()

    @property
    def loose(self) -> tuple[ModuleCall, ...]:
        """The calls that are not pinned, as far as anybody can tell."""
        return tuple(call for call in self.calls if call.pin.is_loose)

    @property
    def counts(self) -> Counter[Firmness]:
        return Counter(call.pin.firmness for call in self.calls)

    @property
    def exit_status(self) -> int:
        """2 where something needs a person: a loose pin, a fork, a moved tag, or something that could not be read; else 0.

        Several versions of a module in use are no fault: a release goes from market to market.
        """
        needs_a_person = self.loose or self.forks or self.moved or self.unread
        return EXIT_NEEDS_A_PERSON if needs_a_person else EXIT_ALL_HEALTHY


def audit(
    configuration: Configuration,
    *,
    deployed: Iterable[ModuleCall] = (),
    unread: Iterable[UnreadPath] = (),
    file: LibraryFile | None = None,
    library: Library | None = None,
) -> Audit:
    """What is to be said of a configuration and of what trackers tell; ``unread`` are the trackers that could not be read."""
    calls = [*calls_of(configuration), *deployed]
    if library:
        calls = [resolved(call, library) for call in calls]
    spread, tags = SpreadTally(), TagTally()
    spread.add(calls)
    tags.add(calls)
    root = library.repository.root if library else None
    return Audit(
        calls=tuple(sorted(calls, key=_by_place)),
        modules=spread.modules(library.releases) if library else spread.modules(),
        forks=tuple(sorted(forks_in(configuration, file, library_root=root), key=_fork_by_place)) if file else (),
        moved=tags.moved(library),
        unread=tuple(sorted((*configuration.unread, *unread), key=lambda one: (one.path, one.line or 0, one.trouble))),
    )


def _by_place(call: ModuleCall) -> tuple[str, str, int, str]:
    return call.place.origin, call.place.path, call.place.line or 0, call.name


def _fork_by_place(fork: Fork) -> tuple[str, int, str]:
    return fork.place.path, fork.place.line or 0, fork.address
