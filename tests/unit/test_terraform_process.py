"""One command within its limits, and a private folder: what is left of either, however it ends. The commands are scripts."""

import asyncio
import fcntl
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.private_folder import PREFIX, PrivateFolder, private_folder, remove_leftovers
from adapters.terraform_process import Ended, Limits, Stopped, in_thread, run_to_end

GRACE_SECONDS = 0.4
MIB = 1024**2
HANGS = "sleep 60"
OBEYS_ONE_INTERRUPT = """
trap 'echo interrupted' INT
touch ready
n=0
while [ $n -lt 6 ]; do sleep 0.05 & wait $!; grep -q interrupted out && n=$((n + 1)); done
exit 1
"""
IGNORES_INTERRUPTS_AND_HAS_CHILDREN = """
trap '' INT
(trap '' INT TERM; sleep 60) & echo $! > pids
(trap '' INT TERM; (sleep 60) & echo $! >> pids; sleep 60) & echo $! >> pids
sleep 0.1
touch ready
sleep 60
"""
MAKER = """
import asyncio, sys
from pathlib import Path
from adapters.private_folder import private_folder
from adapters.terraform_process import Limits, run_to_end
async def main(parent, text):
    with private_folder(parent, grace_seconds=0.4) as folder:
        (folder.path / "secret").write_text("hunter2")
        await run_to_end(
            ["/bin/sh", "-c", text], working_folder=folder.path, environment={"PATH": "/usr/bin:/bin"}, folder=folder,
            stdout=folder.path / "out", stderr=folder.path / "err",
            limits=Limits(seconds=60, grace_seconds=0.4, output_bytes=1000),
        )
asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.fixture
def work() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="work-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(work: Path) -> Iterator[PrivateFolder]:
    with private_folder(work, grace_seconds=GRACE_SECONDS) as made:
        yield made


async def run(
    script: str,
    folder: PrivateFolder,
    *,
    seconds: float = 20,
    grace_seconds: float = GRACE_SECONDS,
    output_bytes: int = MIB,
) -> Ended:
    return await run_to_end(
        ["/bin/sh", "-c", script],
        working_folder=folder.path,
        environment={"PATH": os.environ["PATH"]},
        stdout=folder.path / "out",
        stderr=folder.path / "err",
        folder=folder,
        limits=Limits(seconds=seconds, grace_seconds=grace_seconds, output_bytes=output_bytes),
    )


def is_alive(process: int) -> bool:
    """Whether it runs; a zombie does not, and its new parent will reap it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids(path: Path) -> list[int]:
    return [int(line) for line in (path / "pids").read_text().split()]


def soon(condition: Callable[[], bool], limit_seconds: float = 8) -> bool:
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            if condition():
                return True
        time.sleep(0.02)
    return False


async def ready(path: Path) -> None:
    assert await asyncio.to_thread(soon, (path / "ready").exists)


async def test_a_command_has_its_status_and_its_outputs_in_files_that_only_we_can_read(folder: PrivateFolder) -> None:
    assert await run("echo said; echo wrong >&2; exit 2", folder) == Ended(status=2)
    assert ((folder.path / "out").read_text(), (folder.path / "err").read_text()) == ("said\n", "wrong\n")
    assert {stat.S_IMODE((folder.path / name).stat().st_mode) for name in ("out", "err")} == {0o600}


async def test_at_the_time_limit_a_command_gets_one_interrupt_and_the_time_to_obey_it(folder: PrivateFolder) -> None:
    ended = await run(OBEYS_ONE_INTERRUPT, folder, seconds=0.3, grace_seconds=10)
    assert ended == Ended(status=1, stopped=Stopped.TIME_LIMIT)
    assert (folder.path / "out").read_text() == "interrupted\n"


async def test_after_the_grace_the_whole_group_is_killed(folder: PrivateFolder) -> None:
    ended = await run(IGNORES_INTERRUPTS_AND_HAS_CHILDREN, folder, seconds=0.4)
    assert ended == Ended(status=None, killed_by=signal.SIGKILL, stopped=Stopped.TIME_LIMIT)
    assert len(pids(folder.path)) == 3
    assert soon(lambda: not any(map(is_alive, pids(folder.path))))


async def test_what_a_command_leaves_behind_is_killed_and_holds_nothing_up(folder: PrivateFolder) -> None:
    began = time.monotonic()
    assert await run("sleep 60 & echo $! > pids; exit 0", folder) == Ended(status=0)
    assert time.monotonic() - began < 5
    assert soon(lambda: not any(map(is_alive, pids(folder.path))))


async def test_a_hundred_megabytes_of_output_are_not_held_in_memory(folder: PrivateFolder) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await run("head -c 100000000 /dev/zero", folder, output_bytes=200 * MIB) == Ended(status=0)
    assert (folder.path / "out").stat().st_size == 100_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


async def test_more_output_than_the_limit_stops_a_command(folder: PrivateFolder) -> None:
    ended = await run("while :; do head -c 100000 /dev/zero; sleep 0.01; done", folder, output_bytes=MIB)
    assert ended.stopped is Stopped.OUTPUT_LIMIT


async def test_a_signal_that_nobody_here_sent_is_named(folder: PrivateFolder) -> None:
    assert await run("kill -KILL $$", folder) == Ended(status=None, killed_by=signal.SIGKILL)


async def test_a_status_that_cannot_be_had_is_no_status(folder: PrivateFolder) -> None:
    """As under a host that ignores SIGCHLD, where `subprocess` reports 0."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert await run("exit 2", folder) == Ended(status=None)
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_a_cancelled_task_interrupts_its_command_once_and_is_cancelled(folder: PrivateFolder) -> None:
    task = asyncio.create_task(run(OBEYS_ONE_INTERRUPT, folder, grace_seconds=10))
    await ready(folder.path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (folder.path / "out").read_text() == "interrupted\n"


async def test_a_task_that_is_cancelled_twice_kills_at_once(folder: PrivateFolder) -> None:
    task = asyncio.create_task(run(IGNORES_INTERRUPTS_AND_HAS_CHILDREN, folder, grace_seconds=60))
    await ready(folder.path)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert soon(lambda: not any(map(is_alive, pids(folder.path))))


async def test_a_cancellation_in_the_grace_of_a_time_limit_sends_no_second_interrupt(folder: PrivateFolder) -> None:
    task = asyncio.create_task(run(OBEYS_ONE_INTERRUPT, folder, seconds=0.2, grace_seconds=10))
    assert await asyncio.to_thread(soon, lambda: (folder.path / "out").read_text() != "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (folder.path / "out").read_text() == "interrupted\n"


async def test_a_timeout_around_a_command_stays_a_timeout(folder: PrivateFolder) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await run(HANGS, folder)


async def test_a_command_that_is_not_there_is_an_error(folder: PrivateFolder) -> None:
    with pytest.raises(FileNotFoundError):
        await run_to_end(
            ["/nowhere/terraform"],
            working_folder=folder.path,
            environment={},
            stdout=folder.path / "out",
            stderr=folder.path / "err",
            folder=folder,
            limits=Limits(seconds=1, grace_seconds=1, output_bytes=1),
        )


async def test_a_cancellation_waits_for_work_in_a_thread() -> None:
    done: list[bool] = []

    def work() -> None:
        time.sleep(0.2)
        done.append(True)

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


def test_a_private_folder_is_ours_alone_and_gone_at_the_end(work: Path) -> None:
    before = os.umask(0)
    try:
        with private_folder(work, grace_seconds=GRACE_SECONDS) as folder:
            assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
            (folder.path / "plan").write_text("hunter2")
    finally:
        os.umask(before)
    assert list(work.iterdir()) == []


def test_a_private_folder_is_gone_after_an_error_and_what_it_links_to_is_not(work: Path) -> None:
    kept = work / "mirror"
    kept.mkdir(mode=0o500)
    with suppress(ZeroDivisionError), private_folder(work, grace_seconds=GRACE_SECONDS) as folder:
        (folder.path / "link").symlink_to(kept)
        closed = folder.path / "closed"
        closed.mkdir()
        (closed / "file").touch()
        closed.chmod(0o500)
        raise ZeroDivisionError
    assert list(work.iterdir()) == [kept]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o500


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_when_its_maker_is_killed_a_folder_goes_and_so_does_what_ran_in_it(work: Path, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", MAKER, str(work), IGNORES_INTERRUPTS_AND_HAS_CHILDREN]) as maker:
        assert soon(lambda: any(work.glob(f"{PREFIX}*/ready")))
        (made,) = work.iterdir()
        started = pids(made)
        maker.send_signal(number)
    assert soon(lambda: list(work.iterdir()) == [])
    assert soon(lambda: not any(map(is_alive, started)))


def test_a_watch_whose_maker_is_gone_interrupts_then_kills_then_removes(work: Path) -> None:
    kept, spared = (subprocess.Popen(["/bin/sh", "-c", HANGS], start_new_session=True) for _ in range(2))
    made = work / "made"
    made.mkdir()
    adapters = Path(__file__).parents[2] / "adapters"
    command: list[str | Path] = [
        sys.executable,
        adapters / "folder_watch.py",
        "0.2",
        adapters / "private_folder.py",
        made,
    ]
    watch = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        assert kept.poll() is None
        watch.communicate(f"+{kept.pid}\n+{spared.pid}\n-{spared.pid}\n".encode(), timeout=10)
        assert kept.wait(5) < 0
        assert spared.poll() is None
        assert list(work.iterdir()) == []
    finally:
        spared.kill()
        spared.wait()


def test_what_a_maker_and_its_watch_left_when_both_were_killed_goes_at_the_next_start(work: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MAKER, str(work), "echo $$ > pids; touch ready; sleep 1"]) as maker:
        assert soon(lambda: any(work.glob(f"{PREFIX}*/ready")))
        (made,) = work.iterdir()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str(made) in (process / "cmdline").read_text():
                    os.kill(int(process.name), signal.SIGKILL)
        maker.kill()
    remove_leftovers(work)
    assert list(work.iterdir()) == [made], "what ran in it still runs"

    def is_swept() -> bool:
        remove_leftovers(work)
        return not any(work.iterdir())

    assert soon(is_swept)


def test_a_sweep_leaves_alone_what_is_not_ours_or_in_use(work: Path) -> None:
    for name, mode in (("left", 0o700), ("readable", 0o755)):
        (work / f"{PREFIX}{name}").mkdir()
        (work / f"{PREFIX}{name}").chmod(mode)
    (work / "other").mkdir(mode=0o700)
    (work / f"{PREFIX}link").symlink_to(work / "other")
    (work / f"{PREFIX}file").touch()
    with private_folder(work, grace_seconds=GRACE_SECONDS) as used:
        remove_leftovers(work)
        assert used.path.exists()
    left = sorted(path.name.removeprefix(PREFIX) for path in work.iterdir())
    assert left == ["file", "link", "other", "readable"]


def test_a_folder_that_is_swept_before_its_lock_is_held_is_made_again(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another process, at each of the moments at which nothing says yet that somebody has it."""
    make, lock, swept = tempfile.mkdtemp, fcntl.flock, list[str]()

    def made_and_swept(**given: Any) -> str:
        path: str = make(**given)
        if not swept:
            swept.append(path)
            remove_leftovers(work)
            assert not Path(path).exists()
        return path

    def swept_and_locked(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX and len(swept) == 1:
            swept.append("before the lock")
            remove_leftovers(work)
            assert not list(work.iterdir())
        lock(descriptor, how)

    monkeypatch.setattr(tempfile, "mkdtemp", made_and_swept)
    monkeypatch.setattr(fcntl, "flock", swept_and_locked)
    with private_folder(work, grace_seconds=GRACE_SECONDS) as made:
        remove_leftovers(work)
        assert list(work.iterdir()) == [made.path]
    assert len(swept) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is another user's")
def test_a_sweep_leaves_another_users_folder_alone(work: Path) -> None:
    foreign = work / f"{PREFIX}foreign"
    foreign.mkdir(mode=0o700)
    os.chown(foreign, 12345, 12345)
    os.utime(foreign, (0, 0))
    remove_leftovers(work)
    assert foreign.exists()
