"""A run of the service from its first event to its last, with the real activities on Azurite."""

from collections.abc import AsyncIterator

import pytest

from tests.service_world import DAILY, ServiceWorld, open_service_world, run_daily
from tests.world.azurite import Azurite
from tests.world.durable import DurableHub, RuntimeStatus

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]


@pytest.fixture
async def world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceWorld]:
    async with open_service_world(azurite, monkeypatch, FAN_OUT_WIDTH="4") as opened:
        yield opened


async def test_of_an_empty_estate_ends_well(world: ServiceWorld) -> None:
    hub = DurableHub(world.host)
    await run_daily(world, hub)
    status = hub.status(DAILY)
    assert status is not None
    assert status.runtime_status is RuntimeStatus.COMPLETED
    assert world.reports() == sorted(
        f"{name}.{suffix}" for name in (DAILY, "latest") for suffix in ("html", "json", "md")
    )
