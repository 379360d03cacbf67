"""Which versions of a module are told as in use, and how an audit is written whatever is in it."""

import json
from typing import Any, Final

import pytest
from rich.console import Console

from pins.audit import Audit, audit
from pins.calls import ModuleCall, Place, call_as_deployed
from pins.configuration import Configuration, Origin, Trouble, UnreadPath
from pins.firmness import pin_of
from pins.modules import Module
from pins.render.json import render_json
from pins.render.markdown import MOST_BYTES, render_markdown
from pins.render.sarif import render_sarif
from pins.render.terminal import render_terminal
from pins.spread import ModuleInUse, SpreadTally
from pins.versions import Version, parse_version
from records.modules import DeployedModule

REGISTRY: Final = "registry.terraform.io/a/b/c"
GIT: Final = "git::https://example.com/modules"
OLD, NEW = "a" * 40, "b" * 40


def deployed(market: str, **call: Any) -> ModuleCall:
    return call_as_deployed(
        DeployedModule.model_validate({"market": market, "stack": "network", "name": "kv", "source": REGISTRY} | call)
    )


def written(
    source: str, version: str | None = None, *, name: str = "kv", path: str = "stacks/de/main.tf"
) -> ModuleCall:
    pin = pin_of(source, version, folder="stacks/de")
    return ModuleCall(
        name=name, place=Place(origin=Origin.FOLDER, path=path, line=2), source=source, version=version, pin=pin
    )


def spread_of(*calls: ModuleCall, releases: tuple[str, ...] = ()) -> ModuleInUse:
    tally = SpreadTally()
    for call in calls:
        tally.add([call])
    known = {version for version in map(parse_version, releases) if version}

    def of_library(_: Module) -> set[Version]:
        return known

    (module,) = tally.modules(of_library)
    return module


def versions_of(module: ModuleInUse) -> dict[str, int | None]:
    return {version.pinned_to: version.behind for version in module.versions}


def terminal(found: Audit) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render_terminal(found))
    return capture.get()


def test_stacks_on_one_range_are_told_at_the_versions_that_were_deployed() -> None:
    module = spread_of(
        deployed("de", constraint="~> 1.2", version="1.2.0"), deployed("fr", constraint="~> 1.2", version="1.9.3")
    )
    assert (module.is_spread, module.newest, versions_of(module)) == (True, "1.9.3", {"1.9.3": 0, "1.2.0": 1})
    assert {version.firmness for version in module.versions} == {"floating"}


def test_two_ranges_that_came_to_one_version_are_no_spread() -> None:
    module = spread_of(
        deployed("de", constraint="~> 1.2", version="1.2.3"),
        deployed("fr", constraint=">= 1.0.0", version="1.2.3"),
        deployed("uk", constraint="1.2.3", version="1.2.3"),
        deployed("it", version="1.2.3"),
    )
    assert (module.is_spread, versions_of(module), module.user_count) == (False, {"1.2.3": 0}, 4)


def test_a_version_that_is_none_is_told_as_the_registry_gave_it() -> None:
    assert versions_of(spread_of(deployed("de", constraint="~> 1.2", version="nightly"))) == {"nightly": None}


def test_a_branch_is_as_many_versions_as_commits_were_deployed_of_it_and_a_tag_is_one() -> None:
    branch = spread_of(
        *(deployed(market, source=f"{GIT}?ref=main", commit=c) for market, c in (("de", OLD), ("fr", NEW)))
    )
    assert [(version.pinned_to, version.commit) for version in branch.versions] == [("main", OLD), ("main", NEW)]
    tag = spread_of(
        *(deployed(market, source=f"{GIT}?ref=v1.0.0", commit=c) for market, c in (("de", OLD), ("fr", NEW)))
    )
    assert [(version.pinned_to, version.commit) for version in tag.versions] == [("1.0.0", None)]


def test_a_pre_release_in_one_market_is_not_the_newest_and_leaves_nobody_behind() -> None:
    calls = [written(f"{GIT}?ref=v{one}") for one in ("1.8.0", "2.0.0-rc.1", "1.9.0")]
    module = spread_of(*calls, releases=("1.8.1", "1.9.0-rc.1", "2.0.0-rc.1", "2.0.0"))
    assert (module.newest, list(versions_of(module).items())) == (
        "1.9.0",
        [("2.0.0-rc.1", 0), ("1.9.0", 0), ("1.8.0", 2)],
    )


def test_a_pre_release_is_behind_what_came_after_it() -> None:
    calls = [written(f"{GIT}?ref=v{one}") for one in ("2.0.0-rc.1", "2.0.0")]
    assert versions_of(spread_of(*calls, releases=("2.0.0-rc.2",))) == {"2.0.0": 0, "2.0.0-rc.1": 2}
    only = spread_of(*(written(f"{GIT}?ref=v{one}") for one in ("1.0.0-rc.1", "1.0.0-rc.2")))
    assert (only.newest, versions_of(only)) == ("1.0.0-rc.2", {"1.0.0-rc.2": 0, "1.0.0-rc.1": 1})


def test_the_range_that_floats_is_shown_in_every_format_for_people() -> None:
    found = audit(Configuration(), deployed=[written("a/b/c", "~> 1.2"), written("a/b/c", ">= 1.0.0", name="other")])
    for text in (terminal(found), "".join(render_sarif(found)), "".join(render_markdown(found)).replace("&#62;", ">")):
        assert "versions, ~> 1.2" in text.replace("&#126;", "~")
        assert "versions, >= 1.0.0" in text


def test_what_is_in_use_is_told_with_its_commit_to_a_person() -> None:
    found = audit(
        Configuration(),
        deployed=[deployed(m, source=f"{GIT}?ref=main", commit=c) for m, c in (("de", OLD), ("fr", NEW))],
    )
    for text in (terminal(found), "".join(render_markdown(found))):
        assert f"main at {OLD[:12]}" in text
        assert f"main at {NEW[:12]}" in text


def test_the_json_has_what_was_asked_for_and_what_was_deployed() -> None:
    found = audit(Configuration(), deployed=[deployed("de", constraint="~> 1.2", version="1.2.0")])
    told = json.loads("".join(render_json(found)))
    (call,) = told["calls"]
    assert (call["version"], call["pinned_to"], call["deployed_version"]) == ("~> 1.2", "~> 1.2", "1.2.0")
    (module,) = told["modules"]
    assert [(one["pinned_to"], one["commit"]) for one in module["versions"]] == [("1.2.0", None)]


def test_modules_of_one_name_are_told_apart_in_the_json() -> None:
    found = audit(Configuration(), deployed=[written(f"{GIT}//{folder}/net?ref=v1.0.0") for folder in ("hub", "spoke")])
    modules = json.loads("".join(render_json(found)))["modules"]
    assert [(one["module"], one["within"]) for one in modules] == [("net", "hub/net"), ("net", "spoke/net")]


def test_the_json_can_be_written_whatever_a_name_has_in_it() -> None:
    found = audit(Configuration(), deployed=[written(f"{GIT}?ref=main", name="a\udc80é", path="b\udcff.tf")])
    text = "".join(render_json(found))
    text.encode("ascii")
    (call,) = json.loads(text)["calls"]
    assert (call["name"], call["path"]) == ("a\udc80é", "b\udcff.tf")


@pytest.mark.parametrize("filler", ["a", "é", "\u202e", "|"])
def test_a_comment_is_never_over_what_github_takes_and_says_what_it_leaves_out(filler: str) -> None:
    long = filler * 1_000
    calls = [written(f"{GIT}/{long}?ref=main", name=f"{number}{long}") for number in range(120)]
    calls += [written(f"{GIT}/spread?ref=v1.{number}.0", path=f"{long}/{number}.tf") for number in range(120)]
    unread = [UnreadPath(path=f"{number}{long}", trouble=Trouble.BROKEN_HCL, why=long) for number in range(120)]
    text = "".join(render_markdown(audit(Configuration(), deployed=calls, unread=unread)))
    assert MOST_BYTES / 2 < len(text.encode()) <= MOST_BYTES
    for section in text.split("\n## ")[1:]:
        listed = section.count("\n| <code>")
        assert listed
        assert f"\n{120 - listed} more, which `--format json` lists.\n" in section


def test_a_small_comment_has_all_of_a_kind_up_to_the_limit() -> None:
    calls = [written(f"{GIT}?ref=main", name=f"m{number:03d}") for number in range(101)]
    text = "".join(render_markdown(audit(Configuration(), deployed=calls)))
    assert text.count("\n| <code>") == 100
    assert "\n1 more, which `--format json` lists.\n" in text
