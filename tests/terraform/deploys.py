"""A pipeline that deploys with the real Terraform and records with the real command line, in containers of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient

from adapters.record_reader import Containers
from adapters.table_names import RECORD_LOG_TABLE
from tests.estates import delete_tables, fresh_containers
from tests.world.commands import CommandLine, Ended
from tests.world.state_blob import StateBlob
from tests.world.terraform_backend import TerraformFailedError, TerraformStack, TerraformWorld

MARKET: Final = "de"
STACK: Final = "network"
SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000001"
IN_A_NEW_MARKET: Final = ("--subscription-id", SUBSCRIPTION)
JsonObject = dict[str, Any]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_VNET: Final = """
resource "terraform_data" "vnet" {
  input = "%s"
}
"""
_FAILS: Final = """
resource "terraform_data" "fails" {
  depends_on = [terraform_data.vnet]
  provisioner "local-exec" {
    command = "exit 1"
  }
}
"""
_REFUSED: Final = """
resource "terraform_data" "refused" {
  lifecycle {
    precondition {
      condition     = terraform_data.vnet.input != "%s"
      error_message = "refused"
    }
  }
}
"""
_MODULE: Final = 'module "vault" {\n  source = "./modules/vault"\n}\n'


def vnet(address_space: str) -> str:
    return _VNET % address_space


def moves_the_state_and_fails(address_space: str) -> str:
    return vnet(address_space) + _FAILS


def fails_before_it_moves_the_state(address_space: str) -> str:
    return vnet(address_space) + _REFUSED % address_space


def with_a_module(root: Path, main_tf: str) -> str:
    """The root module's text with a call of a module of its own, which this writes."""
    module = root / "modules/vault"
    module.mkdir(parents=True, exist_ok=True)
    (module / "main.tf").write_text('resource "terraform_data" "vault" {}\n', encoding="utf-8")
    return main_tf + _MODULE


@dataclass(frozen=True, slots=True)
class Recorded:
    """The records of one stack, as they are in storage."""

    tracker: JsonObject
    entry: JsonObject


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Deploys and records; whatever else happens to an estate is done to its containers."""

    world: TerraformWorld
    containers: Containers
    trueup: CommandLine

    def stack(
        self, folder: Path, *, name: str = STACK, market: str = MARKET, workspace: str = "default"
    ) -> TerraformStack:
        return self.world.stack(
            folder, key=f"{market}/{name}.tfstate", container=self.containers.states, workspace=workspace
        )

    def record(
        self,
        stack: TerraformStack,
        *options: str,
        name: str = STACK,
        market: str = MARKET,
        environment: Mapping[str, str] = _NOTHING,
    ) -> JsonObject:
        """Records what is deployed in the stack's folder; returns what the command answered.

        The subscription is a pipeline's own where ``environment`` has one.
        """
        options = options if environment else (*IN_A_NEW_MARKET, *options)
        ended = self.trueup.run(*recording(stack, *options, name=name, market=market), environment=environment)
        assert ended.status == 0, ended.stderr
        return ended.answer

    def reconciled(self) -> Report:
        return Report(self.trueup.run("reconcile"))

    def records(self, *, name: str = STACK, market: str = MARKET) -> Recorded:
        return Recorded(tracker=self.tracker(name=name, market=market), entry=self.registry(market)["stacks"][name])

    def tracker(self, *, name: str = STACK, market: str = MARKET) -> JsonObject:
        return self._json(self.containers.trackers, f"{market}/{name}.json")

    def registry(self, market: str = MARKET) -> JsonObject:
        return self._json(self.containers.registry, f"{market}/subscription.json")

    def put(self, container: str, blob: str, record: JsonObject) -> None:
        self.world.blob_service.get_blob_client(container, blob).upload_blob(json.dumps(record), overwrite=True)

    def state(self, market: str, name: str = STACK) -> StateBlob:
        return self.world.state_blob(f"{market}/{name}.tfstate", container=self.containers.states)

    def bundles(self, market: str = MARKET) -> list[str]:
        client = self.world.blob_service.get_container_client(self.containers.bundles)
        return list(client.list_blob_names(name_starts_with=f"{market}/"))

    def has_its_bundle(self, tracker: JsonObject) -> bool:
        """Whether the bundle that a tracker names is there and has the hash that it gives; true where it names none."""
        bundle = tracker.get("bundle")
        if bundle is None:
            return True
        client = self.world.blob_service.get_blob_client(self.containers.bundles, bundle["blob"])
        try:
            content = client.download_blob().readall()
        except ResourceNotFoundError:
            return False
        return bool(hashlib.sha256(content).hexdigest() == bundle["sha256"])

    def logged(self, market: str = MARKET) -> list[JsonObject]:
        """The rows of the log, newest first."""
        with TableServiceClient.from_connection_string(self.world.azurite.connection_string, **self.trust) as service:
            log = service.get_table_client(RECORD_LOG_TABLE)
            rows = log.query_entities("PartitionKey eq @market", parameters={"market": market})
            return [dict(row) for row in rows]

    @property
    def trust(self) -> dict[str, Any]:
        return {"connection_verify": str(self.world.certificate.certificate_file)}

    def _json(self, container: str, blob: str) -> JsonObject:
        content = self.world.blob_service.get_blob_client(container, blob).download_blob().readall()
        record: JsonObject = json.loads(content)
        return record


@dataclass(frozen=True, slots=True)
class Report:
    """What `reconcile` reported of the whole estate."""

    ended: Ended

    @property
    def status(self) -> int:
        return self.ended.status

    @property
    def verdicts(self) -> dict[str, str]:
        """By ``market/stack``."""
        return {f"{result['market']}/{result['stack']}": result["verdict"] for result in self.ended.answer["results"]}

    @property
    def unregistered_states(self) -> list[str]:
        return list(self.ended.answer["unregistered_states"])

    @property
    def problems(self) -> list[JsonObject]:
        return list(self.ended.answer["problems"])

    def of(self, market: str = MARKET, name: str = STACK) -> JsonObject:
        (found,) = [one for one in self.ended.answer["results"] if (one["market"], one["stack"]) == (market, name)]
        return dict(found)

    def serials(self, market: str = MARKET, name: str = STACK) -> tuple[int, int, int]:
        """Of state, tracker and registry."""
        said = self.of(market, name)["serials"]
        return said["state"], said["tracker"], said["registry"]


@contextmanager
def pipeline_in(world: TerraformWorld) -> Iterator[Pipeline]:
    """Containers that no other test has used; the tables, whose names are fixed, are gone afterwards."""
    containers = fresh_containers()
    world.create_containers(containers.registry, containers.trackers, containers.states, containers.bundles)
    settings = {
        "ESTATE_CONNECTION_STRING": world.azurite.connection_string,
        "SSL_CERT_FILE": str(world.certificate.certificate_file),
        "REGISTRY_CONTAINER": containers.registry,
        "TRACKERS_CONTAINER": containers.trackers,
        "STATES_CONTAINER": containers.states,
        "BUNDLES_CONTAINER": containers.bundles,
        "REREAD_DELAY_SECONDS": "0",
    }
    pipeline = Pipeline(world, containers, CommandLine(settings))
    try:
        yield pipeline
    finally:
        delete_tables(world.azurite.connection_string, **pipeline.trust)


def recording(stack: TerraformStack, *options: str, name: str = STACK, market: str = MARKET) -> tuple[str, ...]:
    """The command that records what is deployed in the stack's folder."""
    return ("record", "--market", market, "--stack", name, "--bundle", str(stack.folder), *options)


def deploy(stack: TerraformStack, main_tf: str) -> TerraformStack:
    """Deploys a stack for the first time."""
    stack.write(main_tf)
    stack.init()
    stack.apply()
    return stack


def apply(stack: TerraformStack, main_tf: str) -> None:
    stack.write(main_tf)
    stack.apply()


def apply_fails(stack: TerraformStack, main_tf: str) -> None:
    try:
        apply(stack, main_tf)
    except TerraformFailedError:
        return
    raise AssertionError("the apply was to fail")


def deploy_to_a_file(world: TerraformWorld, folder: Path, state_file: Path, main_tf: str) -> TerraformStack:
    """Deploys a stack whose state is a file. Its blob, which every stack has, is not there."""
    stack = world.stack(folder, key=str(state_file))
    stack.write(main_tf)
    backend = f'terraform {{\n  backend "local" {{\n    path = "{state_file}"\n  }}\n}}\n'
    (folder / "backend.tf").write_text(backend, encoding="utf-8")
    stack.run("init")
    stack.apply()
    return stack
