"""Deployed stacks in which somebody clicks, and all that tells afterwards what healing did: applies, ledger, records, queue.

A stack of an estate on disk can be copied: a copy is deployed in the simulated cloud under its own market's name, and recorded
by the real command, for a small part of what another deploy costs.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from records.heals import POISON_QUEUE, QUEUE
from tests.terraform.deploys import IN_A_NEW_MARKET
from tests.terraform.disk_estate import DiskEstate, disk_estate
from tests.terraform.forked_commands import Commands, forked_commands
from tests.terraform.lasting_provider import lasting_provider
from tests.world.sim_cloud import SimCloud
from tests.world.terraform_backend import find_terraform

STACK: Final = "network"
HEALING: Final = {"HEAL_MODE": "on"}
_TELLS: Final = '#!/bin/sh\necho "$PWD $@" >> {log}\nexec env {variables} {terraform} "$@"\n'
_LIMIT_SECONDS: Final = 20
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

JsonObject = dict[str, Any]


def terraform_that_tells(folder: Path, environment: Mapping[str, str] = _NOTHING) -> Path:
    """The real one, behind a script that writes down where and how it is started.

    ``environment`` reaches it past trueup, which passes on no provider that nobody has checked.
    """
    script = folder / "terraform"
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    text = _TELLS.format(log=_log(folder), variables=variables, terraform=find_terraform())
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script


def applies(folder: Path) -> dict[str, int]:
    """How often each stack was applied, by market: of a folder in which `init` named its state, and `apply` was started."""
    lines = _log(folder).read_text(encoding="utf-8").splitlines() if _log(folder).exists() else []
    markets: dict[str, str] = {}
    counted: dict[str, int] = {}
    for where, command, *arguments in map(str.split, lines):
        if command == "init":
            (state,) = [one for one in arguments if one.endswith(f"/{STACK}.tfstate")]
            markets[where] = state.rpartition("=")[2].split("/")[-2]
        elif command == "apply":
            counted[markets[where]] = counted.get(markets[where], 0) + 1
    return counted


def _log(folder: Path) -> Path:
    return folder / "terraform.log"


@dataclass(frozen=True, slots=True)
class HealedEstate:
    """An estate on disk."""

    disk: DiskEstate
    commands: Commands
    settings: Mapping[str, str]
    provider: Mapping[str, str]

    @property
    def cloud(self) -> SimCloud:
        return self.disk.cloud

    @property
    def queue(self) -> Path:
        return self.disk.root / "queues" / QUEUE

    @property
    def poison(self) -> Path:
        return self.disk.root / "queues" / POISON_QUEUE

    def deploy(self, modules: Mapping[str, str]) -> None:
        """A root module for each market."""
        named = {f"{market}/{STACK}": main_tf for market, main_tf in modules.items()}
        self.disk.deploy(named, environment=self.provider)

    def copy(self, model: str, *markets: str, main_tf: str | None = None, also: Mapping[str, str] = _NOTHING) -> None:
        """The model's stack in other markets, whose names stand wherever its own does.

        ``main_tf`` is what their bundles say that nobody has applied; ``also`` is replaced with the name, as if it had been
        deployed so.
        """
        state = self.state_file(model).read_text(encoding="utf-8")
        module = self.disk.module(f"{model}/{STACK}")
        files = {path.name: path.read_text(encoding="utf-8") for path in module.iterdir() if path.is_file()}
        for market in markets:
            copied, changed = self.disk.module(f"{market}/{STACK}"), {model: market, **also}
            copied.mkdir(parents=True)
            for name, text in ({**files, "main.tf": main_tf} if main_tf else files).items():
                (copied / name).write_text(replaced(text, changed), encoding="utf-8")
            self.state_file(market).parent.mkdir()
            self.state_file(market).write_text(replaced(state, changed), encoding="utf-8")
            with self.cloud.file.edit() as cloud:
                of_model = {id_: one for id_, one in cloud["resources"].items() if model in id_}
                cloud["resources"].update(json.loads(replaced(json.dumps(of_model), changed)))
            self.record(market)

    def record(self, market: str) -> None:
        module = str(self.disk.module(f"{market}/{STACK}"))
        what = ("--bundle", module, "--state-key", f"{market}/{STACK}.tfstate", *IN_A_NEW_MARKET)
        ended = self.commands.run("record", "--market", market, "--stack", STACK, *what)
        assert ended.status == 0, ended.stderr

    def check(self, *options: str, environment: Mapping[str, str] = HEALING) -> dict[str, JsonObject]:
        """What `drift check` found of each market, of stacks that it queues if it may."""
        report = self.commands.answer("drift", "check", "--queue", *options, environment=environment)
        assert report["problems"] == []
        return {one["market"]: one for one in report["results"]}

    def heal(self, environment: Mapping[str, str] = HEALING) -> dict[str, JsonObject]:
        """What came of each job that `drift heal` took, by market; all of them must have come to an end."""
        answer = self.commands.answer("drift", "heal", environment=environment)
        assert (answer["refused"], answer["problems"]) == ([], [])
        return {one["job"]["market"]: one for one in answer["jobs"]}

    def verdicts(self) -> dict[str, str]:
        return {one["market"]: one["verdict"] for one in self.commands.answer("reconcile")["results"]}

    def steps(self, market: str) -> list[str]:
        """Every step and every lever of the market's history, oldest first."""
        moments = self.commands.answer("drift", "history", "--market", market)["moments"]
        return [one["step"] or one["lever"] for one in reversed(moments)]

    def tracker(self, market: str) -> JsonObject:
        return read_json(self.disk.root / "trackers" / market / f"{STACK}.json")

    def entry(self, market: str) -> JsonObject:
        entry: JsonObject = read_json(self.registry_file(market))["stacks"][STACK]
        return entry

    def registry_file(self, market: str) -> Path:
        return self.disk.root / "registry" / market / "subscription.json"

    def state(self, market: str) -> JsonObject:
        return read_json(self.state_file(market))

    def state_file(self, market: str) -> Path:
        return self.disk.root / "tfstate" / market / f"{STACK}.tfstate"

    def applies(self) -> dict[str, int]:
        return applies(self.disk.folder)

    def messages(self) -> list[Path]:
        return sorted(self.queue.glob("*.json"))


def replaced(text: str, changed: Mapping[str, str]) -> str:
    for old, new in changed.items():
        text = text.replace(old, new)
    return text


def read_json(file: Path) -> JsonObject:
    content: JsonObject = json.loads(file.read_text(encoding="utf-8"))
    return content


@contextmanager
def healed_estate(*, lasts: bool = True, **settings: str) -> Iterator[HealedEstate]:
    """An empty one, with one provider for all or, where that may not last, one for each command of Terraform.

    In the end nothing may be left in the folder in which Terraform worked: what removes it outlives a worker that was killed.
    """
    with ExitStack() as stack:
        disk = stack.enter_context(disk_estate())
        provider = stack.enter_context(lasting_provider(disk.cloud)) if lasts else {}
        own = {
            **disk.settings,
            "TF_BINARY": str(terraform_that_tells(disk.folder, provider)),
            "REREAD_DELAY_SECONDS": "0",
        } | settings
        commands = stack.enter_context(forked_commands(own, "--estate", str(disk.root)))
        yield HealedEstate(disk, commands, own, provider)
        wait_until(lambda: not list(disk.work_folder.iterdir()), "the folder in which Terraform worked is empty")


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _LIMIT_SECONDS
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.02)
