"""Stacks that a pipeline deployed and recorded, each with what happened since, and `trueup drift check` as it is called.

Everything is the real thing: Terraform with its azurerm backend, the simulated cloud, the command in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy

from adapters.table_names import HEAL_LEVERS_TABLE, HEALS_TABLE, PLAN_CHECKS_TABLE
from records.heals import QUEUE
from tests.terraform.deploys import IN_A_NEW_MARKET, JsonObject, Pipeline, deploy, pipeline_in, recording
from tests.terraform.many_commands import Command, run_many
from tests.world.commands import CommandLine, Ended
from tests.world.sim_cloud import SimCloud, make_sim_cloud, using_azsim
from tests.world.state_blob import BlobFacts
from tests.world.terraform_backend import TerraformStack, TerraformWorld

AT_ONCE: Final = 4
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_TERRAFORM_THAT_TELLS: Final = '#!/bin/sh\necho "$@" >> {log}\nexec {terraform} "$@"\n'


def rule(name: str, priority: int = 100) -> str:
    """The root module of a network security rule that lets nobody in."""
    return using_azsim() + (
        f'resource "azsim_network_security_rule" "ssh" {{\n  name = "{name}"\n  resource_group_name = "rg"\n'
        f'  network_security_group_name = "hub"\n  access = "Deny"\n  priority = {priority}\n}}\n'
    )


def data(value: str) -> str:
    return f'resource "terraform_data" "vnet" {{\n  input = "{value}"\n}}\n'


@dataclass(frozen=True)
class CheckedEstate:
    """An estate in containers of its own, the cloud that its stacks are in, and where Terraform tells how it was started."""

    pipeline: Pipeline
    cloud: SimCloud
    folder: Path
    work_folder: Path
    stacks: dict[str, TerraformStack] = field(default_factory=dict)

    @cached_property
    def command(self) -> CommandLine:
        world = self.pipeline.world
        config = self.pipeline.containers.registry.replace("registry", "config")
        world.create_containers(config)
        reaching_terraform = {
            name: value for name, value in world.environment().items() if name in {"HTTPS_PROXY", "ARM_ACCESS_KEY"}
        }
        return CommandLine(
            {
                **self.pipeline.trueup.settings,
                **reaching_terraform,
                **self.cloud.environment,
                "CONFIG_CONTAINER": config,
                "NO_PROXY": "127.0.0.1,localhost",
                "TF_BINARY": str(self._terraform_that_tells()),
                "PLAN_WORK_FOLDER": str(self.work_folder),
                "PLANS_PER_INSTANCE": str(AT_ONCE),
            }
        )

    def deploy(self, modules: Mapping[str, str]) -> None:
        """Deploys and records a stack for each ``market/stack``, as many pipelines side by side."""

        def deployed(name: str) -> TerraformStack:
            stack = self.pipeline.world.stack(
                self.folder / name.replace("/", "-"),
                key=f"{name}.tfstate",
                container=self.pipeline.containers.states,
                environment=self.cloud.environment,
            )
            return deploy(stack, modules[name])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            self.stacks.update(zip(modules, pool.map(deployed, modules), strict=True))
        self.record(modules)

    def record(self, names: Iterable[str]) -> None:
        commands: list[Command] = []
        for path in names:
            market, _, name = path.rpartition("/")
            commands.append((recording(self.stacks[path], *IN_A_NEW_MARKET, name=name, market=market), {}))
        for ended in run_many(commands, self.pipeline.trueup.settings):
            assert ended.status == 0, ended.stderr

    def check(self, *options: str, environment: Mapping[str, str] = _NOTHING) -> Checked:
        """In a process of its own, as a person or a pipeline calls it."""
        return Checked(self.command.run("drift", "check", *options, environment=environment))

    def check_all(self, runs: Mapping[str, Command]) -> dict[str, Checked]:
        """Several runs one after another, each by a name, with its options and its own environment."""
        commands = [(("drift", "check", *options), environment) for options, environment in runs.values()]
        return dict(zip(runs, map(Checked, run_many(commands, self.command.settings)), strict=True))

    def terraform_commands(self) -> list[str]:
        """How Terraform was started, a line each."""
        log = self.folder / "terraform.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def states(self) -> dict[str, BlobFacts]:
        """All that storage says of each state there is."""
        container = self.pipeline.containers.states
        client = self.pipeline.world.blob_service.get_container_client(container)
        return {
            name: self.pipeline.world.state_blob(name, container=container).facts() for name in client.list_blob_names()
        }

    def rows(self, table: str) -> list[dict[str, Any]]:
        connection = self.pipeline.world.azurite.connection_string
        with TableServiceClient.from_connection_string(connection, **self.pipeline.trust) as service:
            try:
                return [dict(row) for row in service.get_table_client(table).list_entities()]
            except ResourceNotFoundError:
                return []

    def messages(self) -> list[JsonObject]:
        """What is in the queue, which stays there."""
        with self._queues() as service:
            queue = service.get_queue_client(QUEUE, message_decode_policy=TextBase64DecodePolicy())
            try:
                return [json.loads(message.content) for message in queue.peek_messages(max_messages=32)]
            except ResourceNotFoundError:
                return []

    def forget(self) -> None:
        """Leaves the account without checks, heals and messages; its other tables are the pipeline's to remove."""
        connection = self.pipeline.world.azurite.connection_string
        with TableServiceClient.from_connection_string(connection, **self.pipeline.trust) as service:
            for table in (PLAN_CHECKS_TABLE, HEALS_TABLE, HEAL_LEVERS_TABLE):
                with suppress(ResourceNotFoundError):
                    service.delete_table(table)
        with self._queues() as queues, suppress(ResourceNotFoundError):
            queues.delete_queue(QUEUE)

    def _queues(self) -> QueueServiceClient:
        connection = self.pipeline.world.azurite.connection_string
        return QueueServiceClient.from_connection_string(connection, **self.pipeline.trust)

    def _terraform_that_tells(self) -> Path:
        """The real one behind a script that writes down its arguments."""
        script = self.folder / "terraform"
        text = _TERRAFORM_THAT_TELLS.format(log=self.folder / "terraform.log", terraform=self.pipeline.world.executable)
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)
        return script


@dataclass(frozen=True, slots=True)
class Checked:
    """What one `drift check` answered."""

    ended: Ended

    @property
    def status(self) -> int:
        return self.ended.status

    @property
    def report(self) -> JsonObject:
        return self.ended.answer

    @property
    def names(self) -> list[str]:
        return [f"{one['market']}/{one['stack']}" for one in self.report["results"]]

    def of(self, path: str) -> JsonObject:
        (found,) = [one for one in self.report["results"] if f"{one['market']}/{one['stack']}" == path]
        return dict(found)


@contextmanager
def checked_estate(world: TerraformWorld, folder: Path) -> Iterator[CheckedEstate]:
    """An empty one. In the end nothing may be left in the folder in which Terraform worked."""
    work_folder = Path(tempfile.mkdtemp(prefix="w-"))
    with pipeline_in(world) as pipeline:
        estate = CheckedEstate(pipeline, make_sim_cloud(folder / "cloud"), folder, work_folder)
        estate.forget()
        try:
            yield estate
            left = list(work_folder.iterdir())
            assert left == []
        finally:
            estate.forget()
            shutil.rmtree(work_folder)
