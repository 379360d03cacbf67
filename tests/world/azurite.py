"""Azurite, Microsoft's storage emulator, as a process of its own on free loopback ports.

It has leases, metadata, snapshots, Content-MD5 and table transactions; it has no blob versioning.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.world.certificates import Certificate

HOST = "127.0.0.1"
START_LIMIT_SECONDS = 60.0
_KEEP_ALIVE_SECONDS = 120
"""As storage itself, longer than any client keeps an idle connection: one that is closed just as a request is sent on it loses
that request, and a queue's message is never sent twice. Azurite's own 5 s are shorter than aiohttp's 15 s."""

_AZURITE_MAIN = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
_INSTALL_COMMAND = "npm ci --prefix tests/world"
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at \S+:(\d+)")
_SERVICES = frozenset({"Blob", "Queue", "Table"})


class AzuriteNotInstalledError(RuntimeError):
    """The pinned Azurite, or the Node.js that runs it, is not on this machine."""


class AzuriteDidNotStartError(RuntimeError):
    """Azurite died or was too slow; the message holds what it printed."""


@dataclass(frozen=True, slots=True)
class StorageAccount:
    """A storage account of the emulator: its name and its base64 key."""

    name: str
    key: str = field(repr=False)

    @classmethod
    def generate(cls, name: str) -> StorageAccount:
        """Give an account a key of its own, so that no well-known key stands in this repository."""
        return cls(name=name, key=base64.b64encode(secrets.token_bytes(64)).decode("ascii"))


@dataclass(frozen=True, slots=True)
class Azurite:
    """Where a running Azurite answers, seen from one of its accounts."""

    account: StorageAccount
    accounts: tuple[StorageAccount, ...]
    host: str
    blob_port: int
    queue_port: int
    table_port: int
    certificate: Certificate | None = None

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"

    @property
    def account_name(self) -> str:
        return self.account.name

    @property
    def account_key(self) -> str:
        return self.account.key

    @property
    def blob_url(self) -> str:
        return self._url(self.blob_port)

    @property
    def queue_url(self) -> str:
        return self._url(self.queue_port)

    @property
    def table_url(self) -> str:
        return self._url(self.table_port)

    @property
    def connection_string(self) -> str:
        return self.connection_string_through()

    def connection_string_through(
        self, *, blob_url: str | None = None, queue_url: str | None = None, table_url: str | None = None
    ) -> str:
        """Name other endpoints than Azurite's own, such as a fault proxy's, for this account."""
        return (
            f"DefaultEndpointsProtocol={self.scheme};"
            f"AccountName={self.account_name};AccountKey={self.account_key};"
            f"BlobEndpoint={blob_url or self.blob_url};"
            f"QueueEndpoint={queue_url or self.queue_url};"
            f"TableEndpoint={table_url or self.table_url};"
        )

    def seen_from(self, account_name: str) -> Azurite:
        """Return the same emulator with another of its accounts in the URLs.

        Raises KeyError when the emulator was not started with that account.
        """
        for account in self.accounts:
            if account.name == account_name:
                return replace(self, account=account)
        raise KeyError(account_name)

    def _url(self, port: int) -> str:
        # Azurite takes the account from the path when the host is an IP address, else from the host name.
        return f"{self.scheme}://{self.host}:{port}/{self.account_name}"


@contextmanager
def run_azurite(
    *, accounts: Sequence[StorageAccount] = (), certificate: Certificate | None = None
) -> Iterator[Azurite]:
    """Run Azurite in memory, over HTTPS when a certificate is given, until the block ends.

    The first of `accounts` is the one that the yielded URLs name; without any there is one with a fresh key.

    Raises AzuriteNotInstalledError or AzuriteDidNotStartError.
    """
    known = tuple(accounts) or (StorageAccount.generate("trueuptests"),)
    with tempfile.TemporaryDirectory(prefix="azurite-") as name:
        folder = Path(name)
        log_file = folder / "azurite.log"
        process = _start(known, certificate, folder, log_file)
        try:
            ports = _wait_for_ports(process, log_file)
            yield Azurite(
                account=known[0],
                accounts=known,
                host=HOST,
                blob_port=ports["Blob"],
                queue_port=ports["Queue"],
                table_port=ports["Table"],
                certificate=certificate,
            )
        finally:
            _kill_group(process)


def _start(
    accounts: Sequence[StorageAccount], certificate: Certificate | None, folder: Path, log_file: Path
) -> subprocess.Popen[bytes]:
    node = shutil.which("node")
    if node is None:
        raise AzuriteNotInstalledError("Azurite runs on Node.js, and no `node` is on PATH")
    if not _AZURITE_MAIN.is_file():
        raise AzuriteNotInstalledError(f"{_AZURITE_MAIN} does not exist; run `{_INSTALL_COMMAND}`")
    command = [
        node,
        str(_AZURITE_MAIN),
        "--silent",
        "--disableTelemetry",
        # The SDKs ask for a newer API version than any released Azurite knows.
        "--skipApiVersionCheck",
        "--inMemoryPersistence",
    ]
    for service in ("blob", "queue", "table"):
        # With port 0 the kernel chooses, and no other process can take the port in between.
        command += [f"--{service}Host={HOST}", f"--{service}Port=0"]
        command += [f"--{service}KeepAliveTimeout={_KEEP_ALIVE_SECONDS}"]
    if certificate is not None:
        # Tokens are taken beside keys, and over HTTPS alone.
        command += [f"--cert={certificate.certificate_file}", f"--key={certificate.key_file}", "--oauth", "basic"]
    with log_file.open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "AZURITE_ACCOUNTS": ";".join(f"{account.name}:{account.key}" for account in accounts),
            },
            start_new_session=True,
        )


def _wait_for_ports(process: subprocess.Popen[bytes], log_file: Path) -> dict[str, int]:
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while True:
        exit_code = process.poll()
        printed = log_file.read_text(encoding="utf-8", errors="replace")
        if exit_code is not None:
            raise AzuriteDidNotStartError(f"Azurite ended with exit code {exit_code}; it printed:\n{printed}")
        ports = {service: int(port) for service, port in _LISTENING.findall(printed)}
        if ports.keys() >= _SERVICES and all(_answers(port) for port in ports.values()):
            return ports
        if time.monotonic() > deadline:
            raise AzuriteDidNotStartError(
                f"Azurite did not listen within {START_LIMIT_SECONDS:g} s; it printed:\n{printed}"
            )
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # Nothing is on disk, so there is nothing to shut down in order.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
