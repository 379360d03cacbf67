"""The same through Terraform's azurerm backend: states, records, leases, queue and ledger are Azurite's."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from azure.storage.blob import BlobLeaseClient
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from adapters.table_names import HEALS_TABLE
from records.heals import QUEUE
from tests.terraform.checked_estate import CheckedEstate, checked_estate
from tests.terraform.deploys import deploy
from tests.terraform.forked_commands import Commands, forked_commands
from tests.terraform.healed_estate import HEALING, STACK, JsonObject, applies, terraform_that_tells
from tests.terraform.lasting_provider import lasting_provider
from tests.world.sim_cloud import SimCloud
from tests.world.terraform_backend import TerraformStack, TerraformWorld

_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class AzurermEstate:
    """Stacks are named by their markets."""

    checked: CheckedEstate
    commands: Commands
    locks: str
    provider: Mapping[str, str]

    @property
    def cloud(self) -> SimCloud:
        return self.checked.cloud

    def stack(self, market: str) -> TerraformStack:
        return self.checked.stacks[f"{market}/{STACK}"]

    def deploy(self, modules: Mapping[str, str]) -> None:
        pipeline, cloud = self.checked.pipeline, self.checked.cloud

        def deployed(market: str) -> TerraformStack:
            stack = pipeline.world.stack(
                self.checked.folder / market,
                key=f"{market}/{STACK}.tfstate",
                container=pipeline.containers.states,
                environment={**cloud.environment, **self.provider},
            )
            return deploy(stack, modules[market])

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            stacks = pool.map(deployed, modules)
            self.checked.stacks.update(
                (f"{market}/{STACK}", stack) for market, stack in zip(modules, stacks, strict=True)
            )
        self.checked.record([f"{market}/{STACK}" for market in modules])

    def check(self, *options: str) -> dict[str, JsonObject]:
        results = self.commands.answer("drift", "check", "--queue", *options, environment=HEALING)["results"]
        return {one["market"]: one for one in results}

    def heal(self) -> dict[str, JsonObject]:
        answer = self.commands.answer("drift", "heal", environment=HEALING)
        assert (answer["refused"], answer["problems"]) == ([], [])
        return {one["job"]["market"]: one for one in answer["jobs"]}

    def verdicts(self) -> dict[str, str]:
        return {one["market"]: one["verdict"] for one in self.commands.answer("reconcile")["results"]}

    def steps(self, market: str) -> list[str]:
        """Every step and every lever of the market's history, oldest first."""
        moments = self.commands.answer("drift", "history", "--market", market)["moments"]
        return [one["step"] or one["lever"] for one in reversed(moments)]

    def row(self, market: str) -> JsonObject:
        (kept,) = [row for row in self.checked.rows(HEALS_TABLE) if row["PartitionKey"] == market and "job_id" in row]
        row: JsonObject = json.loads(gzip.decompress(kept["row"]))
        return row

    def applies(self) -> dict[str, int]:
        return applies(self.checked.folder)

    def messages(self) -> list[JsonObject]:
        return self.checked.messages()

    def send(self, messages: list[JsonObject]) -> None:
        with self.queue() as queue:
            for message in messages:
                queue.send_message(json.dumps(message))

    @contextmanager
    def queue(self) -> Iterator[QueueClient]:
        connection = self.checked.pipeline.world.azurite.connection_string
        with QueueServiceClient.from_connection_string(connection, **self.checked.pipeline.trust) as service:
            yield service.get_queue_client(
                QUEUE,
                message_encode_policy=TextBase64EncodePolicy(),
                message_decode_policy=TextBase64DecodePolicy(),
            )

    def a_minute_passes(self, market: str) -> None:
        """After which the lease of a dead worker ends by itself, and what it left in its folder is known as such."""
        for folder in self.checked.work_folder.iterdir():
            os.utime(folder, (0, 0))
        blob = self.checked.pipeline.world.blob_service.get_blob_client(self.locks, f"{market}/{STACK}")
        BlobLeaseClient(blob).break_lease(lease_break_period=0)


@contextmanager
def healed_azurerm(world: TerraformWorld, folder: Path, *, lasts: bool = True) -> Iterator[AzurermEstate]:
    """An empty one, with one provider for all or, where that may not last, one for each command of Terraform."""
    with ExitStack() as stack:
        checked = stack.enter_context(checked_estate(world, folder))
        provider = stack.enter_context(lasting_provider(checked.cloud)) if lasts else {}
        locks = checked.pipeline.containers.registry.replace("registry", "locks")
        settings = {
            **checked.command.settings,
            "TF_BINARY": str(terraform_that_tells(folder, provider)),
            "LOCKS_CONTAINER": locks,
            "LOCK_TIMEOUT_SECONDS": "0",
        }
        commands = stack.enter_context(forked_commands(settings))
        yield AzurermEstate(checked, commands, locks, provider)


def kill_with_all_that_it_started(worker: int) -> None:
    """As a machine dies: nobody is left who could tell Terraform to end in good order.

    The worker is stopped first, so that it cannot see its Terraform die; then who watches over it goes, before it can.
    """
    os.kill(worker, signal.SIGSTOP)
    for process in sorted(below(worker), key=lambda process: "folder_watch" not in command_of(process)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)


def below(process: int) -> list[int]:
    """All processes that it has started, and that these have."""
    threads = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(word) for thread in threads for word in _read(thread).split()]
    return [*children, *(one for child in children for one in below(child))]


def command_of(process: int) -> str:
    return _read(Path(f"/proc/{process}/cmdline")).replace("\0", " ")


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace")
    return ""
