"""An estate on disk whose stacks the real Terraform deployed in the simulated cloud, and which the real command recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tests.terraform.deploys import IN_A_NEW_MARKET
from tests.terraform.many_commands import Command, run_many
from tests.world.commands import ROOT, CommandLine
from tests.world.sim_cloud import SimCloud, make_sim_cloud
from tests.world.terraform_backend import find_terraform

_AT_ONCE: Final = 4
_PASSED_ON: Final = ("PATH", "HOME")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DiskEstate:
    """``folder`` holds all there is: estate, cloud, root modules, and the folders in which trueup and its Terraform work."""

    folder: Path
    cloud: SimCloud

    @property
    def root(self) -> Path:
        return self.folder / "estate"

    @property
    def work_folder(self) -> Path:
        return self.folder / "w"

    @property
    def temporary_folder(self) -> Path:
        return self.folder / "t"

    @property
    def settings(self) -> dict[str, str]:
        return {
            **self.cloud.environment,
            "PLAN_WORK_FOLDER": str(self.work_folder),
            "PLANS_PER_INSTANCE": str(_AT_ONCE),
            "TMPDIR": str(self.temporary_folder),
            "HEAL_MODE": "on",
        }

    @property
    def command(self) -> CommandLine:
        return CommandLine(self.settings, options=("--estate", str(self.root)))

    def deploy(self, modules: Mapping[str, str], *, environment: Mapping[str, str] = _NOTHING) -> None:
        """Deploys a root module for each ``market/stack``, side by side, and records them."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda path: self._deploy(path, modules[path], environment), modules))
        commands: list[Command] = []
        for path in modules:
            market, _, name = path.rpartition("/")
            where = ("--estate", str(self.root), "--bundle", str(self.module(path)), "--state-key", f"{path}.tfstate")
            commands.append((("record", "--market", market, "--stack", name, *where, *IN_A_NEW_MARKET), {}))
        for ended in run_many(commands, self.settings):
            assert ended.status == 0, ended.stderr

    def module(self, path: str) -> Path:
        return self.folder / "modules" / path

    def start(self, *options: str, environment: Mapping[str, str] = _NOTHING) -> subprocess.Popen[str]:
        """A `drift check` that is not waited for, in a session of its own."""
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "drift", "check", "--estate", str(self.root), *options],
            cwd=ROOT,
            env={**kept, **self.settings, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def files(self) -> Iterator[Path]:
        """Whatever was written, but for the cloud, the root modules and the states: these hold what was deployed."""
        for path in sorted(self.folder.rglob("*")):
            below = path.relative_to(self.folder).parts
            if path.is_file() and below[0] not in {"cloud", "modules"} and below[:2] != ("estate", "tfstate"):
                yield path

    def _deploy(self, path: str, main_tf: str, environment: Mapping[str, str]) -> None:
        module, state = self.module(path), self.root / "tfstate" / f"{path}.tfstate"
        module.mkdir(parents=True)
        state.parent.mkdir(parents=True, exist_ok=True)
        backend = f'terraform {{\n  backend "local" {{\n    path = "{state}"\n  }}\n}}\n'
        (module / "backend.tf").write_text(backend, encoding="utf-8")
        (module / "main.tf").write_text(main_tf, encoding="utf-8")
        for command in (("init",), ("apply", "-auto-approve")):
            done = subprocess.run(
                [find_terraform(), *command, "-input=false", "-no-color"],
                cwd=module,
                env={**os.environ, **self.cloud.environment, **environment},
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            assert done.returncode == 0, done.stderr


@contextmanager
def disk_estate(**cloud: Any) -> Iterator[DiskEstate]:
    """An empty one, in a folder whose path is short enough for the sockets of providers."""
    with tempfile.TemporaryDirectory(prefix="d-", ignore_cleanup_errors=True) as made:
        estate = DiskEstate(Path(made), make_sim_cloud(Path(made) / "cloud", **cloud))
        for folder in (estate.root, estate.work_folder, estate.temporary_folder):
            folder.mkdir()
        yield estate
