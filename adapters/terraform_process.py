"""Runs one command to its end, within limits, and leaves no process behind.

Terraform takes one SIGINT for an order to end in good order: it stops its providers, writes the state and gives its lock back.
A second one makes it drop everything (hashicorp/terraform ``commands.go`` ``makeShutdownCh`` and ``internal/command/meta.go``
``RunOperation``). So it is in a session of its own, where the terminal's Ctrl-C does not reach it, and gets exactly one.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from adapters.private_folder import PrivateFolder
from records.terraform import Cause

_POLL_SECONDS: Final = 0.005
_POLL_SHARE: Final = 0.01
_POLL_MOST_SECONDS: Final = 0.1
"""The longer a command has run, the less often it is looked at: its end is noticed late by a hundredth of its time at most."""

Made = TypeVar("Made")


class Stopped(Enum):
    """Why a command was stopped from here."""

    TIME_LIMIT = auto()
    OUTPUT_LIMIT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``grace_seconds`` is what a command has after SIGINT, before SIGKILL; ``output_bytes`` is for both of its outputs."""

    seconds: float
    grace_seconds: float
    output_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """``status`` is None where a signal ended it, ``killed_by``, or where its status could not be had."""

    status: int | None
    killed_by: int | None = None
    stopped: Stopped | None = None


async def run_to_end(
    command: Sequence[str],
    *,
    working_folder: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    folder: PrivateFolder,
    limits: Limits,
) -> Ended:
    """Runs ``command``, its outputs in new files of mode 0600, and ends all that it started in its process group.

    Outputs go to files and never through this process, however large: no pipe fills up, and none stays open because a
    process that outlived its parent holds it.

    A cancelled task has the command stopped as a time limit would, and is then cancelled. Cancelled again, it kills at once.

    Raises:
        OSError: it cannot be started.
    """
    with _new(stdout) as out, _new(stderr) as err:
        process = subprocess.Popen(  # noqa: ASYNC220, S603 (asyncio's own reaps by itself; the command is ours)
            command,
            cwd=working_folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=(folder.lock,),
            start_new_session=True,
        )
        outputs = (out.fileno(), err.fileno())
        folder.started(process.pid)
        kill_at: float | None = None
        stopped = None
        try:
            stopped = await _ended_or_over(process.pid, outputs, limits)
            if stopped:
                kill_at = _interrupt(process.pid, limits)
                await _ended_by(process.pid, kill_at)
        except asyncio.CancelledError:
            await _ended_by(process.pid, kill_at or _interrupt(process.pid, limits))
            raise
        finally:
            ended = _reaped(process, folder)
        return replace(ended, stopped=stopped)


def _new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


async def _ended_or_over(process: int, outputs: tuple[int, ...], limits: Limits) -> Stopped | None:
    started_at = time.monotonic()
    while not _has_ended(process):
        ran_seconds = time.monotonic() - started_at
        if ran_seconds >= limits.seconds:
            return Stopped.TIME_LIMIT
        if sum(os.fstat(output).st_size for output in outputs) > limits.output_bytes:
            return Stopped.OUTPUT_LIMIT
        await asyncio.sleep(min(max(_POLL_SECONDS, ran_seconds * _POLL_SHARE), _POLL_MOST_SECONDS))
    return None


def _interrupt(process: int, limits: Limits) -> float:
    """The leader alone: Terraform tells its providers. It is not reaped yet, so its number is its own."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGINT)
    return time.monotonic() + limits.grace_seconds


async def _ended_by(process: int, kill_at: float) -> None:
    while not _has_ended(process) and time.monotonic() < kill_at:  # noqa: ASYNC110 (no event tells it)
        await asyncio.sleep(_POLL_SECONDS)


def _has_ended(process: int) -> bool:
    """Looks without reaping."""
    try:
        return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _reaped(process: "subprocess.Popen[bytes]", folder: PrivateFolder) -> Ended:
    """Kills what is left of the group before its leader is reaped: until then no other group can have its number.

    Where a host ignores SIGCHLD the kernel reaps, and `Popen` would report a status of 0, which is an answer.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    folder.ended(process.pid)
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        found = None
    process.wait()
    if found is None:
        return Ended(status=None)
    if found.si_code == os.CLD_EXITED:
        return Ended(status=found.si_status)
    return Ended(status=None, killed_by=found.si_status)


async def in_thread(work: Callable[[], Made]) -> Made:
    """A cancellation waits for the thread, which would go on writing into a folder that is being removed."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


def why_no_answer(ended: Ended, limits: Limits) -> tuple[Cause, str]:
    """What a command that did not do its work died of, and the rest of a sentence that begins with its name."""
    if ended.stopped is Stopped.TIME_LIMIT:
        return (
            Cause.TIME_LIMIT,
            f"took longer than {limits.seconds:g} s and was stopped. Raise the limit.",
        )
    if ended.stopped is Stopped.OUTPUT_LIMIT:
        return (
            Cause.OUTPUT_LIMIT,
            "wrote more than the limit allows and was stopped. Raise the limit, or split the stack.",
        )
    if ended.killed_by is not None:
        return Cause.KILLED, f"was ended by signal {ended.killed_by}. Look whether the machine ran out of memory."
    if ended.status == 1:
        return Cause.FAILED, "failed. Its diagnostics say why; run it by hand for the values that they leave out."
    return (
        Cause.UNKNOWN_STATUS,
        f"ended with status {ended.status}, which says nothing. Look which program TF_BINARY names.",
    )
