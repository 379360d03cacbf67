"""Run an asyncio service beside synchronous tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

Service = TypeVar("Service")


@contextmanager
def run_in_loop_thread(service: AbstractAsyncContextManager[Service]) -> Iterator[Service]:
    """Enter `service` in an event loop of its own thread, and leave it there when the block ends.

    The loop's thread cannot be the test's: a test that blocks in a synchronous client would keep the service
    from answering it. An error while starting or stopping is raised in the caller.
    """
    started: Future[tuple[Service, Callable[[], None]]] = Future()
    ended: Future[None] = Future()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        async with service as entered:
            started.set_result((entered, lambda: _set_from_outside(loop, stopping)))
            await stopping.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 (whatever ended the loop is the caller's to see)
            (ended if started.done() else started).set_exception(error)
        else:
            ended.set_result(None)

    thread = threading.Thread(target=run, name="loop-thread", daemon=True)
    thread.start()
    entered, stop = started.result()
    try:
        yield entered
    finally:
        stop()
        thread.join()
        ended.result()


def _set_from_outside(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)
