"""States that the real Terraform wrote through its azurerm backend, moved as people move them, and what is said of them."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from adapters.azure_blobs import AzureBlobStore
from adapters.azure_results import AzureResultStore
from adapters.record_reader import BlobRecordReader, Containers
from reconcile.market import MarketReconciler
from records.results import Run, StackResult
from records.verdicts import Note, OddOneOut, Verdict
from tests.estates import RULES, delete_tables
from tests.world.state_blob import LockInfo
from tests.world.terraform_backend import TerraformStack, TerraformWorld

pytestmark = pytest.mark.terraform

MARKET = "de"
STACK = "network"
MAIN = """
resource "terraform_data" "vnet" {
  input = "%s"
}
output "vnet" {
  value = %s
}
"""

WAITING = """
resource "terraform_data" "waiting" {
  provisioner "local-exec" {
    command = "until [ -e go-on ]; do sleep 0.05; done"
  }
}
"""


def root_module(address_space: str, output: str = "terraform_data.vnet.output") -> str:
    return MAIN % (address_space, output)


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack that the pipeline deployed and recorded, in containers of its own."""

    world: TerraformWorld
    stack: TerraformStack
    containers: Containers

    def put(self, container: str, blob: str, record: dict[str, Any]) -> None:
        client = self.world.blob_service.get_blob_client(container, blob)
        client.upload_blob(json.dumps(record).encode(), overwrite=True)

    def record(self, *, tier: int = 1) -> None:
        """What a pipeline writes after a deploy, from the state as it is; an older one leaves out more."""
        state = json.loads(self.stack.blob.copy().content)
        facts = self.stack.blob.facts()
        deploy = {"lineage": state["lineage"], "deployed_at": facts.last_modified.isoformat()}
        serial = {"serial": state["serial"]} if tier < 3 else {}
        location = {"key": self.stack.key, "workspace": self.stack.workspace}
        stacks = {STACK: {"state": location} | deploy | serial}
        registry = {"schema_version": 1, "market": MARKET, "subscription_id": "s-1", "stacks": stacks}
        self.put(self.containers.registry, f"{MARKET}/subscription.json", registry)
        if tier == 1:
            tracker = {"schema_version": 1, "market": MARKET, "stack": STACK, "state_md5": facts.content_md5}
            self.put(self.containers.trackers, f"{MARKET}/{STACK}.json", tracker | deploy | serial)

    def put_entry(self, **entry: Any) -> None:
        """A registry record that says this and nothing else of the stack."""
        stacks = {STACK: {"state": {"key": self.stack.key}} | entry}
        registry = {"schema_version": 1, "market": MARKET, "subscription_id": "s-1", "stacks": stacks}
        self.put(self.containers.registry, f"{MARKET}/subscription.json", registry)

    def delete_state(self) -> None:
        self.world.blob_service.get_blob_client(self.containers.states, self.stack.key).delete_blob()

    def reconciled(self, *, now: datetime | None = None, keeps_results: bool = True) -> StackResult:
        return asyncio.run(self._reconcile(now or datetime.now(UTC), keeps_results))

    @property
    def trust(self) -> dict[str, Any]:
        return {"connection_verify": str(self.world.certificate.certificate_file)}

    async def _reconcile(self, now: datetime, keeps_results: bool) -> StackResult:
        azurite, trust = self.world.azurite, self.trust

        def connect(account_url: str | None) -> BlobServiceClient:
            return BlobServiceClient.from_connection_string(azurite.connection_string, **trust)

        blobs = AzureBlobStore(connect, allowed_host_suffixes=())
        tables = TableServiceClient.from_connection_string(azurite.connection_string, **trust)
        reconciler = MarketReconciler(
            records=BlobRecordReader(blobs, self.containers),
            results=AzureResultStore(tables) if keeps_results else None,
            run=Run.named_by(now),
            rules=RULES,
            clock=lambda: now,
        )
        outcome = await reconciler.reconcile(MARKET)
        await blobs.close()
        await tables.close()
        assert outcome.problems == ()
        (result,) = outcome.results
        return result


@contextmanager
def deployed_stack(
    world: TerraformWorld, folder: Path, *, workspace: str = "default", tier: int = 1
) -> Iterator[Deployed]:
    name = folder.name.replace("_", "-").lower()[:40].rstrip("-")
    containers = Containers(registry=f"r-{name}", trackers=f"t-{name}", states=f"s-{name}")
    world.create_containers(containers.registry, containers.trackers, containers.states)
    stack = world.stack(
        folder / "root", key=f"{MARKET}/{STACK}.tfstate", container=containers.states, workspace=workspace
    )
    stack.write(root_module("10.0.0.0/16"))
    stack.init()
    stack.apply()
    deployed = Deployed(world, stack, containers)
    deployed.record(tier=tier)
    try:
        yield deployed
    finally:
        delete_tables(world.azurite.connection_string, **deployed.trust)


@pytest.fixture
def deployed(terraform_world: TerraformWorld, tmp_path: Path) -> Iterator[Deployed]:
    with deployed_stack(terraform_world, tmp_path) as stack:
        yield stack


def apply(stack: TerraformStack, address_space: str) -> None:
    stack.write(root_module(address_space))
    stack.apply()


def test_a_deploy_that_was_recorded_is_healthy(deployed: Deployed) -> None:
    result = deployed.reconciled()
    assert (result.verdict, result.tier) == (Verdict.HEALTHY, 1)
    assert result.serials.state == deployed.stack.serial()


def test_an_apply_outside_the_pipeline_is_drift_by_as_many_serials(deployed: Deployed) -> None:
    apply(deployed.stack, "10.1.0.0/16")
    apply(deployed.stack, "10.2.0.0/16")
    result = deployed.reconciled()
    assert (result.verdict, result.odd_one_out, result.serial_delta) == (Verdict.PIPELINE_DRIFT, OddOneOut.STATE, 2)


def test_a_state_mv_is_drift_by_one_serial(deployed: Deployed) -> None:
    deployed.stack.state_mv("terraform_data.vnet", "terraform_data.hub")
    result = deployed.reconciled()
    assert (result.verdict, result.serial_delta) == (Verdict.PIPELINE_DRIFT, 1)


def test_a_refresh_only_apply_that_wrote_an_output_is_drift(deployed: Deployed) -> None:
    deployed.stack.write(root_module("10.0.0.0/16", '"renamed"'))
    deployed.stack.refresh_only_apply()
    result = deployed.reconciled()
    assert (result.verdict, result.serial_delta) == (Verdict.PIPELINE_DRIFT, 1)


def test_an_apply_that_changed_nothing_is_healthy(deployed: Deployed) -> None:
    deployed.stack.apply()
    assert deployed.reconciled().verdict is Verdict.HEALTHY


@pytest.mark.parametrize("tier", [1, 2, 3])
def test_a_plan_that_only_took_the_lock_is_healthy(tier: int, terraform_world: TerraformWorld, tmp_path: Path) -> None:
    with deployed_stack(terraform_world, tmp_path, tier=tier) as deployed:
        before = deployed.stack.blob.facts()
        assert deployed.reconciled().verdict is Verdict.HEALTHY
        deployed.stack.plan(lock=True)
        assert deployed.stack.blob.facts().etag != before.etag
        result = deployed.reconciled()
        assert (result.verdict, result.tier) == (Verdict.HEALTHY, tier)
        assert result.state_changed_at == before.last_modified


def test_an_older_blob_put_back_is_a_rollback_by_as_many_serials(deployed: Deployed) -> None:
    older = deployed.stack.blob.copy()
    for address_space in ("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"):
        apply(deployed.stack, address_space)
    deployed.record()
    deployed.stack.blob.put_back(older)
    result = deployed.reconciled()
    assert (result.verdict, result.odd_one_out, result.serial_delta) == (
        Verdict.STATE_ROLLED_BACK, OddOneOut.STATE, -3,
    )  # fmt: skip


def test_another_apply_on_an_older_blob_is_a_fork(deployed: Deployed) -> None:
    older = deployed.stack.blob.copy()
    apply(deployed.stack, "10.1.0.0/16")
    deployed.record()
    deployed.stack.blob.put_back(older)
    apply(deployed.stack, "10.9.0.0/16")
    result = deployed.reconciled()
    assert (result.verdict, result.serial_delta) == (Verdict.STATE_FORKED, 0)
    assert result.evidence.state.md5 != result.evidence.tracker.state_md5


def test_the_same_content_uploaded_without_its_md5_is_healthy(deployed: Deployed) -> None:
    blob = deployed.world.blob_service.get_blob_client(deployed.containers.states, deployed.stack.key)
    blob.set_http_headers()
    assert deployed.stack.blob.facts().content_md5 is None
    assert deployed.reconciled().verdict is Verdict.HEALTHY


def test_a_state_that_was_deleted_is_missing_and_one_made_anew_is_of_another_lineage(deployed: Deployed) -> None:
    deployed.delete_state()
    assert deployed.reconciled().verdict is Verdict.STATE_MISSING
    deployed.stack.init()
    result = deployed.reconciled()
    assert (result.verdict, result.odd_one_out) == (Verdict.LINEAGE_MISMATCH, OddOneOut.STATE)


def test_a_lock_that_terraform_would_take_masks_drift_while_it_is_young(deployed: Deployed) -> None:
    apply(deployed.stack, "10.1.0.0/16")
    now = datetime.now(UTC)
    with deployed.stack.blob.held_lock(LockInfo.make(who="alice@laptop", created=now - timedelta(minutes=5))):
        young = deployed.reconciled(now=now)
        old = deployed.reconciled(now=now + timedelta(hours=2))
    assert (young.verdict, young.masked_verdict) == (Verdict.IN_FLIGHT, Verdict.PIPELINE_DRIFT)
    assert (old.verdict, old.notes) == (Verdict.PIPELINE_DRIFT, (Note.STALE_LOCK,))
    assert "alice@laptop" in old.summary
    assert deployed.reconciled().notes == ()


def test_a_workspaces_state_is_found_where_the_backend_put_it(terraform_world: TerraformWorld, tmp_path: Path) -> None:
    with deployed_stack(terraform_world, tmp_path, workspace="prod") as deployed:
        result = deployed.reconciled()
        assert (result.verdict, result.evidence.state.blob) == (Verdict.HEALTHY, "de/network.tfstateenv:prod")


@pytest.mark.parametrize(("tier", "delta"), [(2, 1), (3, None)])
def test_without_a_tracker_drift_is_found_and_nobody_is_blamed(
    tier: int, delta: int | None, terraform_world: TerraformWorld, tmp_path: Path
) -> None:
    with deployed_stack(terraform_world, tmp_path, tier=tier) as deployed:
        if tier == 3:
            deployed.put_entry(deployed_at="2026-01-01T00:00:00Z")
        apply(deployed.stack, "10.1.0.0/16")
        result = deployed.reconciled()
        assert (result.tier, result.verdict, result.odd_one_out, result.serial_delta) == (
            tier, Verdict.PIPELINE_DRIFT, OddOneOut.UNDETERMINED, delta,
        )  # fmt: skip


@pytest.mark.parametrize("evidence", ["an earlier run", "a snapshot"])
def test_by_times_alone_a_plan_s_lock_is_no_change_of_a_state_that_was_seen_before(
    evidence: str, terraform_world: TerraformWorld, tmp_path: Path
) -> None:
    with deployed_stack(terraform_world, tmp_path, tier=3) as deployed:
        before = deployed.stack.blob.facts()
        # As far apart as is still healthy: a single second later it no longer is.
        deployed.put_entry(deployed_at=(before.last_modified - timedelta(seconds=300)).isoformat())
        if evidence == "a snapshot":
            deployed.stack.blob.client.create_snapshot()
        assert deployed.reconciled(keeps_results=evidence == "an earlier run").verdict is Verdict.HEALTHY
        wait_for_next_second(before.last_modified)
        deployed.stack.plan(lock=True)
        assert deployed.stack.blob.facts().last_modified > before.last_modified
        result = deployed.reconciled(keeps_results=evidence == "an earlier run")
        assert (result.verdict, result.state_changed_at) == (Verdict.HEALTHY, before.last_modified)
        if evidence == "an earlier run":
            assert deployed.reconciled(keeps_results=False).verdict is Verdict.PIPELINE_DRIFT


def test_while_terraform_applies_the_drift_before_it_is_in_flight(deployed: Deployed) -> None:
    apply(deployed.stack, "10.1.0.0/16")
    deployed.stack.write(root_module("10.2.0.0/16") + WAITING)
    with ThreadPoolExecutor() as pool:
        applying = pool.submit(deployed.stack.apply)
        try:
            wait_for(lambda: bool(deployed.stack.blob.facts().metadata))
            running = deployed.reconciled()
        finally:
            (deployed.stack.folder / "go-on").touch()
        applying.result()
    assert (running.verdict, running.masked_verdict) == (Verdict.IN_FLIGHT, Verdict.PIPELINE_DRIFT)
    lock = running.evidence.state.lock
    assert lock is not None
    assert lock.operation == "OperationTypeApply"
    ended = deployed.reconciled()
    assert ended.verdict is Verdict.PIPELINE_DRIFT
    assert (ended.serial_delta or 0) >= 2


def test_while_terraform_plans_a_healthy_stack_is_healthy(deployed: Deployed) -> None:
    with deployed.stack.blob.held_lock(LockInfo.make(operation="OperationTypePlan")):
        result = deployed.reconciled()
    assert (result.verdict, result.notes) == (Verdict.HEALTHY, ())


def test_a_destroyed_stack_is_drift_and_missing_once_its_blob_is_gone(deployed: Deployed) -> None:
    deployed.stack.destroy()
    result = deployed.reconciled()
    assert (result.verdict, result.odd_one_out) == (Verdict.PIPELINE_DRIFT, OddOneOut.STATE)
    deployed.delete_state()
    result = deployed.reconciled()
    assert (result.verdict, result.odd_one_out, result.serial_delta) == (Verdict.STATE_MISSING, OddOneOut.STATE, None)


def test_a_first_deploy_that_has_only_taken_its_lock_is_in_flight_and_nothing_once_it_is_given_up(
    terraform_world: TerraformWorld, tmp_path: Path
) -> None:
    with deployed_stack(terraform_world, tmp_path, tier=3) as deployed:
        deployed.put_entry()
        deployed.delete_state()
        with deployed.stack.blob.held_lock():
            assert deployed.stack.blob.facts().size_bytes == 0
            taken = deployed.reconciled()
        given_up = deployed.reconciled()
    assert (taken.verdict, taken.masked_verdict) == (Verdict.IN_FLIGHT, Verdict.NOT_DEPLOYED)
    assert given_up.verdict is Verdict.NOT_DEPLOYED


def test_a_restored_state_s_lock_that_nobody_ended_is_told_beside_the_rollback(deployed: Deployed) -> None:
    older = deployed.stack.blob.copy()
    apply(deployed.stack, "10.1.0.0/16")
    deployed.record()
    deployed.stack.blob.put_back(older)
    orphan = deployed.stack.blob.take_lock(
        LockInfo.make(who="killed@agent", created=datetime.now(UTC) - timedelta(days=2))
    )
    result = deployed.reconciled()
    orphan.release()
    assert (result.verdict, result.notes) == (Verdict.STATE_ROLLED_BACK, (Note.STALE_LOCK,))
    assert "killed@agent" in result.summary


def wait_for_next_second(moment: datetime) -> None:
    """Last-Modified counts whole seconds."""
    wait_for(lambda: datetime.now(UTC) >= moment + timedelta(seconds=1.05))


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
