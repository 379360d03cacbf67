"""A library of 37 modules in a git repository, and twelve markets that use it at several versions. Real git, real files."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODULES: Final = ("keyvault-vault", "network-virtualnetwork", *(f"part-{number:02d}" for number in range(35)))
"""37 of them, each tagged ``avm-res-NAME/vVERSION``."""
VERSIONS: Final = ("0.1.0", "0.2.0", "0.3.0", "0.10.0")
MARKETS: Final = ("at", "be", "ch", "de", "dk", "es", "fi", "fr", "it", "nl", "no", "se")
SOURCE: Final = "git::https://dev.azure.com/contoso/platform/_git/modules"
REMOTE: Final = "https://contoso@dev.azure.com/contoso/platform/_git/modules"
LINES_A_CALL: Final = 5


def git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = {
        f"GIT_{who}_{what}": "library@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    run = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment | identity | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def make_library(folder: Path) -> Path:
    """Its repository: a commit for each version, and a tag for each module and version, some annotated and some not."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "remote", "add", "origin", REMOTE)
    for version in VERSIONS:
        for module in MODULES:
            file = folder / f"avm-res-{module}" / "main.tf"
            file.parent.mkdir(exist_ok=True)
            file.write_text(
                f'# {version}\nresource "azurerm_{module.replace("-", "_")}" "this" {{}}\n', encoding="utf-8"
            )
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", version)
        for index, module in enumerate(MODULES):
            annotated = ("--annotate", "--message", version) if index % 2 else ()
            git(folder, "tag", *annotated, tag_of(module, version))
    owners = {f"avm-res-{module}": [f"azurerm_{module.replace('-', '_')}"] for module in MODULES}
    owners["avm-res-keyvault-vault"] = ["azurerm_key_vault", "azurerm_key_vault_key"]
    lines = [f"  {module}: [{', '.join(types)}]" for module, types in owners.items()]
    (folder / "library.yaml").write_text("modules:\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


def tag_of(module: str, version: str) -> str:
    return f"avm-res-{module}/v{version}"


def version_of(market: str, module: str) -> str:
    """Which version a market uses: the first half is at the newest, and each later one further behind with some modules."""
    index = MARKETS.index(market)
    if module != "keyvault-vault" or index < 6:
        return VERSIONS[-1]
    return VERSIONS[index % 3]


@dataclass(frozen=True)
class ModuleWorld:
    """``repository`` has the markets' root modules in ``stacks/``, ``estate`` their trackers."""

    library: Path
    repository: Path
    estate: Path

    def tags(self) -> dict[str, str]:
        lines = git(self.library, "for-each-ref", "--format=%(refname:short) %(objectname) %(*objectname)", "refs/tags")
        return {line.split()[0]: line.split()[-1] for line in lines.splitlines()}

    def stack(self, market: str) -> Path:
        return self.repository / "stacks" / market

    def line_of(self, module: str) -> int:
        """Where the source of a call stands in each root module."""
        return MODULES.index(module) * LINES_A_CALL + 2


def make_world(folder: Path) -> ModuleWorld:
    world = ModuleWorld(make_library(folder / "modules"), folder / "estate-code", folder / "estate")
    (world.repository / ".git").mkdir(parents=True)
    commits = world.tags()
    for market in MARKETS:
        calls = [
            f'module "{module}" {{\n  source = "{SOURCE}?ref={tag_of(module, version_of(market, module))}"\n'
            f'  name   = "{market}"\n}}\n\n'
            for module in MODULES
        ]
        world.stack(market).mkdir(parents=True)
        (world.stack(market) / "main.tf").write_text("".join(calls), encoding="utf-8")
        write_tracker(world, market, commits)
    return world


def write_tracker(world: ModuleWorld, market: str, commits: dict[str, str]) -> None:
    refs = {module: tag_of(module, version_of(market, module)) for module in MODULES}
    tracker = {
        "schema_version": 1,
        "market": market,
        "stack": "platform",
        "deployed_at": f"2026-11-{MARKETS.index(market) + 1:02d}T05:00:00Z",
        "modules": [
            {"name": module, "source": f"{SOURCE}?ref={ref}", "commit": commits[ref]} for module, ref in refs.items()
        ],
    }
    file = world.estate / "trackers" / market / "platform.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(tracker), encoding="utf-8")
    (world.estate / "registry").mkdir(exist_ok=True)
