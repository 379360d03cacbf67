"""The real Terraform, writing real states through its own azurerm backend into Azurite.

Root modules in tests use the builtin `terraform_data` resource only, so nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from azure.storage.blob import BlobServiceClient

from tests.world.azurite import Azurite, StorageAccount, run_azurite
from tests.world.certificates import Certificate, make_certificate
from tests.world.connect_proxy import ConnectProxy, run_connect_proxy
from tests.world.state_blob import StateBlob, create_containers

DEFAULT_WORKSPACE = "default"
COMMAND_LIMIT_SECONDS = 120.0

_BACKEND = 'terraform {\n  backend "azurerm" {}\n}\n'
_NOTHING: Mapping[str, str] = MappingProxyType({})


class TerraformNotInstalledError(RuntimeError):
    """There is no `terraform` on PATH."""


class TerraformFailedError(RuntimeError):
    """A Terraform command failed; the message holds what it wrote to stderr."""

    def __init__(self, arguments: tuple[str, ...], exit_code: int, stdout: str, stderr: str) -> None:
        super().__init__(f"terraform {' '.join(arguments)} ended with exit code {exit_code}:\n{stderr}")
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Plan:
    """What `terraform plan` said. `file` is the saved plan, when one was asked for."""

    has_changes: bool
    text: str
    file: Path | None


@dataclass(frozen=True, slots=True)
class TerraformStack:
    """One root module in a folder of its own, with one state blob."""

    folder: Path
    container: str
    key: str
    workspace: str
    account: StorageAccount
    blob: StateBlob
    executable: Path
    environment: Mapping[str, str] = field(repr=False)
    snapshot: bool

    def write(self, main_tf: str) -> None:
        """Replace the root module. The backend block is in a file of its own."""
        (self.folder / "main.tf").write_text(main_tf, encoding="utf-8")

    def init(self) -> None:
        """Initialise the backend and select the workspace.

        This alone writes a state, at serial 1 and without resources, where there is none.
        """
        (self.folder / "backend.tf").write_text(_BACKEND, encoding="utf-8")
        settings = {
            "storage_account_name": self.account.name,
            "container_name": self.container,
            "key": self.key,
            "snapshot": "true" if self.snapshot else "false",
        }
        self.run("init", "-reconfigure", *(f"-backend-config={name}={value}" for name, value in settings.items()))
        if self.workspace != DEFAULT_WORKSPACE:
            self.run("workspace", "select", "-or-create=true", self.workspace)

    def apply(self, *arguments: str, plan_file: Path | None = None) -> None:
        """Apply the root module, or exactly the saved plan when one is given."""
        if plan_file is None:
            self.run("apply", "-auto-approve", *arguments)
        else:
            self.run("apply", *arguments, str(plan_file))

    def refresh_only_apply(self) -> None:
        self.apply("-refresh-only")

    def destroy(self) -> None:
        self.apply("-destroy")

    def plan(self, *arguments: str, lock: bool = True, out: Path | None = None) -> Plan:
        saved = () if out is None else (f"-out={out}",)
        done = self._execute(
            "plan", "-detailed-exitcode", f"-lock={str(lock).lower()}", *saved, *arguments, allowed=(0, 2)
        )
        return Plan(has_changes=done.returncode == 2, text=done.stdout, file=out)

    def show_plan(self, plan_file: Path) -> dict[str, Any]:
        return self._json("show", "-json", str(plan_file))

    def state_mv(self, source: str, destination: str) -> None:
        self.run("state", "mv", source, destination)

    def state_pull(self) -> dict[str, Any]:
        """Return the state as Terraform reads it.

        The backend has no read that only reads: where there is no state, or a 0-byte one, this creates one.
        """
        return self._json("state", "pull")

    def state_push(self, state: Mapping[str, Any], *, force: bool = False) -> None:
        """Write a state through Terraform, which refuses another lineage or an older serial unless forced.

        Terraform 1.11 stores it with a serial one above the one it is given.
        """
        file = self.folder / "pushed.tfstate"
        file.write_text(json.dumps(state), encoding="utf-8")
        self.run("state", "push", *(("-force",) if force else ()), str(file))

    def serial(self) -> int:
        return int(self.state_pull()["serial"])

    def output(self) -> dict[str, Any]:
        """Return the values of the state's outputs, sensitive ones in clear."""
        return {name: described["value"] for name, described in self._json("output", "-json").items()}

    def run(self, *arguments: str) -> str:
        """Run any Terraform command and return its stdout. Raises TerraformFailedError."""
        return self._execute(*arguments, allowed=(0,)).stdout

    def _json(self, *arguments: str) -> dict[str, Any]:
        return _object(self.run(*arguments))

    def _execute(self, *arguments: str, allowed: tuple[int, ...]) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.executable), *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=COMMAND_LIMIT_SECONDS,
            check=False,
        )
        if done.returncode not in allowed:
            raise TerraformFailedError(arguments, done.returncode, done.stdout, done.stderr)
        return done


@dataclass(frozen=True, slots=True)
class TerraformWorld:
    """Azurite over HTTPS, the proxy that stands for Azure's DNS, and the Terraform that uses both."""

    azurite: Azurite
    proxy: ConnectProxy
    certificate: Certificate
    blob_service: BlobServiceClient
    executable: Path
    home: Path

    def create_containers(self, *names: str) -> None:
        create_containers(self.blob_service, *names)

    def state_blob(self, key: str, *, container: str, workspace: str = DEFAULT_WORKSPACE) -> StateBlob:
        name = key if workspace == DEFAULT_WORKSPACE else f"{key}env:{workspace}"
        return StateBlob(self.blob_service.get_blob_client(container, name))

    def environment(self, extra: Mapping[str, str] = _NOTHING) -> dict[str, str]:
        """Return all that Terraform gets to see: none of the caller's own settings or credentials."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "HTTPS_PROXY": self.proxy.url,
            "SSL_CERT_FILE": str(self.certificate.certificate_file),
            "ARM_ACCESS_KEY": self.azurite.account_key,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_CLI_ARGS": "-no-color",
            "CHECKPOINT_DISABLE": "1",
            **extra,
        }

    def stack(
        self,
        folder: Path,
        *,
        key: str,
        container: str = "tfstate",
        workspace: str = DEFAULT_WORKSPACE,
        snapshot: bool = False,
        environment: Mapping[str, str] = _NOTHING,
    ) -> TerraformStack:
        """Make a root module in `folder`, created if need be, whose state is `key` in `container`.

        `environment` is added to Terraform's, such as a TF_CLI_CONFIG_FILE that names a mirror of providers.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.create_containers(container)
        return TerraformStack(
            folder=folder,
            container=container,
            key=key,
            workspace=workspace,
            account=self.azurite.account,
            blob=self.state_blob(key, container=container, workspace=workspace),
            executable=self.executable,
            environment=self.environment(environment),
            snapshot=snapshot,
        )


def find_terraform() -> Path:
    """Raise TerraformNotInstalledError when there is none on PATH."""
    found = shutil.which("terraform")
    if found is None:
        raise TerraformNotInstalledError("no `terraform` is on PATH")
    return Path(found)


@contextmanager
def run_terraform_world(folder: Path) -> Iterator[TerraformWorld]:
    """Run the world for the length of the block; `folder` takes the certificate and Terraform's home.

    Raises TerraformNotInstalledError, AzuriteNotInstalledError or AzuriteDidNotStartError.
    """
    executable = find_terraform()
    home = folder / "home"
    home.mkdir(parents=True)
    certificate = make_certificate(folder)
    with (
        run_azurite(accounts=[StorageAccount.generate("tfstateacct")], certificate=certificate) as azurite,
        run_connect_proxy(blob_port=azurite.blob_port) as proxy,
        BlobServiceClient.from_connection_string(
            azurite.connection_string, connection_verify=str(certificate.certificate_file)
        ) as blob_service,
    ):
        yield TerraformWorld(
            azurite=azurite,
            proxy=proxy,
            certificate=certificate,
            blob_service=blob_service,
            executable=executable,
            home=home,
        )


def _object(text: str) -> dict[str, Any]:
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded
