"""`infra/` as Terraform sees it offline. Without the stand-in for azurerm its tests say so and are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.kql_queries import Rendered, Workspace, rendered_in
from tests.infra.kql_rows import NOW
from tests.infra.stand_in import INFRA, STAND_IN, VARIABLES, Module, copy_module, install_stand_in
from tests.world.terraform_backend import TerraformNotInstalledError, find_terraform


@pytest.fixture(scope="session")
def cli_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Terraform's CLI configuration, by which azurerm is the stand-in."""
    if not STAND_IN.exists():
        pytest.skip(
            f"needs the stand-in for azurerm, which is not at {STAND_IN}; and there is no network for the real one"
        )
    try:
        find_terraform()
    except TerraformNotInstalledError as missing:
        pytest.skip(f"needs the real Terraform: {missing}")
    return install_stand_in(tmp_path_factory.mktemp("azurerm"))


@pytest.fixture(scope="session")
def infra(cli_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Module:
    """`infra/`, initialised and not applied."""
    folder = tmp_path_factory.mktemp("infra") / "infra"
    return copy_module(INFRA, folder, cli_config=cli_config, variables=VARIABLES)


@pytest.fixture(scope="session")
def deployed(cli_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Module:
    """`infra/`, applied into a file."""
    folder = tmp_path_factory.mktemp("deployed") / "infra"
    module = copy_module(INFRA, folder, cli_config=cli_config, variables=VARIABLES)
    module.apply()
    return module


@pytest.fixture(scope="session")
def rendered(deployed: Module) -> Rendered:
    """The queries of alerts and workbook, as deployed."""
    return rendered_in(deployed)


@pytest.fixture
def workspace() -> Workspace:
    """An empty one, asked at `NOW`."""
    return Workspace(now=NOW)
