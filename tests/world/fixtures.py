"""Fixtures for every test that needs a real part; `tests/conftest.py` gives them to all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.world.azurite import Azurite, run_azurite
from tests.world.fault_proxy import FaultProxy, run_fault_proxy
from tests.world.terraform_backend import (
    TerraformNotInstalledError,
    TerraformWorld,
    find_terraform,
    run_terraform_world,
)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Plain-HTTP storage, shared by the whole run: a test takes container and table names of its own."""
    with run_azurite() as running:
        yield running


@pytest.fixture(scope="session")
def terraform_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TerraformWorld]:
    """The real Terraform and its backend, shared by the whole run: a test takes state keys of its own."""
    try:
        find_terraform()
    except TerraformNotInstalledError as missing:
        pytest.skip(f"needs the real Terraform: {missing}")
    with run_terraform_world(tmp_path_factory.mktemp("terraform-world")) as world:
        yield world


@pytest.fixture
def fault_proxy(azurite: Azurite) -> Iterator[FaultProxy]:
    """A proxy without rules in front of the shared blob endpoint."""
    with run_fault_proxy(azurite.blob_url) as proxy:
        yield proxy


@pytest.fixture
def table_fault_proxy(azurite: Azurite) -> Iterator[FaultProxy]:
    """A proxy without rules in front of the shared table endpoint."""
    with run_fault_proxy(azurite.table_url) as proxy:
        yield proxy
