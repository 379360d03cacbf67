"""The HTTPS proxy that Terraform is told to use, and that knows one way only: to Azurite.

Terraform insists on `https://{account}.blob.core.windows.net`. A proxy needs no root and no hosts file to
send it to loopback, and by refusing every other host it proves that nothing else was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from tests.world.loop_thread import run_in_loop_thread

HOST = "127.0.0.1"
BLOB_SUFFIX = ".blob.core.windows.net"


@dataclass(slots=True)
class ConnectProxy:
    """Where the proxy listens, and the `host:port` of every request so far, in order."""

    blob_port: int
    port: int = 0
    tunnelled: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._connections.discard(task)
            await _close(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target = head.decode("latin-1").split(" ", 2)[:2]
        host, _, port = target.rpartition(":")
        if method != "CONNECT" or not host.endswith(BLOB_SUFFIX) or port != "443":
            self.refused.append(target)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        self.tunnelled.append(target)
        azurite_reader, azurite_writer = await asyncio.open_connection(HOST, self.blob_port)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_pump(reader, azurite_writer))
                directions.create_task(_pump(azurite_reader, writer))
        finally:
            await _close(azurite_writer)


@contextmanager
def run_connect_proxy(*, blob_port: int) -> Iterator[ConnectProxy]:
    """Tunnel `*.blob.core.windows.net:443` to Azurite's HTTPS blob port; answer 403 to everything else."""
    with run_in_loop_thread(_listen(blob_port)) as proxy:
        yield proxy


@asynccontextmanager
async def _listen(blob_port: int) -> AsyncIterator[ConnectProxy]:
    proxy = ConnectProxy(blob_port=blob_port)
    server = await asyncio.start_server(proxy._accept, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        # From Python 3.12 on, wait_closed() waits for open tunnels, which a keep-alive client would hold.
        for task in tuple(proxy._connections):
            task.cancel()
        await asyncio.gather(*proxy._connections)
        await server.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    # Each direction's end ends the tunnel; without it the other side would wait for ever.
    writer.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
