"""Twenty plans at once, in four processes, with one folder of providers: it is written once, whole, and never again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

from tests.terraform.checked_estate import Checked, rule
from tests.terraform.disk_estate import DiskEstate, disk_estate
from tests.world.commands import CommandLine
from tests.world.sim_cloud import SOURCE

pytestmark = [pytest.mark.slow, pytest.mark.terraform]

PROCESSES: Final = 4
MARKETS: Final = tuple(f"m{number:02}" for number in range(20))
CLEAN, CLICKED = MARKETS[:2]


@pytest.fixture
def estate() -> Iterator[DiskEstate]:
    """Two deployed stacks, in one of which somebody clicked, ten times each: the copies are the same but for their markets."""
    with disk_estate(packed=True) as made:
        made.deploy({f"{CLEAN}/network": rule("ssh-clean"), f"{CLICKED}/network": rule("ssh-clicked")})
        made.cloud.change("azsim_network_security_rule.ssh-clicked", access="Allow")
        for number, market in enumerate(MARKETS[2:]):
            copy_market(made.root, MARKETS[number % 2], market)
        yield made


def copy_market(root: Path, market: str, to: str) -> None:
    for path in [path for path in root.glob(f"*/{market}/**/*") if path.is_file()]:
        copy = Path(str(path).replace(f"/{market}/", f"/{to}/"))
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            copy.write_text(path.read_text(encoding="utf-8").replace(market, to), encoding="utf-8")
        else:
            shutil.copyfile(path, copy)


def files_of(package: Path) -> dict[str, tuple[bytes, int]]:
    """Of each file its bytes, and when it was written."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in package.iterdir()}


def test_twenty_plans_in_four_processes_share_a_provider_that_is_the_mirrors_byte_for_byte(estate: DiskEstate) -> None:
    shared = estate.folder / "shared"
    per_process = len(MARKETS) // PROCESSES
    settings = {"PROVIDER_FOLDER": str(shared), "PLANS_PER_INSTANCE": str(per_process)}
    command = CommandLine({**estate.settings, **settings}, options=("--estate", str(estate.root), "--no-save"))
    ended = command.run_at_once(
        [
            ("drift", "check", *(word for market in MARKETS[process::PROCESSES] for word in ("--market", market)))
            for process in range(PROCESSES)
        ]
    )
    results = [result for one in ended for result in Checked(one).report["results"]]
    found = {result["market"]: [finding["kind"] for finding in result["findings"]] for result in results}
    assert [result["diagnostics"] for result in results] == [[]] * len(MARKETS)
    assert found == {market: ["portal_drift"] if number % 2 else [] for number, market in enumerate(MARKETS)}

    (package,) = (shared / SOURCE / "1.0.0").iterdir()
    (archive,) = (estate.cloud.folder / "mirror" / SOURCE).glob("*.zip")
    with ZipFile(archive) as mirrored:
        wanted = {name: mirrored.read(name) for name in mirrored.namelist()}
    before = files_of(package)
    assert {name: content for name, (content, _) in before.items()} == wanted

    archive.write_bytes(b"no provider is here any more, only its version is")
    again = Checked(command.run("drift", "check", "--market", CLICKED))
    assert [len(result["findings"]) for result in again.report["results"]] == [1]
    assert files_of(package) == before
