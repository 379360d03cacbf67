"""The process that Terraform starts: HashiCorp's plugin handshake on stdout, then gRPC on a port until it is told to end.

`tf` has a server of its own. It keeps a certificate in the home folder, and ends in the middle of a call when Terraform is
interrupted; this one is told where its certificate is, and finishes what it has begun.
"""

from __future__ import annotations

import base64
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
from tf.gen import (
    grpc_controller_pb2,
    grpc_controller_pb2_grpc,
    grpc_stdio_pb2_grpc,
    tfplugin_pb2_grpc,
)

from tests.world.azsim.provider import Provider, Servicer

CLOUD_VARIABLE: Final = "AZSIM_CLOUD"

_GO_PLUGIN_PROTOCOL: Final = 1
_TERRAFORM_PROTOCOL: Final = 6
_ORPHAN_CHECK_SECONDS: Final = 0.5


class _Controller:
    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended

    def Shutdown(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        self._ended.set()
        return grpc_controller_pb2.Empty()


class _Stdio:
    def StreamStdio(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802 (the protocol's name)
        return iter(())


def serve(version: str, *, default_cloud: Path, certificate_file: Path, key_file: Path) -> None:
    """Serve until Terraform says the end, or is no longer there. The calls that are under way are finished first."""
    # An interrupt from the keyboard reaches the whole process group, and is Terraform's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    terraform = os.getppid()
    provider = Provider(version, Path(os.environ.get(CLOUD_VARIABLE, default_cloud)))
    ended = threading.Event()
    server = grpc.server(ThreadPoolExecutor(max_workers=10))
    tfplugin_pb2_grpc.add_ProviderServicer_to_server(Servicer(provider), server)
    grpc_controller_pb2_grpc.add_GRPCControllerServicer_to_server(_Controller(ended), server)
    grpc_stdio_pb2_grpc.add_GRPCStdioServicer_to_server(_Stdio(), server)
    certificate = certificate_file.read_text(encoding="ascii")
    credentials = grpc.ssl_server_credentials([(key_file.read_bytes(), certificate.encode("ascii"))])
    # A port, and no socket: a process that is killed leaves no file behind.
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    trusted = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate)).decode().rstrip("=")
    handshake = (_GO_PLUGIN_PROTOCOL, _TERRAFORM_PROTOCOL, "tcp", f"127.0.0.1:{port}", "grpc", trusted)
    os.write(1, ("|".join(map(str, handshake)) + "\n").encode())
    while not ended.wait(_ORPHAN_CHECK_SECONDS) and os.getppid() == terraform:
        pass
    server.stop(grace=None)
