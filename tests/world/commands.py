"""trueup's command line as processes of their own: what a pipeline runs, with no more in its environment than it is given."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tests.world.disturbed_cli import CUT_OFF_AFTER, READY_FD

ROOT: Final = Path(__file__).parents[2]
LIMIT_SECONDS: Final = 60
AT_ONCE: Final = 4
"""Processes that are run side by side where only their end is of interest."""

_PASSED_ON: Final = ("PATH", "HOME")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended; ``status`` is negative where a signal killed it."""

    status: int
    stdout: str
    stderr: str

    @property
    def was_killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def answer(self) -> dict[str, Any]:
        """What it wrote as JSON, of a command that had nothing to complain of."""
        assert self.stderr == ""
        answer: dict[str, Any] = json.loads(self.stdout)
        return answer


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Where commands run, with what settings; ``options`` are added to every command's own."""

    settings: Mapping[str, str]
    options: Sequence[str] = field(default=())

    def run(self, *arguments: str, environment: Mapping[str, str] = _NOTHING) -> Ended:
        return _ended(self._start("cli", arguments, environment))

    def run_all(self, commands: Iterable[Sequence[str]]) -> list[Ended]:
        """A few at a time, as fast as the machine can."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda arguments: self.run(*arguments), commands))

    def run_at_once(self, commands: Sequence[Sequence[str]]) -> list[Ended]:
        """All at the same moment: each is loaded and waits before any of them begins."""
        ready, ready_end = os.pipe()
        waiting, go = os.pipe()
        variables = {READY_FD: str(ready_end)}
        started = [
            self._start("tests.world.disturbed_cli", arguments, variables, stdin=waiting, passed_on=(ready_end,))
            for arguments in commands
        ]
        os.close(ready_end)
        os.close(waiting)
        # A process that dies before it is ready closes its end too, so that this never waits for ever.
        is_ready = 0
        while byte := os.read(ready, len(commands)):
            is_ready += len(byte)
        os.close(ready)
        os.close(go)
        ended = [_ended(process) for process in started]
        assert is_ready == len(commands), [one.stderr for one in ended]
        return ended

    def cut_off_all(self, commands: Iterable[tuple[int, Sequence[str]]]) -> list[Ended]:
        """Each is killed as soon as storage has answered this many requests that write."""

        def cut_off(command: tuple[int, Sequence[str]]) -> Ended:
            writes, arguments = command
            return _ended(self._start("tests.world.disturbed_cli", arguments, {CUT_OFF_AFTER: str(writes)}))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(cut_off, commands))

    def _start(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int = subprocess.DEVNULL,
        passed_on: Sequence[int] = (),
    ) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments, *self.options, "--format", "json"],
            cwd=ROOT,
            env={**kept, **self.settings, **environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            pass_fds=passed_on,
        )


def _ended(process: subprocess.Popen[str]) -> Ended:
    try:
        stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    finally:
        process.kill()
    return Ended(status=process.returncode, stdout=stdout, stderr=stderr)
