"""Where Terraform is told that a stack's state is.

A backend block of ours, in an override file, takes the place of whatever block the bundle has, and of that block's settings:
the rest of them are ARM_* variables (`adapters.terraform_environment`).

Sources: hashicorp/terraform ``website/docs/language/files/override.mdx`` and ``internal/backend/local/backend.go``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.account_urls import plain_host
from adapters.terraform_backend import AzurermBackend, LocalBackend
from records.registry import DEFAULT_WORKSPACE, StateLocation

_STATE_FILE: Final = "terraform.tfstate"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendConfiguration:
    """``as_read`` is what may be read of it once `init` set it up; ``workspace`` is None for the default one."""

    type: str
    settings: Mapping[str, str]
    workspace: str | None
    as_read: tuple[AzurermBackend | LocalBackend, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureStates:
    """States in Azure: the account and container of those whose location names no other."""

    account_name: str
    container: str

    def backend_of(self, state: StateLocation, *, workspaces: Path) -> BackendConfiguration:  # noqa: ARG002 (those of a folder need it)
        """Raises:
        AccountNotAllowedError: the account's URL has no host.
        """
        account, container = self.account_name, state.container or self.container
        if state.account_url is not None:
            account = plain_host(state.account_url, place=container).partition(".")[0]
        workspace = _other_than_default(state.workspace)
        return BackendConfiguration(
            type="azurerm",
            settings={"storage_account_name": account, "container_name": container, "key": state.key},
            workspace=workspace,
            as_read=tuple(
                AzurermBackend(storage_account_name=account, container=container, key=state.key, workspace=found)
                for found in {workspace, None}
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStates:
    """States of an estate on disk, where `adapters.folder_blobs` has them."""

    root: Path
    container: str

    def backend_of(self, state: StateLocation, *, workspaces: Path) -> BackendConfiguration:
        """The file itself; for a workspace a link to it, where the local backend looks for one of that name.

        Raises:
            AccountNotAllowedError: the account's URL has no host.
        """
        file = self._container(state) / state.blob
        workspace = _other_than_default(state.workspace)
        if workspace is None:
            settings = {"path": str(file)}
            return BackendConfiguration(
                type="local", settings=settings, workspace=None, as_read=(LocalBackend(path=file),)
            )
        link = workspaces / workspace / _STATE_FILE
        link.parent.mkdir(parents=True)
        link.symlink_to(file)
        unused = workspaces / _STATE_FILE
        return BackendConfiguration(
            type="local",
            settings={"path": str(unused), "workspace_dir": str(workspaces)},
            workspace=workspace,
            as_read=(LocalBackend(path=link), LocalBackend(path=unused)),
        )

    def _container(self, state: StateLocation) -> Path:
        container = state.container or self.container
        root = self.root.absolute()
        if state.account_url is None:
            return root / container
        return root / "accounts" / plain_host(state.account_url, place=container) / container


def _other_than_default(workspace: str | None) -> str | None:
    return None if workspace == DEFAULT_WORKSPACE else workspace
