"""Where Terraform is told that a stack's state is."""

from pathlib import Path

import pytest

from adapters.terraform_backend import AzurermBackend, LocalBackend
from adapters.terraform_states import AzureStates, FolderStates
from records.errors import AccountNotAllowedError
from records.registry import StateLocation

HUB = StateLocation(key="de/hub.tfstate")
IN_PROD = StateLocation(key="de/hub.tfstate", workspace="prod")
ELSEWHERE = StateLocation(key="k", container="other", account_url="https://fr.blob.core.windows.net")


@pytest.mark.parametrize(
    ("state", "account", "container", "key", "workspace"),
    [
        pytest.param(HUB, "estate", "tfstate", "de/hub.tfstate", None, id="in the estate's own container"),
        pytest.param(IN_PROD, "estate", "tfstate", "de/hub.tfstate", "prod", id="in a workspace"),
        pytest.param(
            HUB.model_copy(update={"workspace": "default"}), "estate", "tfstate", "de/hub.tfstate", None, id="default"
        ),
        pytest.param(ELSEWHERE, "fr", "other", "k", None, id="in another account and container"),
    ],
)
def test_a_state_in_azure(state: StateLocation, account: str, container: str, key: str, workspace: str | None) -> None:
    states = AzureStates(account_name="estate", container="tfstate")
    backend = states.backend_of(state, workspaces=Path("/private/w"))
    assert (backend.type, backend.workspace) == ("azurerm", workspace)
    assert backend.settings == {"storage_account_name": account, "container_name": container, "key": key}
    read = AzurermBackend(storage_account_name=account, container=container, key=key, workspace=workspace)
    assert read in backend.as_read


def test_a_state_in_a_folder_is_its_file_and_that_of_a_workspace_a_link_to_it(tmp_path: Path) -> None:
    states = FolderStates(root=tmp_path, container="tfstate")
    backend = states.backend_of(HUB, workspaces=tmp_path / "w")
    assert (backend.type, backend.workspace) == ("local", None)
    assert backend.settings == {"path": f"{tmp_path}/tfstate/de/hub.tfstate"}
    assert backend.as_read == (LocalBackend(path=tmp_path / "tfstate/de/hub.tfstate"),)
    assert not (tmp_path / "w").exists()
    backend = states.backend_of(IN_PROD, workspaces=tmp_path / "w")
    assert backend.workspace == "prod"
    assert (tmp_path / "w/prod/terraform.tfstate").readlink() == tmp_path / "tfstate/de/hub.tfstateenv:prod"
    backend = states.backend_of(ELSEWHERE, workspaces=tmp_path / "w")
    assert backend.settings == {"path": f"{tmp_path}/accounts/fr.blob.core.windows.net/other/k"}


@pytest.mark.parametrize(
    "states", [AzureStates(account_name="a", container="c"), FolderStates(root=Path("/e"), container="c")]
)
def test_an_account_without_a_host_is_refused(states: AzureStates | FolderStates) -> None:
    with pytest.raises(AccountNotAllowedError):
        states.backend_of(StateLocation(key="k", account_url="file:///etc"), workspaces=Path("/private/w"))
