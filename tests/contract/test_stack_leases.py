"""What everything promises that keeps a stack to one worker: in memory, on disk, and on leased blobs in Azure's emulator."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient, ContainerClient

from adapters.azure_blobs import connect_with_string
from adapters.azure_leases import AzureStackLeases, LeaseTimes, seconds_since_boot
from adapters.folder_leases import FolderStackLeases
from records.drift_ports import StackLease, StackLeases
from records.errors import AccessDeniedError, StoreError
from tests.contract_worlds import BACKENDS
from tests.estates import LIMITS
from tests.fakes_drift import MemoryLeases
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import Action, AnswerStatus, Delay, LoseAnswer, on

OFTEN: Final = LeaseTimes(duration=15, renewed_every=0.2, margin=5, request_limit=1, again_after=0.1)
"""Storage takes no lease of less than 15 seconds."""
POLLS: Final = 300
LEASE: Final = on("PUT", comp="lease")
HOLDS_ON_DISK: Final = """
import asyncio, sys
from pathlib import Path
from adapters.folder_leases import FolderStackLeases
async def hold():
    async with FolderStackLeases(Path(sys.argv[1])).held(market="emea/fr", stack="network") as lease:
        print("held" if lease else "none", flush=True)
        await asyncio.sleep(60 if lease else 0)
asyncio.run(hold())
"""
HOLDS_IN_AZURE: Final = """
import asyncio, sys
from adapters.azure_blobs import connect_with_string
from adapters.azure_leases import AzureStackLeases, LeaseTimes
from adapters.azure_retries import RetryLimits
async def hold():
    async with connect_with_string(sys.argv[1], RetryLimits(total=1, backoff_seconds=0.1))(None) as service:
        leases = AzureStackLeases(service, container=sys.argv[2], times=LeaseTimes(duration=15, renewed_every=1))
        async with leases.held(market="de", stack="network") as lease:
            print("held" if lease else "none", flush=True)
            await asyncio.sleep(60 if lease else 0)
asyncio.run(hold())
"""


class Clock:
    """That of the machine, moved ahead."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> float:
        return seconds_since_boot() + self.ahead_seconds


class InAzurite:
    """Leases in a container of their own, which is not there yet, and who deals with its blobs past any proxy."""

    def __init__(self, leases: AzureStackLeases, clock: Clock, container: ContainerClient) -> None:
        self.leases = leases
        self.clock = clock
        self.container = container
        self.blob: BlobClient = container.get_blob_client("de/network")

    def make_blob(self) -> None:
        self.container.create_container()
        self.blob.upload_blob(b"")

    def take_away(self) -> BlobLeaseClient:
        """Breaks the lease, as an administrator may, and takes it."""
        BlobLeaseClient(self.blob).break_lease(0)
        other = BlobLeaseClient(self.blob)
        other.acquire(15)
        return other

    def is_leased(self) -> bool:
        return self.blob.get_blob_properties().lease.state == "leased"


@asynccontextmanager
async def in_azurite(
    azurite: Azurite, *, through: str | None = None, times: LeaseTimes = OFTEN
) -> AsyncIterator[InAzurite]:
    name = f"locks-{uuid.uuid4()}"
    clock = Clock()
    connect = connect_with_string(azurite.connection_string_through(blob_url=through), LIMITS)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as past:
        async with connect(None) as service:
            leases = AzureStackLeases(service, container=name, times=times, clock=clock)
            yield InAzurite(leases, clock, past.get_container_client(name))


@pytest.fixture(params=BACKENDS)
async def leases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StackLeases]:
    match request.param:
        case "memory":
            yield MemoryLeases()
        case "folder":
            yield FolderStackLeases(tmp_path)
        case _:
            async with in_azurite(request.getfixturevalue("azurite")) as opened:
                yield opened.leases


async def is_free(leases: StackLeases, market: str = "de", stack: str = "network") -> bool:
    async with leases.held(market=market, stack=stack) as lease:
        return lease is not None


async def soon_lost(lease: StackLease | None, *, expected: bool = True) -> bool:
    """Whether it comes to be so."""
    assert lease is not None
    for _ in range(POLLS):
        if lease.is_lost is expected:
            return True
        await asyncio.sleep(0.02)
    return False


class TestALease:
    async def test_is_one_s_until_its_block_ends(self, leases: StackLeases) -> None:
        for _ in range(2):
            async with leases.held(market="de", stack="network") as lease:
                assert lease is not None
                assert not lease.is_lost
                assert not await is_free(leases)
            assert await is_free(leases)

    async def test_ends_with_an_error_in_its_block(self, leases: StackLeases) -> None:
        with suppress(LookupError):
            async with leases.held(market="de", stack="network"):
                raise LookupError
        assert await is_free(leases)

    async def test_ends_with_a_task_that_is_cancelled(self, leases: StackLeases) -> None:
        is_held = asyncio.Event()

        async def hold() -> None:
            async with leases.held(market="de", stack="network"):
                is_held.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(hold())
        await is_held.wait()
        assert not await is_free(leases)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await is_free(leases)

    async def test_is_of_one_stack(self, leases: StackLeases) -> None:
        names = [("de", "network"), ("de", "net"), ("de/hub", "network"), ("emea/fr", "network"), ("emea", "fr")]
        async with AsyncExitStack() as stack:
            held = [await stack.enter_async_context(leases.held(market=market, stack=name)) for market, name in names]
            assert None not in held
            assert [await is_free(leases, *name) for name in names] == [False] * len(names)

    async def test_is_given_to_one_of_many_at_once(self, leases: StackLeases) -> None:
        go_on = asyncio.Event()
        got: list[bool] = []

        async def hold() -> None:
            async with leases.held(market="de", stack="network") as lease:
                got.append(lease is not None)
                if len(got) == 6:
                    go_on.set()
                await go_on.wait()

        await asyncio.gather(*(hold() for _ in range(6)))
        assert sorted(got) == [False] * 5 + [True]


async def holding(script: str, *arguments: str) -> tuple[asyncio.subprocess.Process, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, await process.stdout.readline()


async def kill(process: asyncio.subprocess.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    await process.communicate()


class TestOnDisk:
    async def test_a_process_that_is_killed_has_it_no_longer(self, tmp_path: Path) -> None:
        leases = FolderStackLeases(tmp_path)
        first, said = await holding(HOLDS_ON_DISK, str(tmp_path))
        assert said == b"held\n"
        assert not await is_free(leases, "emea/fr")
        second, said = await holding(HOLDS_ON_DISK, str(tmp_path))
        assert said == b"none\n"
        await second.communicate()
        await kill(first)
        assert await is_free(leases, "emea/fr")
        assert (tmp_path / "locks" / "emea" / "fr" / "network.lock").is_file()

    async def test_a_process_that_is_started_meanwhile_does_not_keep_it(self, tmp_path: Path) -> None:
        leases = FolderStackLeases(tmp_path)
        async with leases.held(market="de", stack="network"):
            child = await asyncio.create_subprocess_exec("sleep", "60", close_fds=False)
        assert await is_free(leases)
        await kill(child)

    async def test_a_folder_that_cannot_be_made_is_told_as_such(self, tmp_path: Path) -> None:
        (tmp_path / "locks").write_text("a file")
        with pytest.raises(StoreError, match=r"^locks/de/network: "):
            await is_free(FolderStackLeases(tmp_path))


@pytest.mark.azurite
class TestAzure:
    @pytest.mark.slow
    async def test_a_process_that_is_killed_has_it_until_it_ends(self, azurite: Azurite) -> None:
        async with in_azurite(azurite) as azure:
            name = azure.container.container_name
            process, said = await holding(HOLDS_IN_AZURE, azurite.connection_string, str(name))
            assert said == b"held\n"
            await kill(process)
            assert not await is_free(azure.leases)
            for _ in range(POLLS):
                if await is_free(azure.leases):
                    return
                await asyncio.sleep(0.1)
            raise AssertionError("it did not end")

    async def test_is_renewed_while_its_block_lasts_and_not_longer(
        self, azurite: Azurite, fault_proxy: FaultProxy
    ) -> None:
        async with in_azurite(azurite, through=fault_proxy.url) as azure:
            async with azure.leases.held(market="de", stack="network"):
                fault_proxy.forget()
                await asyncio.sleep(1)
                assert 2 <= fault_proxy.count(LEASE) <= 6
                assert azure.is_leased()
            assert not azure.is_leased()
            fault_proxy.forget()
            await asyncio.sleep(0.5)
            assert fault_proxy.count(LEASE) == 0

    @pytest.mark.parametrize("code", ["ContainerAlreadyExists", "BlobAlreadyExists"])
    async def test_what_another_makes_meanwhile_is_as_good(
        self, azurite: Azurite, fault_proxy: FaultProxy, code: str
    ) -> None:
        async with in_azurite(azurite, through=fault_proxy.url) as azure:
            azure.make_blob()
            missing = "ContainerNotFound" if code.startswith("Container") else "BlobNotFound"
            fault_proxy.inject(LEASE, AnswerStatus(404, missing), times=1)
            assert await is_free(azure.leases)

    async def test_a_container_that_goes_and_goes_again_ends(self, azurite: Azurite, fault_proxy: FaultProxy) -> None:
        async with in_azurite(azurite, through=fault_proxy.url) as azure:
            azure.make_blob()
            fault_proxy.inject(LEASE, AnswerStatus(404, "BlobNotFound"))
            with pytest.raises(StoreError, match="404 BlobNotFound"):
                await is_free(azure.leases)

    @pytest.mark.parametrize(
        "action", [LoseAnswer(), AnswerStatus(503, "ServerBusy"), AnswerStatus(500, "InternalError")]
    )
    async def test_is_ours_where_the_answer_was_lost(
        self, azurite: Azurite, fault_proxy: FaultProxy, action: Action
    ) -> None:
        async with in_azurite(azurite, through=fault_proxy.url) as azure:
            azure.make_blob()
            fault_proxy.inject(LEASE, action, times=1)
            async with azure.leases.held(market="de", stack="network") as lease:
                assert lease is not None
                assert azure.is_leased()

    @pytest.mark.parametrize(
        "action",
        [AnswerStatus(503, "ServerBusy"), AnswerStatus(403, "AuthorizationFailure"), Delay(5)],
        ids=["busy", "forbidden", "slow"],
    )
    async def test_is_lost_before_it_ends_where_it_cannot_be_renewed(
        self, azurite: Azurite, fault_proxy: FaultProxy, action: Action
    ) -> None:
        async with (
            in_azurite(azurite, through=fault_proxy.url) as azure,
            azure.leases.held(market="de", stack="network") as lease,
        ):
            assert lease is not None
            fault_proxy.inject(LEASE, action)
            # So long that the renewals before have come to their ends.
            await asyncio.sleep(0.5)
            azure.clock.ahead_seconds += OFTEN.trusted - 5
            assert not lease.is_lost
            azure.clock.ahead_seconds += 5
            assert lease.is_lost
            fault_proxy.heal()
            assert await soon_lost(lease, expected=False)

    async def test_is_lost_where_another_has_it_and_theirs_is_left_alone(self, azurite: Azurite) -> None:
        async with in_azurite(azurite) as azure:
            async with azure.leases.held(market="de", stack="network") as lease:
                other = azure.take_away()
                assert await soon_lost(lease)
            assert azure.is_leased()
            assert not await is_free(azure.leases)
            other.renew()
            other.release()
            assert await is_free(azure.leases)

    @pytest.mark.parametrize("gone", ["lease", "blob", "container"])
    async def test_is_lost_where_it_is_there_no_longer(self, azurite: Azurite, gone: str) -> None:
        async with in_azurite(azurite) as azure:
            async with azure.leases.held(market="de", stack="network") as lease:
                BlobLeaseClient(azure.blob).break_lease(0)
                if gone != "lease":
                    with suppress(ResourceNotFoundError):
                        azure.blob.delete_blob()
                if gone == "container":
                    azure.container.delete_container()
                assert await soon_lost(lease)
            with suppress(ResourceExistsError):
                azure.container.create_container()
            assert await is_free(azure.leases)

    async def test_a_release_that_fails_is_no_error(self, azurite: Azurite, fault_proxy: FaultProxy) -> None:
        async with in_azurite(azurite, through=fault_proxy.url) as azure:
            async with azure.leases.held(market="de", stack="network"):
                fault_proxy.inject(LEASE, AnswerStatus(500, "InternalError"))
            assert azure.is_leased()

    async def test_tells_no_secret_when_it_is_refused(self, azurite: Azurite, fault_proxy: FaultProxy) -> None:
        fault_proxy.inject(on(), AnswerStatus(403, "AuthorizationFailure", message="?sig=c2VjcmV0"))
        async with in_azurite(azurite, through=fault_proxy.url) as azure:
            with pytest.raises(AccessDeniedError) as refused:
                await is_free(azure.leases)
            assert str(refused.value) == f"{azure.container.container_name}/de/network: 403 AuthorizationFailure"

    def test_its_times_leave_room_for_renewals_that_fail(self) -> None:
        times: Any = LeaseTimes()
        assert (times.duration, times.renewed_every) == (60, 20)
        assert times.trusted > times.renewed_every + 2 * (times.request_limit + times.again_after)
