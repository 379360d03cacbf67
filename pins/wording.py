"""What is said of a pin, a fork, a moved tag and a file that could not be read: one sentence each, in every format."""

from datetime import datetime
from typing import Final

from pins.calls import ModuleCall
from pins.configuration import Trouble, UnreadPath
from pins.firmness import Reason
from pins.forks import Fork
from pins.moved import MovedTag
from pins.spread import ModuleInUse, VersionInUse
from records.spelling import counted, visible

DOCUMENT: Final = "docs/pins.md"
_SHORT_COMMIT: Final = 12
MOST_NAMED: Final = 5

BECAUSE: Final[dict[Reason, str]] = {
    Reason.VERSION_TAG: "its ref names a full version",
    Reason.COMMIT: "its ref is a whole commit",
    Reason.EXACT_VERSION: "it allows one version",
    Reason.CHECKSUM: "its address has a checksum",
    Reason.OBJECT_VERSION: "its address names one version of the object",
    Reason.BRANCH: "its ref is a branch, or names no version",
    Reason.NO_REF: "it has no ref: whatever is on the default branch",
    Reason.LATEST: "it asks for the latest",
    Reason.ABBREVIATED_COMMIT: "its ref is an abbreviated commit, which another commit or a branch can match one day",
    Reason.PARTIAL_VERSION: "its ref names a partial version, which moves with each release",
    Reason.VERSION_RANGE: "it allows a range of versions",
    Reason.NO_VERSION: "it has no version: whatever the registry has newest",
    Reason.INSIDE_REPOSITORY: "it is a folder of the same repository",
    Reason.NO_SOURCE: "it has no source",
    Reason.NOT_LITERAL: "its source or version is computed, and is not written out",
    Reason.MALFORMED_SOURCE: "its source has none of the forms that Terraform knows",
    Reason.MALFORMED_VERSION: "its version is none that Terraform can read, or allows none at all",
    Reason.OUTSIDE_REPOSITORY: "it is a folder outside the repository, which no commit of it pins",
    Reason.ABSOLUTE_PATH: "it is a path of this machine",
    Reason.ARCHIVE: "it is an archive without a checksum, which its owner can replace",
    Reason.NO_SUCH_REF: "the library has no such tag, branch or commit",
    Reason.NOT_RECORDED: "its tracker does not say which versions it allows",
}

REMEDY_OF_A_LOOSE_PIN: Final = "Pin it to a tag with a full version, a whole commit, or exactly one version."
REMEDY_OF_A_FORK: Final = "Call the library's module instead."
REMEDY_OF_A_MOVED_TAG: Final = "Find out who moved it and why; release what it is now under a new version."


def of_call(call: ModuleCall) -> str:
    return f"module {visible(call.name)} is {_NAMES[call.pin.firmness]}: {why(call)}"


def why(call: ModuleCall) -> str:
    """Why it is as firm as it is, with the versions that it allows, which its source does not say."""
    allowed = f", {visible(call.pin.pinned_to)}" if call.pin.is_by_version and call.pin.pinned_to else ""
    return BECAUSE[call.pin.reason] + allowed


def of_fork(fork: Fork) -> str:
    return f"{visible(fork.address)} is defined outside the library, whose {_one_of(fork.modules)} owns {visible(fork.type)}"


def of_moved(moved: MovedTag) -> str:
    recorded = "; ".join(f"{short(one.commit)} for {named(one.stacks, one.stack_count)}" for one in moved.recorded)
    now = ""
    if moved.is_gone:
        now = ", and the library has it no more"
    elif moved.now:
        now = f", and is {short(moved.now)} in the library now"
    return f"tag {visible(moved.tag)} was {recorded}{now}"


def of_unread(unread: UnreadPath) -> str:
    if unread.trouble is Trouble.MISSING_MODULE:
        return visible(unread.why)
    return f"it was not read: {visible(unread.why)}"


def of_version(version: VersionInUse) -> str:
    """``0.9.1: de/app, fr/app, 3 releases behind, since 2026-03-01``."""
    return f"{version_name(version.pinned_to, version.commit)}: {use_of(version)}"


def version_name(pinned_to: str, commit: str | None) -> str:
    """``0.9.1``, or what is asked for instead and what that was: ``main at 0123456789ab``."""
    name = visible(pinned_to) or "no version"
    return f"{name} at {short(commit)}" if commit else name


def use_of(version: VersionInUse) -> str:
    return named(version.users, version.user_count) + distance(version.behind, version.since)


def distance(behind: int | None, since: datetime | None) -> str:
    """What follows the users of a version: how far it is behind, and since when it is used."""
    return (f", {releases(behind)} behind" if behind else "") + (f", since {since:%Y-%m-%d}" if since else "")


def short(commit: str) -> str:
    return commit[:_SHORT_COMMIT]


def releases(count: int) -> str:
    return counted(count, "release")


def of_module(module: ModuleInUse) -> str:
    return f"{visible(module.module.name)} ({visible(module.module.package)})"


def named(users: tuple[str, ...], count: int, *, most: int = MOST_NAMED) -> str:
    """The first few by name, and how many more there are."""
    shown = ", ".join(visible(user) for user in users[:most])
    more = count - min(len(users), most)
    return f"{shown} and {more:,} more" if more else shown


def _one_of(modules: tuple[str, ...]) -> str:
    return " or ".join(visible(module) for module in modules)


_NAMES: Final = {"floating": "floating", "unknown": "not known to be pinned", "local": "local", "hard": "pinned"}
