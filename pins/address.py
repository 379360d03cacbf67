"""A module's source address, taken apart.

Source: https://developer.hashicorp.com/terraform/language/modules/sources (forms),
https://developer.hashicorp.com/terraform/internals/module-registry-protocol (registry addresses), and hashicorp/terraform
``internal/getmodules/moduleaddrs``, which tries the forms in the order in which `parse_source` does. ``oci://`` is OpenTofu's
(https://opentofu.org/docs/language/modules/sources/#oci-distribution-repository).
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from posixpath import normpath
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from records.errors import ModuleSourceError
from records.modules import is_local_source


class Scheme(StrEnum):
    """What Terraform fetches a package with."""

    GIT = "git"
    MERCURIAL = "hg"
    HTTP = "http"
    S3 = "s3"
    GCS = "gcs"
    OCI = "oci"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A folder beside the module that calls it: no package, and no version of its own."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySource:
    """A module of a registry, whose version the call's ``version`` chooses. ``host`` is in lower case."""

    host: str
    namespace: str
    name: str
    system: str
    subdir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """A package to be fetched from elsewhere.

    ``host`` and ``path`` say where, in one spelling for all the ways in which the same repository can be reached: no scheme, no
    user, no port that is the scheme's own, no ``.git``, and no capitals where the host does not mind case. ``arguments`` are
    those of the query but ``ref``, and may be secrets.
    """

    scheme: Scheme
    host: str
    path: str
    subdir: str | None = None
    ref: str | None = None
    arguments: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def argument(self, name: str) -> str | None:
        return next((value for key, value in self.arguments if key == name and value), None)

    @property
    def depth(self) -> str | None:
        """How many commits a clone is to have: no part of what is pinned."""
        return self.argument("depth")


Source = LocalSource | RegistrySource | PackageSource

PUBLIC_REGISTRY: Final = "registry.terraform.io"
_REF_ARGUMENTS: Final = {Scheme.GIT: "ref", Scheme.MERCURIAL: "rev", Scheme.OCI: "tag"}
_FORCED = re.compile(r"(?P<getter>[A-Za-z0-9]+)::(?P<rest>.*)", re.DOTALL)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^/:@]+):(?!//)/?(?P<path>.+)", re.DOTALL)
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]")
_REGISTRY_NAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z_-]{0,62}[0-9A-Za-z])?")
_REGISTRY_SYSTEM = re.compile(r"[0-9a-z]{1,64}")
_REGISTRY_HOST = re.compile(r"[0-9a-z](?:[0-9a-z-]*[0-9a-z])?(?:\.[0-9a-z](?:[0-9a-z-]*[0-9a-z])?)+(?::[0-9]{1,5})?")
_NO_REGISTRIES: Final = frozenset({"github.com", "bitbucket.org"})
_AZURE_DEVOPS: Final = "dev.azure.com"
_AZURE_DEVOPS_SSH: Final = frozenset({"ssh.dev.azure.com", "vs-ssh.visualstudio.com"})
_WITHOUT_CASE: Final = frozenset({_AZURE_DEVOPS, "github.com"})
"""Hosts that find a repository whatever the case of its name."""
_NO_SCP_HOSTS: Final = frozenset({"http", "https", "ssh", "file"})
"""What stands before the colon of a URL that was mistyped, and is no host."""
_DEFAULT_PORTS: Final = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
_URL_SCHEMES: Final = {
    "git": Scheme.GIT,
    "hg": Scheme.MERCURIAL,
    "http": Scheme.HTTP,
    "https": Scheme.HTTP,
    "s3": Scheme.S3,
    "gcs": Scheme.GCS,
    "oci": Scheme.OCI,
    "file": Scheme.FILE,
}


def parse_source(source: str) -> Source:
    """The address that Terraform would take ``source`` for.

    Raises:
        ModuleSourceError: it has none of the forms that Terraform knows.
    """
    if not source or source != source.strip():
        raise ModuleSourceError("it is empty, or begins or ends with a blank")
    if is_local_source(source):
        return LocalSource(normpath(source.replace("\\", "/")))
    return _registry(source) or _package(source)


def _registry(source: str) -> RegistrySource | None:
    """``[host/]namespace/name/system[//subdir]``; None where it is something else."""
    address, mark, subdir = source.partition("//")
    host, *names = address.split("/") if address.count("/") == 3 else [PUBLIC_REGISTRY, *address.split("/")]
    host = host.lower()
    if len(names) != 3 or host in _NO_REGISTRIES or not _REGISTRY_HOST.fullmatch(host):
        return None
    namespace, name, system = names
    if not (
        _REGISTRY_NAME.fullmatch(namespace) and _REGISTRY_NAME.fullmatch(name) and _REGISTRY_SYSTEM.fullmatch(system)
    ):
        return None
    return RegistrySource(
        host=host, namespace=namespace, name=name, system=system, subdir=_subdir(subdir) if mark else None
    )


def _package(source: str) -> PackageSource:
    forced = _FORCED.fullmatch(source)
    getter, address = (forced["getter"].lower(), forced["rest"]) if forced else (None, source)
    if getter is not None and getter not in _URL_SCHEMES:
        raise ModuleSourceError(f"Terraform fetches nothing with `{getter}::`")
    address, query = _without_query(address)
    address, subdir = _without_subdir(address)
    scheme, host, path = _place(address, getter)
    if getter is not None:
        scheme = _URL_SCHEMES[getter]
    host, path = _one_spelling(scheme, host, path)
    if not path:
        raise ModuleSourceError("it names a host and nothing on it")
    ref_argument = _REF_ARGUMENTS.get(scheme)
    return PackageSource(
        scheme=scheme,
        host=host,
        path=path,
        subdir=subdir,
        ref=next((value for name, value in query if name == ref_argument), None),
        arguments=tuple((name, value) for name, value in query if name != ref_argument),
    )


def _without_query(address: str) -> tuple[str, list[tuple[str, str]]]:
    address, _, query = address.partition("?")
    query, _, fragment = query.partition("#")
    if not fragment:
        address, _, fragment = address.partition("#")
    arguments = parse_qsl(query, keep_blank_values=True, separator="&")
    return address, [*arguments, ("#", fragment)] if fragment else arguments


def _without_subdir(address: str) -> tuple[str, str | None]:
    """``//`` begins a folder of the package, but that of a scheme."""
    url = _URL.match(address)
    start = url.end() if url else 0
    index = address.find("//", start)
    return (address, None) if index < 0 else (address[:index], _subdir(address[index + 2 :]))


def _subdir(text: str) -> str | None:
    path = normpath(text.strip("/")) if text.strip("/") else "."
    if path == ".." or path.startswith("../"):
        raise ModuleSourceError("its folder leads out of the package")
    return None if path == "." else path


def _place(address: str, getter: str | None) -> tuple[Scheme, str, str]:
    """Scheme, host and path of an address without query and subfolder."""
    if _URL.match(address):
        return _of_url(address, getter)
    if address.startswith("/") or _WINDOWS_PATH.match(address):
        return Scheme.FILE, "", address.replace("\\", "/")
    first, _, rest = address.partition("/")
    match first:
        case "github.com" | "bitbucket.org" as host if rest.count("/") >= 1 and "" not in rest.split("/")[:2]:
            return Scheme.GIT, host, rest
        case "www.googleapis.com" | "storage.googleapis.com" as host:
            return Scheme.GCS, host, rest
        case host if host.endswith(".amazonaws.com"):
            return Scheme.S3, host, rest
    # Terraform 1.11 takes no user but `git` here; its documentation has others.
    scp = _SCP.fullmatch(address)
    if scp and (scp["user"] or getter == "git") and scp["host"].lower() not in _NO_SCP_HOSTS:
        host = scp["host"].lower()
        # Azure DevOps escapes blanks in the addresses that it gives for ssh; elsewhere `%20` may be a folder's name.
        return Scheme.GIT, host, unquote(scp["path"]) if host in _AZURE_DEVOPS_SSH else scp["path"]
    if getter in {"git", "hg"} and rest and "." in first:
        return _URL_SCHEMES[getter], first.lower(), rest
    raise ModuleSourceError("it has none of the forms that Terraform knows")


def _of_url(address: str, getter: str | None) -> tuple[Scheme, str, str]:
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ModuleSourceError("it is no URL that can be read") from None
    known = _URL_SCHEMES.get(url.scheme)
    if known is None and not (getter == "git" and url.scheme == "ssh"):
        hint = "; write `git::` before it" if url.scheme == "ssh" else ""
        raise ModuleSourceError(f"Terraform fetches nothing with {url.scheme}://{hint}")
    if not host and url.scheme != "file":
        raise ModuleSourceError("it names no host")
    if port and port != _DEFAULT_PORTS.get(url.scheme):
        host = f"{host}:{port}"
    return known or Scheme.GIT, host, unquote(url.path)


def _one_spelling(scheme: Scheme, host: str, path: str) -> tuple[str, str]:
    """The same repository under the same name, over https and ssh, and with each host that Azure DevOps has had."""
    if scheme is not Scheme.GIT:
        return host, path if scheme is Scheme.FILE else path.strip("/")
    path = path.rstrip("/").removesuffix(".git")
    path = path if not host else path.strip("/")
    parts = path.split("/")
    if host in _AZURE_DEVOPS_SSH and len(parts) == 4 and parts[0] == "v3":
        host, parts = _AZURE_DEVOPS, [parts[1], parts[2], "_git", parts[3]]
    organisation, _, domain = host.partition(".")
    if domain == "visualstudio.com":
        host, parts = _AZURE_DEVOPS, [organisation, *(part for part in parts if part != "DefaultCollection")]
    if host == _AZURE_DEVOPS and len(parts) == 3 and parts[1] == "_git":
        parts = [parts[0], parts[2], "_git", parts[2]]
    path = "/".join(parts)
    return host, path.casefold() if host in _WITHOUT_CASE else path
