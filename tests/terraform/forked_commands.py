"""trueup's commands as processes of their own that are forked from one which has loaded everything: a tenth of the price.

Each command has an environment, an output and a death of its own. `python -m tests.terraform.forked_commands` takes a request
a line on stdin, ``{"start": [arguments, environment]}`` or ``{"wait": pid}``, and answers a line on stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from tests.world.commands import ROOT, Ended

KILLED: Final = "FORKED_KILLED"
"""``before STEP`` or ``after STEP``: dies, by SIGKILL, at this write of a heal's row on disk."""

_PASSED_ON: Final = ("PATH", "HOME")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_OUTPUTS: Final = ("out", "err")


@dataclass(frozen=True, slots=True)
class Commands:
    """Starts commands with ``options`` added to each."""

    options: Sequence[str]
    _server: subprocess.Popen[str]
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def start(self, *arguments: str, environment: Mapping[str, str] = _NOTHING) -> int:
        """Returns the number of the process."""
        started: int = self._ask({"start": [[*arguments, *self.options], dict(environment)]})
        return started

    def wait(self, process: int) -> Ended:
        """Nothing else can be asked for meanwhile."""
        return Ended(*self._ask({"wait": process}))

    def run(self, *arguments: str, environment: Mapping[str, str] = _NOTHING) -> Ended:
        return self.wait(self.start(*arguments, environment=environment))

    def answer(self, *arguments: str, environment: Mapping[str, str] = _NOTHING) -> dict[str, Any]:
        """What a command says as JSON."""
        ended = self.run(*arguments, "--format", "json", environment=environment)
        assert ended.stderr == "", ended.stderr
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    def pull(self, lever: str, *arguments: str) -> Ended:
        return self.run("drift", lever, *arguments, "--by", "alice@example.com", "--reason", "looked at it")

    def _ask(self, request: object) -> Any:
        with self._asking:
            assert self._server.stdin
            assert self._server.stdout
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            return json.loads(self._server.stdout.readline())


@contextmanager
def forked_commands(settings: Mapping[str, str], *options: str) -> Iterator[Commands]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.terraform.forked_commands"],
        cwd=ROOT,
        # With the settings, since certificates are read when all is loaded.
        env={**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as server:
        # The end of its stdin is the order to end.
        yield Commands(options, server)


def _serve() -> None:
    cli = importlib.import_module("cli")
    with tempfile.TemporaryDirectory(prefix="f-") as made:
        for line in sys.stdin:
            request = json.loads(line)
            answer = _wait(Path(made), request["wait"]) if "wait" in request else _start(cli, Path(made), request)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def _start(cli: Any, folder: Path, request: Mapping[str, Any]) -> int:
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        _become(cli, folder, *request["start"])
    return process


def _wait(folder: Path, process: int) -> tuple[int, str, str]:
    _, status = os.waitpid(process, 0)
    out, err = ((folder / f"{process}.{name}").read_text(encoding="utf-8") for name in _OUTPUTS)
    return os.waitstatus_to_exitcode(status), out, err


def _become(cli: Any, folder: Path, arguments: list[str], environment: dict[str, str]) -> NoReturn:
    status = 1
    try:
        for name, descriptor in zip(_OUTPUTS, (1, 2), strict=True):
            os.dup2(os.open(folder / f"{os.getpid()}.{name}", os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(environment)
        sys.argv = ["trueup", *arguments]
        if point := environment.get(KILLED):
            _die_at(point)
        cli.main()
        status = 0
    except SystemExit as exited:
        status = int(exited.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _die_at(point: str) -> None:
    ledger = importlib.import_module("adapters.folder_ledger").FolderHealLedger
    put = ledger.put

    async def dying_put(self: Any, *, row: Any, replaces: str | None) -> str:
        if point == f"before {row.step}":
            os.kill(os.getpid(), signal.SIGKILL)
        tag: str = await put(self, row=row, replaces=replaces)
        if point == f"after {row.step}":
            os.kill(os.getpid(), signal.SIGKILL)
        return tag

    ledger.put = dying_put


if __name__ == "__main__":
    _serve()
