"""Runs several of trueup's commands one after another in one process, which loads everything once.

`python -m tests.terraform.many_commands` takes ``[[arguments, environment], …]`` on stdin, and answers
``[[status, stdout, stderr], …]``.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Final

import cli
from tests.world.commands import LIMIT_SECONDS, ROOT, Ended

Command = tuple[Sequence[str], Mapping[str, str]]
_PASSED_ON: Final = ("PATH", "HOME")


def run_many(commands: Sequence[Command], settings: Mapping[str, str]) -> list[Ended]:
    """Each as `trueup ARGUMENTS --format json`, with no more in its environment than the settings and what is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.terraform.many_commands"],
        cwd=ROOT,
        env={**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **settings},
        input=json.dumps(commands),
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Ended(*one) for one in json.loads(done.stdout)]


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
    os.environ.update(environment)
    sys.argv = ["trueup", *arguments, "--format", "json"]
    status = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as exited:
        status = int(exited.code or 0)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return status, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    json.dump([_run(*command) for command in json.load(sys.stdin)], sys.stdout)
