"""The provider of the simulated cloud as one process for many commands of Terraform, each of which else starts its own, twice.

Terraform is told of it by TF_REATTACH_PROVIDERS (https://developer.hashicorp.com/terraform/plugin/debugging), and neither
installs nor starts nor ends it. An interrupt of one command would end the waits of all: what is to be killed in the middle of
an apply needs a provider of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.world.azsim.kinds import OLD_VERSION
from tests.world.commands import ROOT
from tests.world.sim_cloud import SOURCE, SimCloud

_PROTOCOL_VERSION: Final = 6
_AT_ONCE: Final = 32


@contextmanager
def lasting_provider(cloud: SimCloud) -> Iterator[dict[str, str]]:
    """What Terraform needs in its environment to use it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.terraform.lasting_provider", str(cloud.file.path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout
        address = {"Network": "tcp", "String": process.stdout.readline().strip()}
        reached: dict[str, Any] = {
            "Protocol": "grpc",
            "ProtocolVersion": _PROTOCOL_VERSION,
            "Pid": process.pid,
            "Test": True,
            "Addr": address,
        }
        # The end of its stdin is the order to end.
        yield {"TF_REATTACH_PROVIDERS": json.dumps({SOURCE: reached})}


def _serve(cloud: Path) -> None:
    # Here, since a test that imports this has no need of the provider's libraries.
    import grpc  # noqa: PLC0415
    from tf.gen import tfplugin_pb2_grpc  # noqa: PLC0415

    from tests.world.azsim.provider import Provider, Servicer  # noqa: PLC0415

    server = grpc.server(ThreadPoolExecutor(_AT_ONCE))
    tfplugin_pb2_grpc.add_ProviderServicer_to_server(Servicer(Provider(OLD_VERSION, cloud)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"127.0.0.1:{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(grace=None)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
