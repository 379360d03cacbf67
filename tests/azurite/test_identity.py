"""Storage by an identity's token: no key is anywhere in these settings."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob import BlobServiceClient

from adapters import azure_blobs, azure_tables
from adapters.azure_blobs import AzureBlobStore
from adapters.azure_bootstrap import open_azure_estate
from adapters.azure_reports import AzureReportStore
from adapters.azure_runs import AzureRunStore
from adapters.azure_work import AzureMarketWorkStore
from adapters.record_reader import BlobRecordReader
from adapters.settings import load_settings
from adapters.table_names import RUNS_TABLE
from records.errors import SettingsError
from records.readings import Present
from records.report import MarketOutcome
from records.runs import RunRow
from tests.estates import CONTAINERS, LIMITS, AzuriteEstate, put_healthy_market
from tests.world.azurite import Azurite, run_azurite
from tests.world.certificates import make_certificate

NOW: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)


class Identity:
    """Signs in as nobody in particular: the emulator looks at a token's times and audience, not at its signature."""

    def __init__(self) -> None:
        self.scopes: set[str] = set()

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.scopes.update(scopes)
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "nbf": now - 60,
            "iat": now - 60,
            "exp": now + 3000,
        }
        parts = ({"alg": "HS256", "typ": "JWT"}, claims)
        token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        return AccessToken(f"{token}.unsigned", now + 3000)

    async def close(self) -> None:
        """Holds nothing open."""

    async def __aenter__(self) -> "Identity":
        return self

    async def __aexit__(self, *reason: object) -> None:
        """Holds nothing open."""


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azurite]:
    certificate = make_certificate(tmp_path)

    def transport() -> AioHttpTransport:
        return AioHttpTransport(connection_verify=str(certificate.certificate_file))

    # aiohttp reads the trusted certificates as it is imported, too early for one of this test.
    for module in (azure_blobs, azure_tables):
        monkeypatch.setattr(module, "new_transport", transport)
    with run_azurite(certificate=certificate) as running:
        yield running


@pytest.mark.azurite
async def test_records_are_read_and_reports_and_rows_are_written(account: Azurite) -> None:
    certificate = account.certificate
    assert certificate is not None
    with BlobServiceClient.from_connection_string(
        account.connection_string, connection_verify=str(certificate.certificate_file)
    ) as service:
        for container in (CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states):
            service.create_container(container)
        put_healthy_market(AzuriteEstate(service, CONTAINERS), "de")
    identity = Identity()
    connect = azure_blobs.connect_with_identity(account.blob_url, identity, LIMITS)
    store = AzureBlobStore(connect, allowed_host_suffixes=())
    async with (
        connect(None) as blobs,
        azure_tables.connect_with_identity(account.table_url, identity, LIMITS) as tables,
    ):
        assert isinstance(await BlobRecordReader(store, CONTAINERS).registry(market="de"), Present)
        await AzureReportStore(blobs, container="reports").save_report(
            names=["latest.json"], chunks=["{}"], media_type="application/json", started_at=NOW
        )
        await AzureRunStore(tables, table=RUNS_TABLE, row=RunRow).save_run(row=RunRow(run_id="r", started_at=NOW))
        await AzureMarketWorkStore(tables).save_outcome(run_id="r", name="de", outcome=MarketOutcome(market="de"))
        assert await AzureRunStore(tables, table=RUNS_TABLE, row=RunRow).run(run_id="r") == RunRow(
            run_id="r", started_at=NOW
        )
        assert await AzureMarketWorkStore(tables).outcome_count(run_id="r") == 1
    await store.close()
    assert identity.scopes == {"https://storage.azure.com/.default"}


async def test_the_results_are_in_the_estate_s_account_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTATE_ACCOUNT_URL", "https://contosotf.blob.core.windows.net")
    async with open_azure_estate(load_settings()) as estate:
        assert isinstance(estate.runs, AzureRunStore)
        assert estate.runs._table.url == "https://contosotf.table.core.windows.net"


async def test_an_account_from_which_no_table_endpoint_follows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTATE_ACCOUNT_URL", "https://storage.example.com")
    with pytest.raises(SettingsError, match="RESULTS_ACCOUNT_URL"):
        async with open_azure_estate(load_settings()):
            pass
