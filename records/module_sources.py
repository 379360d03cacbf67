"""A module's source without the secrets in it.

Source: https://developer.hashicorp.com/terraform/language/modules/sources (forms), and
https://github.com/hashicorp/go-getter#protocol-specific-options, by which some arguments of a query are credentials.

Secrets are looked for in whatever is before an ``@``, well-formed or not: an address that Terraform refuses, such as one with a
``/`` in its password, is told like any other.
"""

import re
from typing import Final
from urllib.parse import unquote

MASK: Final = "***"
_LOCAL: Final = ("./", "../", ".\\", "..\\")
_PREFIX = re.compile(
    r"(?P<getters>(?:[a-z0-9]+::)*)(?:(?P<scheme>https?|ssh|git|hg|s3|gcs|oci|file|ftp):[/\\]*)?", re.IGNORECASE
)
_HOST_AND_PATH = re.compile(r"[\w.-]*(?::[0-9]+)?[/\\]")
_USERS_HOST_AND_PATH = re.compile(r"[\w.-]+[:/\\]")
_AZURE_DEVOPS = re.compile(
    r"(?:dev\.azure\.com|ssh\.dev\.azure\.com|vs-ssh\.visualstudio\.com)(?::[0-9]+)?[:/](?:v3/)?(?P<organisation>[^/]+)/",
    re.IGNORECASE,
)
_NO_PORT = re.compile(r"\A(?P<host>[\w.-]*):(?![0-9]*(?:[/\\?#]|$))[^/\\?#]*")
_SSH_USER = re.compile(r"(?P<before>\A(?:git::)?(?:ssh://)?)[a-z][a-z0-9._-]{0,31}(?=@[\w.-]+[:/])")
"""A user as Unix has them: a token is longer, or has capitals."""
_S3 = re.compile(r"[\w.-]+\.amazonaws\.com/", re.IGNORECASE)
_GCS = re.compile(r"(?:www|storage)\.googleapis\.com/", re.IGNORECASE)
_REF = re.compile(r"[\w./@+,!()-]*")
_REF_ARGUMENT = re.compile(rf"[?&](?:ref|rev|tag|filename)={_REF.pattern}")
_CHECKSUM = re.compile(r"[\w.+/:-]*")
_ID = re.compile(r"[\w.-]*")
_ANYWHERE: Final = {"archive": _ID, "checksum": _CHECKSUM, "filename": _REF}
_PLAIN_ARGUMENTS: Final = {
    "git": {"ref": _REF, "depth": _ID},
    "hg": {"rev": _REF},
    "s3": {"version": _ID},
    "oci": {"tag": _REF, "digest": _CHECKSUM},
}
"""What each getter takes in a query and is no credential; to a server of archives, a ``ref`` may be anything."""


def masked_source(source: str) -> str:
    """A module's source with ``***`` for every credential in it; masking it again changes nothing.

    A user is kept where it is ``git``, and where it is the organisation, as in the clone URLs of Azure DevOps:
    ``https://org@dev.azure.com/org/…``. A fragment is kept where it is the generation of an object in GCS.
    """
    if source.startswith(_LOCAL):
        return source
    match = _PREFIX.match(source)
    prefix = match[0] if match else ""
    userinfo, at, address = _split_at_host(source[len(prefix) :])
    user = userinfo if not at or _is_plain_user(userinfo, address) else MASK
    getter = _getter(match, address)
    if match and match["scheme"] and match["scheme"].lower() != "ssh":
        # Most likely a password, whose host was forgotten; after ssh:// it is the path of the form without a scheme.
        address = _NO_PORT.sub(rf"\g<host>:{MASK}", address)
    address, hash_mark, fragment = address.partition("#")
    address, query_mark, query = address.partition("?")
    arguments = "&".join(_masked_argument(argument, getter) for argument in query.split("&"))
    if fragment and not (getter == "gcs" and fragment.isdecimal()):
        fragment = MASK
    return prefix + user + at + address + query_mark + arguments + hash_mark + fragment


def holds_credential(source: str) -> bool:
    """Whether something in it lets its reader in. The name of a user of ssh does not, which is masked only where all see it."""
    named = _SSH_USER.sub(r"\g<before>git", source)
    return masked_source(named) != named


def _split_at_host(text: str) -> tuple[str, str, str]:
    """What is before the host, the ``@``, and the rest.

    An ``@`` behind the path is part of a ref, as in ``?ref=kv@v1.2.3``, or shows that no host and path are before it.
    """
    place = re.split(r"[?#]", text, maxsplit=1)[0]
    userinfo, at, host_and_path = place.rpartition("@")
    form = _USERS_HOST_AND_PATH if at else _HOST_AND_PATH
    if form.match(host_and_path) and "@" not in _REF_ARGUMENT.sub("", text[len(place) :]):
        return userinfo, at, host_and_path + text[len(place) :]
    return text.rpartition("@")


def _is_plain_user(userinfo: str, address: str) -> bool:
    repository = _AZURE_DEVOPS.match(address)
    organisation = repository["organisation"] if repository else None
    return userinfo == "git" or (organisation is not None and userinfo.lower() == organisation.lower())


def _getter(prefix: re.Match[str] | None, address: str) -> str:
    """What Terraform would fetch it with."""
    getters, scheme = (prefix["getters"], prefix["scheme"]) if prefix else ("", None)
    if getters:
        return getters.lower().split("::")[-2]
    if scheme:
        return "git" if scheme.lower() == "ssh" else scheme.lower()
    if _S3.match(address):
        return "s3"
    return "gcs" if _GCS.match(address) else "git"


def _masked_argument(argument: str, getter: str) -> str:
    name, _, value = argument.partition("=")
    plain = (_ANYWHERE | _PLAIN_ARGUMENTS.get(getter, {})).get(name)
    if not argument or (plain and plain.fullmatch(unquote(value))):
        return argument
    is_named = bool(value.strip("=")) and _ID.fullmatch(name)
    return f"{name}={MASK}" if is_named else MASK
