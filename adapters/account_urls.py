"""Storage accounts' URLs, as a registry record gives them: believed only where they are plain."""

import re
from typing import Final
from urllib.parse import urlsplit

from records.errors import AccountNotAllowedError

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_PLAIN: Final = re.compile(r"https://[a-z0-9.-]+(:443)?/?", re.IGNORECASE)


def host_of(url: str) -> str | None:
    """The host of a plain ``https`` URL without user, port, path or query, in small letters; None for any other."""
    if not _PLAIN.fullmatch(url):
        return None
    host = urlsplit(url).hostname or ""
    return host if _HOST.fullmatch(host) else None


def plain_host(account_url: str, *, place: object) -> str:
    """As `host_of`, of the account that ``place`` is said to be in.

    Raises:
        AccountNotAllowedError: the URL is not plain. It is not quoted, as it may hold a signature or a password.
    """
    host = host_of(account_url)
    if host is None:
        raise AccountNotAllowedError(str(place), "its account_url is no plain https URL of a host")
    return host


def is_under(host: str, suffix: str) -> bool:
    """Whether a host ends in a suffix at a dot, or is it where it has no leading dot.

    ``evilcontoso.example`` is not under ``contoso.example``, and ``blob.core.windows.net`` is not under that with a dot.
    """
    domain = suffix.lower()
    return host.endswith(f".{domain.lstrip('.')}") or host == domain
