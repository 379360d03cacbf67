"""Where a stack's state is, in a registry entry's words: from the folder that was deployed, or from the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from adapters.account_urls import host_of
from adapters.estate_account import account_of_connection_string
from adapters.settings import Settings
from adapters.terraform_backend import AzurermBackend, Backend, LocalBackend, OtherBackend
from records.errors import SettingsError
from records.registry import Elsewhere, StateLocation


def location_in_azure(backend: Backend, settings: Settings) -> StateLocation | Elsewhere:
    """What is the estate's own, its account and its container of states, goes without saying.

    Raises:
        SettingsError: the backend is in an account whose URL does not follow from the estate's, or the estate's cannot be told.
    """
    if not isinstance(backend, AzurermBackend):
        return _elsewhere(backend)
    with _refusals("the folder's backend: "):
        return _location(
            key=backend.key,
            workspace=backend.workspace,
            container=_other_than(settings.states_container, backend.container),
            account_url=_account_url(backend, settings),
        )


def location_on_disk(backend: Backend, settings: Settings, *, estate: Path) -> StateLocation | Elsewhere:
    """An estate on disk has containers and no accounts; a file that is not among its states is elsewhere."""
    if isinstance(backend, AzurermBackend):
        container = _other_than(settings.states_container, backend.container)
        with _refusals("the folder's backend: "):
            return _location(key=backend.key, workspace=backend.workspace, container=container)
    states = (estate / settings.states_container).resolve()
    if isinstance(backend, LocalBackend) and backend.path.resolve().is_relative_to(states):
        with _refusals("the folder's backend: "):
            return _location(key=backend.path.resolve().relative_to(states).as_posix())
    return _elsewhere(backend)


def location_of_options(
    *, key: str | None, workspace: str | None, container: str | None, account_url: str | None
) -> StateLocation | None:
    """Where the command line says that the state is; None where it says nothing.

    Raises:
        SettingsError: an option is wrong, or stands without the key.
    """
    if not (key or workspace or container or account_url):
        return None
    if key is None:
        raise SettingsError("--state-key is needed with the other options that say where the state is")
    with _refusals("--state-"):
        return _location(key=key, workspace=workspace, container=container, account_url=account_url)


@contextmanager
def _refusals(prefix: str) -> Iterator[None]:
    """Names what is wrong of a place, never its value."""
    try:
        yield
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(detail["loc"][0]).replace("_", "-")
        raise SettingsError(f"{prefix}{name}: {detail['msg'].removeprefix('Value error, ')}") from None


def _location(**said: str | None) -> StateLocation:
    return StateLocation.model_validate({name: value for name, value in said.items() if value is not None})


def _elsewhere(backend: LocalBackend | OtherBackend) -> Elsewhere:
    where = f"the file {backend.path}" if isinstance(backend, LocalBackend) else f"a backend of type {backend.type}"
    return Elsewhere(where=where)


def _other_than(own: str, container: str) -> str | None:
    return None if container == own else container


def _account_url(backend: AzurermBackend, settings: Settings) -> str | None:
    account = backend.storage_account_name
    own_host = host_of(settings.estate_account_url) if settings.estate_account_url else None
    own_account, _, domain = (own_host or account_of_connection_string(settings) or "").partition(".")
    if account is None or account == own_account:
        return None
    if not domain:
        raise SettingsError(
            f"the backend is in the storage account {account}, which is not the estate's: pass --state-key, --state-container "
            "and --state-account-url"
        )
    return f"https://{account}.{domain}"
