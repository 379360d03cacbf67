"""A registry of providers on loopback: HTTPS, the provider registry protocol, and a release that its maker has signed.

Source: https://developer.hashicorp.com/terraform/internals/provider-registry-protocol.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tests.world.certificates import make_certificate

HOST: Final = "example.test"
_KEY: Final = """%no-protection
Key-Type: RSA
Key-Length: 2048
Name-Real: The maker of azsim
Name-Email: maker@example.test
%commit
"""


@dataclass(frozen=True, slots=True)
class Registry:
    """``settings`` are those by which Terraform finds it in the place of `HOST`, and believes its certificate."""

    settings: dict[str, str]
    asked: list[str]


@contextmanager
def registry_of(package: Path, version: str, folder: Path) -> Iterator[Registry]:
    """Serves one provider, ``sim/azsim``."""
    certificate = make_certificate(folder)
    answers: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/json" if "/v1/" in self.path else "application/octet-stream")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://localhost:{server.server_port}"
    answers |= _release(package, version, url)
    config = folder / "registry.tfrc"
    config.write_text(f'host "{HOST}" {{\n  services = {{ "providers.v1" = "{url}/v1/" }}\n}}\n', encoding="utf-8")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Registry({"TF_CLI_CONFIG_FILE": str(config), "SSL_CERT_FILE": str(certificate.certificate_file)}, asked)
    finally:
        server.shutdown()
        server.server_close()


def _release(package: Path, version: str, url: str) -> dict[str, bytes]:
    sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
    sums = f"{sha256}  {package.name}\n".encode()
    signature, key_id, public_key = _signed(sums)
    found = {
        "protocols": ["6.0"], "os": "linux", "arch": "amd64", "filename": package.name, "shasum": sha256,
        "download_url": f"{url}/{package.name}", "shasums_url": f"{url}/SHA256SUMS",
        "shasums_signature_url": f"{url}/SHA256SUMS.sig",
        "signing_keys": {"gpg_public_keys": [{"key_id": key_id, "ascii_armor": public_key}]},
    }  # fmt: skip
    platforms = [{"os": "linux", "arch": "amd64"}]
    versions = {"versions": [{"version": version, "protocols": ["6.0"], "platforms": platforms}]}
    return {
        "/v1/sim/azsim/versions": json.dumps(versions).encode(),
        f"/v1/sim/azsim/{version}/download/linux/amd64": json.dumps(found).encode(),
        f"/{package.name}": package.read_bytes(),
        "/SHA256SUMS": sums,
        "/SHA256SUMS.sig": signature,
    }


def _signed(content: bytes) -> tuple[bytes, str, str]:
    """A signature, and the id and the text of the key to check it by. GnuPG's sockets need a short path."""
    if shutil.which("gpg") is None:
        pytest.skip("needs GnuPG, to sign a release as a provider's maker does")
    with tempfile.TemporaryDirectory(prefix="g-", ignore_cleanup_errors=True) as home:

        def gpg(*arguments: str, given: bytes = b"") -> bytes:
            command = ["gpg", "--homedir", home, "--batch", "--quiet", *arguments]
            return subprocess.run(command, input=given, capture_output=True, check=True).stdout

        try:
            gpg("--gen-key", given=_KEY.encode())
            listed = gpg("--list-keys", "--with-colons", "--keyid-format", "long").decode()
            (key_id,) = [line.split(":")[4] for line in listed.splitlines() if line.startswith("pub:")]
            return gpg("--detach-sign", given=content), key_id, gpg("--armor", "--export").decode()
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
