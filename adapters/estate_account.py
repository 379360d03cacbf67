"""The estate's own storage account, as the settings name it."""

from typing import Final

from adapters.settings import Settings
from records.errors import SettingsError

_EMULATOR: Final = "devstoreaccount1"
"""What ``UseDevelopmentStorage=true`` stands for
(https://learn.microsoft.com/azure/storage/common/storage-connect-azurite#http-connection-strings).
"""


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
