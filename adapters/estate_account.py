"""The storage account that the settings name, and what follows from its URL or connection string."""

from enum import StrEnum
from typing import Final

from adapters.account_urls import host_of
from adapters.settings import Settings
from records.errors import SettingsError

_EMULATOR: Final = "devstoreaccount1"
"""What ``UseDevelopmentStorage=true`` stands for
(https://learn.microsoft.com/azure/storage/common/storage-connect-azurite#http-connection-strings).
"""


class StorageService(StrEnum):
    """As the host of an account's endpoint names it, behind the account and before the cloud's domain."""

    BLOB = "blob"
    TABLE = "table"
    QUEUE = "queue"


def url_of_service(
    account_url: str, *, of: StorageService, wanted: StorageService, setting: str, follows_from: str
) -> str:
    """The URL of another service of the account whose service ``of`` has this URL.

    Raises:
        SettingsError: the URL does not name its service, as a custom domain may not; ``setting`` has to say it.
    """
    if f".{of}." not in account_url:
        raise SettingsError(f"set {setting}: it does not follow from {follows_from}")
    return account_url.replace(f".{of}.", f".{wanted}.", 1)


def account_name(settings: Settings) -> str:
    """The estate's, as Terraform's backend wants it: without the rest of the host, which must therefore be storage's own.

    Raises:
        SettingsError: the settings name no account, or not by a name of this kind.
    """
    if settings.estate_account_url:
        host = host_of(settings.estate_account_url) or ""
        if f".{StorageService.BLOB}." not in host:
            raise SettingsError("ESTATE_ACCOUNT_URL: Terraform's backend needs the account's own blob endpoint")
        return host.partition(".")[0]
    if settings.estate_connection_string is None:
        raise no_estate()
    name = account_of_connection_string(settings)
    if name is None:
        raise SettingsError("ESTATE_CONNECTION_STRING: it has no AccountName, which Terraform's backend needs")
    return name


def account_of_connection_string(settings: Settings) -> str | None:
    """The name of the account that the estate's connection string is of; None without a string, or without a name in it.

    Raises:
        SettingsError: it is no connection string.
    """
    if settings.estate_connection_string is None:
        return None
    # As `adapters.azure_bootstrap`: an estate on disk should not pay for it.
    from azure.core.utils import parse_connection_string  # noqa: PLC0415

    try:
        parts = parse_connection_string(settings.estate_connection_string.get_secret_value())
    except ValueError:
        raise SettingsError("ESTATE_CONNECTION_STRING: it is malformed (docs/configuration.md)") from None
    return parts.get("accountname") or (_EMULATOR if "usedevelopmentstorage" in parts else None)


def no_estate() -> SettingsError:
    return SettingsError("no estate: pass --estate DIR, or set ESTATE_ACCOUNT_URL (docs/configuration.md)")
