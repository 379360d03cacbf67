"""Estates to measure on: as many stacks as asked, ten to a market, all healthy, with states of a chosen size."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from azure.storage.blob import BlobServiceClient

from adapters.record_reader import Containers

STACKS_PER_MARKET = 10
SERIAL = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchEstate:
    """An estate in containers of its own, so that several stand side by side in one account."""

    name: str
    stacks: int
    state_bytes: int

    @property
    def containers(self) -> Containers:
        return Containers(
            registry=f"registry-{self.name}", trackers=f"trackers-{self.name}", states=f"tfstate-{self.name}"
        )

    def environment(self) -> dict[str, str]:
        """The settings that have trueup find this estate."""
        containers = self.containers
        return {
            "REGISTRY_CONTAINER": containers.registry,
            "TRACKERS_CONTAINER": containers.trackers,
            "STATES_CONTAINER": containers.states,
        }

    @property
    def state_keys(self) -> list[str]:
        return [f"{market}/{stack}.tfstate" for market, stack in self.names()]

    def names(self) -> Iterator[tuple[str, str]]:
        for number in range(self.stacks):
            market, stack = divmod(number, STACKS_PER_MARKET)
            yield f"market-{market:04d}", f"stack-{stack}"

    def seed(self, service: BlobServiceClient) -> None:
        """Writes every record; the states are as Terraform lays them out, padded by resources to their size."""
        containers = self.containers
        for container in (containers.registry, containers.trackers, containers.states):
            service.create_container(container)
        writes: list[tuple[str, str, bytes]] = []
        markets: dict[str, dict[str, object]] = {}
        for market, stack in self.names():
            lineage = f"lineage-{market}-{stack}"
            key = f"{market}/{stack}.tfstate"
            common = {"lineage": lineage, "serial": SERIAL, "deployed_at": "2026-11-23T05:12:00Z"}
            markets.setdefault(market, {})[stack] = {"state": {"key": key}, **common}
            tracker = {"schema_version": 1, "market": market, "stack": stack, **common}
            writes.append((containers.trackers, f"{market}/{stack}.json", json.dumps(tracker).encode()))
            writes.append((containers.states, key, state_of(lineage, self.state_bytes)))
        for market, stacks in markets.items():
            record = {"schema_version": 1, "market": market, "subscription_id": f"s-{market}", "stacks": stacks}
            writes.append((containers.registry, f"{market}/subscription.json", json.dumps(record).encode()))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda write: service.get_blob_client(write[0], write[1]).upload_blob(write[2]), writes))


def state_of(lineage: str, size_bytes: int) -> bytes:
    """A state as Terraform writes it, of about this size."""
    count = max(1, size_bytes // len(json.dumps(_resource(0), indent=2)))
    head = {"version": 4, "terraform_version": "1.11.4", "serial": SERIAL, "lineage": lineage, "outputs": {}}
    return json.dumps(
        head | {"resources": list(map(_resource, range(count))), "check_results": None}, indent=2
    ).encode()


def _resource(number: int) -> dict[str, object]:
    padding = {"value": "x" * 400, "type": "string"}
    attributes = {"id": f"{number:036d}", "input": padding, "output": padding, "triggers_replace": None}
    return {
        "mode": "managed",
        "type": "terraform_data",
        "name": f"padding_{number}",
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [{"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}],
    }
