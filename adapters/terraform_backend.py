"""Where ``terraform init`` found that a root module's state is.

Sources: hashicorp/terraform ``internal/command/workdir/backend_state.go``, ``internal/backend/local/backend.go``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue, ValidationError

from adapters.terraform_json import DATA_FOLDER, LeftByTerraform, content_of, parsed
from records.errors import BundleError
from records.registry import DEFAULT_WORKSPACE

_BACKEND_FILE: Final = f"{DATA_FOLDER}/terraform.tfstate"
_WORKSPACE_FILE: Final = f"{DATA_FOLDER}/environment"
_STATE_FILE: Final = "terraform.tfstate"
_WORKSPACES_FOLDER: Final = "terraform.tfstate.d"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzurermBackend:
    """A state in a storage account; ``workspace`` is None for the default one."""

    storage_account_name: str | None
    container: str
    key: str
    workspace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBackend:
    """A state in a file."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherBackend:
    """A state that is kept in another way, such as ``s3`` or ``cloud``."""

    type: str


Backend = AzurermBackend | LocalBackend | OtherBackend


class _AzurermConfig(LeftByTerraform):
    storage_account_name: str | None = None
    container_name: str
    key: str


class _LocalConfig(LeftByTerraform):
    path: str | None = None
    workspace_dir: str | None = None


class _BackendBlock(LeftByTerraform):
    type: str
    config: JsonValue = None


class _BackendState(LeftByTerraform):
    backend: _BackendBlock | None = None


def read_backend(folder: Path, *, workspace: str | None = None) -> Backend | None:
    """The backend that ``terraform init`` set up in ``folder``; None where it set up none.

    ``workspace`` is what TF_WORKSPACE says, which goes before the one that is selected in the folder. Nothing else of the
    file is read: it may hold access keys.

    Raises:
        BundleError: what is there cannot be read.
    """
    path = folder / _BACKEND_FILE
    state = parsed(_BackendState, path)
    block = state.backend if state else None
    if block is None:
        return None
    selected = (content_of(folder / _WORKSPACE_FILE) or b"").decode("utf-8", "replace").strip()
    name = workspace or selected
    workspace = None if name in {"", DEFAULT_WORKSPACE} else name
    try:
        match block.type:
            case "azurerm":
                return _azurerm(_AzurermConfig.model_validate(block.config), workspace)
            case "local":
                return _local(_LocalConfig.model_validate(block.config), folder, workspace)
            case _:
                return OtherBackend(type=block.type)
    except ValidationError:
        raise BundleError(
            f"{path}: its {block.type} backend lacks what says where the state is. Run `terraform init` again, with every "
            "-backend-config."
        ) from None


def _azurerm(config: _AzurermConfig, workspace: str | None) -> AzurermBackend:
    return AzurermBackend(
        storage_account_name=config.storage_account_name,
        container=config.container_name,
        key=config.key,
        workspace=workspace,
    )


def _local(config: _LocalConfig, folder: Path, workspace: str | None) -> LocalBackend:
    if workspace is None:
        return LocalBackend(path=folder / (config.path or _STATE_FILE))
    return LocalBackend(path=folder / (config.workspace_dir or _WORKSPACES_FOLDER) / workspace / _STATE_FILE)
