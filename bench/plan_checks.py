"""What a check of one stack costs beside Terraform's own commands: `init`, `plan` and `show` of the same bundle, by hand.

Both go through the azurerm backend to Azurite, with the simulated provider. They alternate, and so does which is first, so
that a machine that grows slower does so for both.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from azure.storage.blob.aio import BlobServiceClient

from adapters.azure_blobs import AzureBlobStore
from adapters.azure_retries import BlobRetryPolicy
from adapters.clock import utc_now
from adapters.record_reader import BlobRecordReader
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import AzureStates
from bench.reconciling import LIMITS
from bench.requests import Account, Recording, RecordingTransport
from drift.observing import StackObserver
from reconcile.market import MarketReconciler, Rules
from records.findings import FindingKind
from records.results import Run
from tests.terraform.deploys import MARKET, STACK, Pipeline, deploy, pipeline_in
from tests.world.sim_cloud import SimCloud, make_sim_cloud, using_azsim
from tests.world.terraform_backend import TerraformWorld

PAIRS: Final = 9
RESOURCES: Final = 100
_MAIN_TF: Final = """
resource "azsim_network_security_rule" "rule" {{
  count                       = {count}
  name                        = "rule-${{count.index}}"
  resource_group_name         = "rg"
  network_security_group_name = "hub"
  access                      = "Deny"
  priority                    = 100 + count.index
}}
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of each pair: of a check, and of Terraform's commands by hand."""

    ours: tuple[float, ...]
    by_hand: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(ours / hand for ours, hand in zip(self.ours, self.by_hand, strict=True))

    @property
    def seconds_more(self) -> float:
        """What a check costs on top, however large the stack is: records read twice, the bundle, a folder and its watch."""
        return statistics.median(ours - hand for ours, hand in zip(self.ours, self.by_hand, strict=True))


def measure(world: TerraformWorld) -> Compared:
    """Deploys and records a stack, has somebody click in the portal, and looks at it both ways."""
    with tempfile.TemporaryDirectory(prefix="b-") as made, pipeline_in(world) as pipeline:
        folder = Path(made)
        cloud = make_sim_cloud(folder / "cloud")
        stack = world.stack(
            folder / "root",
            key=f"{MARKET}/{STACK}.tfstate",
            container=pipeline.containers.states,
            environment=cloud.environment,
        )
        pipeline.record(deploy(stack, using_azsim() + _MAIN_TF.format(count=RESOURCES)))
        cloud.change("azsim_network_security_rule.rule-7", access="Allow")
        hand = _ByHand(pipeline, cloud, folder)
        with _environment(world, cloud):
            return asyncio.run(_compare(pipeline, hand, folder))


async def _compare(pipeline: Pipeline, hand: "_ByHand", folder: Path) -> Compared:
    world = pipeline.world
    account = Account(world.azurite.connection_string, str(world.certificate.certificate_file))

    def connect(account_url: str | None) -> BlobServiceClient:
        return BlobServiceClient.from_connection_string(
            account.connection_string,
            retry_policy=BlobRetryPolicy(LIMITS),
            transport=RecordingTransport(Recording(), account),
        )

    blobs = AzureBlobStore(connect, allowed_host_suffixes=())
    records = BlobRecordReader(blobs, pipeline.containers)
    work = folder / "w"
    work.mkdir()
    states = AzureStates(account_name=world.azurite.account.name, container=pipeline.containers.states)
    observer = StackObserver(
        judge=MarketReconciler(
            records=records,
            results=None,
            run=Run.named_by(utc_now()),
            rules=Rules(in_flight_minutes=60, reread_delay_seconds=0, retention_days=400),
            clock=utc_now,
        ),
        records=records,
        planner=TerraformCli(TerraformOptions(states=states, work_folder=work)),
        bundle_max_bytes=1024**2,
        plan_limit_seconds=300,
        clock=utc_now,
    )
    ours: list[float] = []
    by_hand: list[float] = []
    try:
        await _observed(observer)
        for pair in range(PAIRS):
            if pair % 2:
                by_hand.append(hand.seconds())
            ours.append(await _observed(observer))
            if not pair % 2:
                by_hand.append(hand.seconds())
    finally:
        await blobs.close()
    return Compared(ours=tuple(ours), by_hand=tuple(by_hand))


async def _observed(observer: StackObserver) -> float:
    started = time.perf_counter()
    seen = await observer.observe(MARKET, STACK)
    seconds = time.perf_counter() - started
    found = [finding.kind for finding in seen.plan.findings] if seen.plan else []
    if found != [FindingKind.PORTAL_DRIFT]:
        raise RuntimeError(f"not what was done: {found}, {seen.diagnostics}")
    return seconds


@dataclass(frozen=True, slots=True)
class _ByHand:
    """The commands of a person who has the bundle unpacked already; a folder of its own for each time."""

    pipeline: Pipeline
    cloud: SimCloud
    folder: Path

    def seconds(self) -> float:
        root = Path(tempfile.mkdtemp(dir=self.folder))
        with ZipFile(self._bundle()) as bundle:
            bundle.extractall(root)
        settings = {
            "storage_account_name": self.pipeline.world.azurite.account.name,
            "container_name": self.pipeline.containers.states,
            "key": f"{MARKET}/{STACK}.tfstate",
        }
        backend = [f"-backend-config={name}={value}" for name, value in settings.items()]
        started = time.perf_counter()
        self._run(root, "init", "-input=false", "-lockfile=readonly", *backend)
        self._run(root, "plan", "-input=false", "-lock=false", "-detailed-exitcode", "-out=plan", status=2)
        self._run(root, "show", "-json", "plan")
        seconds = time.perf_counter() - started
        shutil.rmtree(root)
        return seconds

    def _bundle(self) -> Path:
        file = self.folder / "bundle.zip"
        if not file.exists():
            containers = self.pipeline.containers
            blob = self.pipeline.tracker()["bundle"]["blob"]
            client = self.pipeline.world.blob_service.get_blob_client(containers.bundles, blob)
            file.write_bytes(client.download_blob().readall())
        return file

    def _run(self, root: Path, *arguments: str, status: int = 0) -> None:
        with (root / f"{arguments[0]}.out").open("wb") as out:
            done = subprocess.run(
                [self.pipeline.world.executable, *arguments],
                cwd=root,
                env=self.pipeline.world.environment(self.cloud.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode != status:
            raise RuntimeError(f"terraform {arguments[0]}: {done.stderr.decode()}")


@contextmanager
def _environment(world: TerraformWorld, cloud: SimCloud) -> Iterator[None]:
    """This process's, in which Terraform reaches the world's storage and finds the provider."""
    before = dict(os.environ)
    reaching = {"HTTPS_PROXY", "SSL_CERT_FILE", "ARM_ACCESS_KEY"}
    os.environ.update({name: value for name, value in world.environment().items() if name in reaching})
    os.environ.update({**cloud.environment, "NO_PROXY": "127.0.0.1,localhost"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
