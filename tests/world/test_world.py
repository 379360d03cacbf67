"""Proofs that the world is real: what other tests take for granted of Terraform, Azurite and the proxies."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.data.tables import TableServiceClient, TransactionOperation
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    LinearRetry,
    generate_blob_sas,
)

from tests.world import azurite as azurite_module
from tests.world.azurite import (
    Azurite,
    AzuriteDidNotStartError,
    AzuriteNotInstalledError,
    StorageAccount,
    run_azurite,
)
from tests.world.certificates import Certificate
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import Action, AnswerStatus, CutBody, Delay, LoseAnswer, on
from tests.world.state_blob import LOCK_METADATA_KEY, LockInfo, StateBlob
from tests.world.terraform_backend import TerraformFailedError, TerraformStack, TerraformWorld

ONE_RESOURCE = """
resource "terraform_data" "first" {
  input = "red"
}
output "colour" {
  value = terraform_data.first.output
}
"""
ANOTHER_COLOUR = ONE_RESOURCE.replace("red", "blue")
WAITING_RESOURCE = """
resource "terraform_data" "waiting" {
  provisioner "local-exec" {
    command = "until [ -e go-on ]; do sleep 0.05; done"
  }
}
"""
ONE_MORE_OUTPUT = ONE_RESOURCE + 'output "size" {\n  value = 3\n}\n'


@pytest.fixture
def stack(terraform_world: TerraformWorld, tmp_path: Path) -> TerraformStack:
    """A stack that is applied once, in a state of its own."""
    made = terraform_world.stack(tmp_path / "stack", key=f"{uuid.uuid4()}/network.tfstate")
    made.write(ONE_RESOURCE)
    made.init()
    made.apply()
    return made


@pytest.fixture
def container(azurite: Azurite, fault_proxy: FaultProxy) -> Iterator[ContainerClient]:
    """A fresh container, through the fault proxy, with a client that retries without waiting."""
    connection_string = azurite.connection_string_through(blob_url=fault_proxy.url)
    with BlobServiceClient.from_connection_string(
        connection_string, retry_policy=LinearRetry(backoff=0, random_jitter_range=0)
    ) as service:
        yield service.create_container(f"world-{uuid.uuid4()}")


class TestTerraformBackend:
    def test_init_alone_leaves_a_state_without_resources_at_serial_one(
        self, terraform_world: TerraformWorld, tmp_path: Path
    ) -> None:
        stack = terraform_world.stack(tmp_path, key=f"{uuid.uuid4()}.tfstate")
        stack.write(ONE_RESOURCE)
        assert not stack.blob.exists()
        stack.init()
        state = json.loads(stack.blob.copy().content)
        assert (state["serial"], state["resources"]) == (1, [])

    def test_an_apply_that_changes_something_raises_the_serial_by_one(self, stack: TerraformStack) -> None:
        state = json.loads(stack.blob.copy().content)
        assert state["serial"] == 2
        assert state == stack.state_pull()
        assert stack.output() == {"colour": "red"}
        stack.write(ANOTHER_COLOUR)
        stack.apply()
        assert (stack.serial(), stack.state_pull()["lineage"]) == (3, state["lineage"])

    def test_a_plan_with_the_lock_moves_etag_and_last_modified_and_not_the_content(self, stack: TerraformStack) -> None:
        before = stack.blob.facts()
        _wait_for_next_second(before.last_modified)
        assert not stack.plan().has_changes
        after = stack.blob.facts()
        assert after.etag != before.etag
        assert after.last_modified > before.last_modified
        assert replace(after, etag=before.etag, last_modified=before.last_modified) == before
        assert stack.serial() == 2

    def test_a_plan_without_the_lock_moves_nothing(self, stack: TerraformStack) -> None:
        before = stack.blob.facts()
        stack.write(ANOTHER_COLOUR)
        assert stack.plan(lock=False).has_changes
        assert stack.blob.facts() == before

    def test_a_refresh_only_apply_raises_the_serial_only_when_it_has_something_to_record(
        self, stack: TerraformStack
    ) -> None:
        stack.refresh_only_apply()
        assert stack.serial() == 2
        stack.write(ONE_MORE_OUTPUT)
        stack.refresh_only_apply()
        assert stack.serial() == 3
        assert stack.output() == {"colour": "red", "size": 3}

    def test_a_state_mv_raises_the_serial_and_changes_the_content(self, stack: TerraformStack) -> None:
        before = stack.blob.facts()
        stack.state_mv("terraform_data.first", "terraform_data.second")
        assert stack.serial() == 3
        assert stack.blob.facts().content_md5 != before.content_md5

    def test_a_restored_older_blob_takes_the_serial_back(self, stack: TerraformStack) -> None:
        before, older = stack.blob.facts(), stack.blob.copy()
        stack.write(ANOTHER_COLOUR)
        plan_file = stack.plan(out=stack.folder / "saved.tfplan").file
        stack.apply(plan_file=plan_file)
        assert stack.serial() == 3
        stack.blob.put_back(older)
        after = stack.blob.facts()
        assert stack.serial() == 2
        assert (after.content_md5, after.size_bytes) == (before.content_md5, before.size_bytes)
        assert after.etag != before.etag

    def test_a_pushed_state_is_refused_when_its_serial_is_older_unless_forced(self, stack: TerraformStack) -> None:
        older = {**stack.state_pull(), "serial": 1}
        stack.write(ANOTHER_COLOUR)
        stack.apply()
        assert stack.serial() == 3
        with pytest.raises(TerraformFailedError, match="serial 1 over newer state with serial 3"):
            stack.state_push(older)
        stack.state_push(older, force=True)
        assert stack.serial() == 2
        assert stack.output() == {"colour": "red"}

    def test_a_held_lease_fails_a_plan_with_the_holder_s_name(self, stack: TerraformStack) -> None:
        lock = LockInfo.make(who="someone@laptop")
        with stack.blob.held_lock(lock):
            facts = stack.blob.facts()
            assert (facts.lease_state, facts.lease_status) == ("leased", "locked")
            with pytest.raises(TerraformFailedError, match="state blob is already locked") as failed:
                stack.plan()
            assert lock.lock_id in failed.value.stderr
            assert "someone@laptop" in failed.value.stderr
            assert not stack.plan(lock=False).has_changes
        facts = stack.blob.facts()
        assert (facts.lease_state, facts.metadata) == ("available", ())
        assert not stack.plan().has_changes

    def test_a_taken_lock_looks_as_terraform_s_own_does(self, stack: TerraformStack) -> None:
        stack.write(WAITING_RESOURCE)
        with ThreadPoolExecutor() as pool:
            applying = pool.submit(stack.apply)
            try:
                real = _wait_for_lock(stack.blob)
            finally:
                (stack.folder / "go-on").touch()
            applying.result()
        with stack.blob.held_lock():
            ours = _wait_for_lock(stack.blob)
        assert ours.keys() == real.keys()
        assert [ours[name] for name in ("Operation", "Path")] == [real[name] for name in ("Operation", "Path")]
        assert len(ours["Created"]) == len("2026-11-24T03:38:03.909396519Z") >= len(real["Created"])

    def test_terraform_can_force_an_orphaned_lock_open(self, stack: TerraformStack) -> None:
        orphan = stack.blob.take_lock(LockInfo.make())
        assert [name for name, _ in stack.blob.facts().metadata] == [LOCK_METADATA_KEY]
        stack.run("force-unlock", "-force", orphan.info.lock_id)
        assert (stack.blob.facts().lease_state, stack.blob.facts().metadata) == ("available", ())

    def test_a_workspace_has_a_blob_of_its_own(self, terraform_world: TerraformWorld, tmp_path: Path) -> None:
        key = f"{uuid.uuid4()}.tfstate"
        stack = terraform_world.stack(tmp_path, key=key, workspace="prod")
        stack.write(ONE_RESOURCE)
        stack.init()
        stack.apply()
        assert stack.blob.client.blob_name == f"{key}env:prod"
        assert json.loads(stack.blob.copy().content)["serial"] == stack.serial() == 2

    def test_a_failing_command_shows_what_terraform_said(self, stack: TerraformStack) -> None:
        stack.write('output "broken" { value = nothing.at.all }')
        with pytest.raises(TerraformFailedError, match="Reference to undeclared resource"):
            stack.plan()

    def test_the_proxy_refuses_every_host_but_blob_storage(self, terraform_world: TerraformWorld) -> None:
        proxy = terraform_world.proxy
        hosts = ("registry.terraform.io", "blob.core.windows.net.example.com")
        already = len(proxy.refused)
        for host in hosts:
            connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=10)
            connection.set_tunnel(host, 443)
            with pytest.raises(OSError, match="403 Forbidden"):
                connection.request("GET", "/")
            connection.close()
        assert proxy.refused[already:] == [f"{host}:443" for host in hosts]


class TestAzurite:
    def test_every_account_it_was_given_is_served(self) -> None:
        accounts = [StorageAccount.generate("marketde"), StorageAccount.generate("marketfr")]
        with run_azurite(accounts=accounts) as several:
            for account in accounts:
                connection_string = several.seen_from(account.name).connection_string
                with BlobServiceClient.from_connection_string(connection_string) as service:
                    service.create_container(f"only-{account.name}")
                    assert [found.name for found in service.list_containers()] == [f"only-{account.name}"]
            with pytest.raises(KeyError):
                several.seen_from("nobody")

    def test_a_missing_install_names_the_command_to_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(azurite_module, "_AZURITE_MAIN", Path("/nowhere/azurite.js"))
        with pytest.raises(AzuriteNotInstalledError, match="npm ci --prefix tests/world"), run_azurite():
            pass

    def test_a_start_that_fails_shows_what_azurite_printed(self, tmp_path: Path) -> None:
        absent = Certificate(certificate_file=tmp_path / "absent.pem", key_file=tmp_path / "absent.key")
        with pytest.raises(AzuriteDidNotStartError, match=r"absent\.pem"), run_azurite(certificate=absent):
            pass


class TestFaultProxy:
    def test_an_sdk_client_retries_a_503_until_it_is_served(
        self, container: ContainerClient, fault_proxy: FaultProxy
    ) -> None:
        blob = container.get_blob_client("de/network and more.tfstate")
        blob.upload_blob(b"state")
        busy = AnswerStatus(503, "ServerBusy", retry_after_seconds=1)
        fault_proxy.inject(on("GET", "*.tfstate"), busy, times=2)
        assert blob.download_blob().readall() == b"state"
        reads = [exchange.status for exchange in fault_proxy.exchanges if exchange.request.method == "GET"]
        assert reads == [503, 503, 206]

    @pytest.mark.parametrize("method", ["get_blob_properties", "download_blob"])
    def test_an_error_for_ever_reaches_the_client_with_its_code(
        self, container: ContainerClient, fault_proxy: FaultProxy, method: str
    ) -> None:
        rule = fault_proxy.inject(on(), AnswerStatus(403, "AuthorizationFailure"))
        with pytest.raises(HttpResponseError) as refused:
            getattr(container.get_blob_client("any"), method)()
        assert (refused.value.status_code, refused.value.error_code) == (403, "AuthorizationFailure")  # type: ignore[attr-defined]
        assert (rule.used, rule.is_spent) == (1, False)

    @pytest.mark.parametrize(
        ("action", "received_bytes"),
        [(CutBody(), 500), (CutBody(after_bytes=10), 10), (CutBody(after_bytes=0), 0)],
        ids=["half of the body", "ten bytes", "the headers only"],
    )
    def test_a_cut_body_is_seen_by_a_raw_client(
        self,
        azurite: Azurite,
        container: ContainerClient,
        fault_proxy: FaultProxy,
        action: Action,
        received_bytes: int,
    ) -> None:
        blob = container.get_blob_client("cut")
        blob.upload_blob(b"x" * 1000)
        token = generate_blob_sas(
            azurite.account_name,
            container.container_name,
            "cut",
            account_key=azurite.account_key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        connection = http.client.HTTPConnection("127.0.0.1", fault_proxy.port, timeout=10)
        fault_proxy.inject(on("GET", "*/cut"), action)
        connection.request("GET", f"/{azurite.account_name}/{container.container_name}/cut?{token}")
        with pytest.raises(http.client.IncompleteRead) as cut:
            connection.getresponse().read()
        connection.close()
        assert len(cut.value.partial) == received_bytes == fault_proxy.body_bytes(on("GET", "*/cut"))

    def test_a_lost_answer_leaves_the_write_done(self, container: ContainerClient, fault_proxy: FaultProxy) -> None:
        fault_proxy.inject(on("PUT", "*/once"), LoseAnswer(), times=1)
        # The SDK's own second try finds what its first try wrote.
        with pytest.raises(ResourceExistsError):
            container.upload_blob("once", b"written", overwrite=False)
        assert container.download_blob("once").readall() == b"written"

    def test_a_delay_is_waited_for(self, container: ContainerClient, fault_proxy: FaultProxy) -> None:
        fault_proxy.inject(on("GET", comp="list"), Delay(0.3), times=1)
        started = time.monotonic()
        assert list(container.list_blob_names()) == []
        assert time.monotonic() - started >= 0.3

    def test_the_bytes_of_a_ranged_read_are_counted_per_path(
        self, container: ContainerClient, fault_proxy: FaultProxy
    ) -> None:
        blob = container.get_blob_client("large.tfstate")
        blob.upload_blob(b"x" * 100_000)
        fault_proxy.forget()
        head = blob.download_blob(offset=0, length=2048)
        assert len(head.readall()) == 2048
        assert fault_proxy.count(on("GET", "*/large.tfstate")) == 1
        assert fault_proxy.body_bytes(on(path="*/large.tfstate")) == 2048
        whole_md5 = bytearray(hashlib.md5(b"x" * 100_000, usedforsecurity=False).digest())
        assert head.properties.content_settings.content_md5 == whole_md5

    def test_a_throttled_table_transaction_is_retried(self, azurite: Azurite, table_fault_proxy: FaultProxy) -> None:
        connection_string = azurite.connection_string_through(table_url=table_fault_proxy.url)
        with TableServiceClient.from_connection_string(connection_string, retry_backoff_factor=0) as service:
            table = service.create_table(f"world{uuid.uuid4().hex}")
            batch = on("POST", "*/$batch")
            table_fault_proxy.inject(batch, AnswerStatus(503, "ServerBusy"), times=1)
            rows = [{"PartitionKey": "emea|fr", "RowKey": str(row)} for row in range(3)]
            table.submit_transaction([(TransactionOperation.UPSERT, row) for row in rows])
            assert len(list(table.query_entities("PartitionKey eq 'emea|fr'"))) == 3
            assert table_fault_proxy.count(batch) == 2


def _wait_for_lock(blob: StateBlob) -> dict[str, str]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for name, value in blob.facts().metadata:
            if name == LOCK_METADATA_KEY:
                lock: dict[str, str] = json.loads(base64.b64decode(value))
                return lock
        time.sleep(0.05)
    raise AssertionError(f"no {LOCK_METADATA_KEY} on the blob: {blob.facts()}")


def _wait_for_next_second(moment: datetime) -> None:
    # Last-Modified counts whole seconds, so two writes within one second would look like none.
    while datetime.now(UTC) < moment + timedelta(seconds=1.05):
        time.sleep(0.05)
