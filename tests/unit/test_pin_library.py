"""What a library's repository says of its modules, and how far behind a version is."""

import pytest

from pins.calls import ModuleCall, Place
from pins.configuration import Origin
from pins.firmness import pin_of
from pins.library import LibraryRepository, library_of
from pins.modules import module_of
from pins.spread import SpreadTally

REMOTE = "https://example.com/modules.git"
SOURCE = "git::ssh://git@example.com/modules"


def library(*tags: str) -> LibraryRepository:
    return LibraryRepository(
        root="/srv/modules", top="/srv/modules", tags=dict.fromkeys(tags, "a" * 40), remotes=(REMOTE,)
    )


@pytest.mark.parametrize(
    ("source", "releases"),
    [
        pytest.param(f"{SOURCE}?ref=kv/v1.0.0", {"1.0.0", "1.1.0"}, id="a module that tags name has its own"),
        pytest.param(f"{SOURCE}//net?ref=v9.0.0", {"9.0.0"}, id="a folder that no tag names is released with all"),
        pytest.param(f"{SOURCE}?ref=v9.0.0", {"9.0.0"}, id="the repository as one module has those that name none"),
        pytest.param("git::https://other.example.com/modules?ref=kv/v1.0.0", set(), id="another repository has none"),
        pytest.param("git::/srv/modules?ref=kv/v1.0.0", {"1.0.0", "1.1.0"}, id="the folder itself is the library"),
    ],
)
def test_a_modules_releases_are_the_tags_that_are_its(source: str, releases: set[str]) -> None:
    module = module_of(pin_of(source, None))
    assert module
    found = library_of(library("kv/v1.0.0", "kv/v1.1.0", "kv/v2", "v9.0.0", "latest", "other/v3.0.0")).releases(module)
    assert {str(version) for version in found} == releases


def test_a_version_is_behind_by_the_releases_up_to_the_newest_in_use_and_no_further() -> None:
    tags = [f"kv/v1.{minor}.0" for minor in range(10)]
    tally = SpreadTally()
    tally.add(call(f"m{minor}", f"{SOURCE}?ref=kv/v1.{minor}.0") for minor in (2, 5, 7))
    (module,) = tally.modules(library_of(library(*tags)).releases)
    assert {version.pinned_to: version.behind for version in module.versions} == {"1.7.0": 0, "1.5.0": 2, "1.2.0": 5}
    (module,) = tally.modules()
    assert {version.pinned_to: version.behind for version in module.versions} == {"1.7.0": 0, "1.5.0": 1, "1.2.0": 2}


def test_what_is_no_version_is_neither_newest_nor_behind() -> None:
    tally = SpreadTally()
    sources = (f"{SOURCE}//kv?ref=main", f"{SOURCE}//kv?ref=v1.0.0", f"{SOURCE}//kv?ref={'a' * 40}")
    tally.add(call(f"m{index}", source) for index, source in enumerate(sources))
    (module,) = tally.modules()
    assert (module.newest, [version.behind for version in module.versions]) == ("1.0.0", [0, None, None])
    assert module.user_count == 3


def call(market: str, source: str) -> ModuleCall:
    place = Place(origin=Origin.TRACKER, path=f"{market}/app.json", market=market, stack="app")
    return ModuleCall(name="kv", place=place, source=source, version=None, pin=pin_of(source, None))
