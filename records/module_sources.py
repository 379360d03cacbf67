"""A module's source without the secrets in it.

Source: https://github.com/hashicorp/go-getter#protocol-specific-options, by which some arguments of a query are credentials.
"""

import re
from typing import Final

_MASK: Final = "***"
_PLAIN_ARGUMENTS: Final = frozenset({"ref", "rev", "depth", "archive", "checksum", "version", "filename"})
"""What go-getter takes in a query and is no credential."""
_PLAIN_VALUE = re.compile(r"[^;=\s]*")
_AZURE_DEVOPS: Final = "dev.azure.com"
_WITH_USERINFO = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<userinfo>[^/?#]+)@(?=(?P<rest>[^?#]*))", re.IGNORECASE
)


def masked_source(source: str) -> str:
    """A module's source with ``***`` for every credential in it.

    A user alone is none where the scheme is ssh, where it is ``git``, and where it is the organisation, as in the
    clone URLs of Azure DevOps: ``https://org@dev.azure.com/org/…``.
    """
    address, mark, query = _WITH_USERINFO.sub(_masked_userinfo, source).partition("?")
    return address + mark + "&".join(_masked_argument(argument) for argument in query.split("&"))


def _masked_userinfo(match: re.Match[str]) -> str:
    userinfo = match["userinfo"]
    host, _, path = match["rest"].partition("/")
    is_organisation = host.lower() == _AZURE_DEVOPS and path.startswith(f"{userinfo}/")
    is_plain = ":" not in userinfo and (match["scheme"].lower() == "ssh" or userinfo == "git" or is_organisation)
    return match[0] if is_plain else f"{match['scheme']}://{_MASK}@"


def _masked_argument(argument: str) -> str:
    name, mark, value = argument.partition("=")
    if not argument or (name in _PLAIN_ARGUMENTS and _PLAIN_VALUE.fullmatch(value)):
        return argument
    return f"{name}={_MASK}" if mark else _MASK
