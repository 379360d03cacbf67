"""Which module a call is of, whatever its version and however its repository is reached.

A library in one repository tags its modules apart (``avm-res-keyvault-vault/v0.10.2``), so the tag's name says which module it
is; a repository with one module, or a folder for each, needs no name in the tag.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pins.address import LocalSource, PackageSource, RegistrySource
from pins.firmness import Pin, Reason
from pins.versions import Version, parse_version, read_ref

_MOST_PINS: Final = 4_096
"""An estate has few pins, and each of them in many stacks."""


@dataclass(frozen=True, slots=True, order=True)
class Module:
    """A module without its version: ``name`` is what people call it, ``package`` the repository or registry address it is from.

    ``within`` says which of the package's modules it is, where it has several.
    """

    name: str
    package: str
    within: str = ""


@lru_cache(maxsize=_MOST_PINS)
def module_of(pin: Pin) -> Module | None:
    """None for a local folder, and where the address could not be read."""
    match pin.source:
        case None | LocalSource():
            return None
        case RegistrySource(namespace=namespace, name=name, system=system, subdir=subdir) as source:
            address = f"{namespace}/{name}/{system}"
            return Module(f"{address}//{subdir}" if subdir else address, f"{source.host}/{address}", subdir or "")
        case PackageSource(subdir=subdir, ref=ref, path=path) as source:
            tagged = read_ref(ref).module if ref else None
            last = (tagged or subdir or path).rstrip("/").rpartition("/")[2]
            return Module(last, package_of(source), tagged or subdir or "")


def package_of(source: PackageSource) -> str:
    """The repository or archive that a source is from: ``host/path``, or the path alone where it is on this machine."""
    return f"{source.host}/{source.path.lstrip('/')}" if source.host else source.path


@lru_cache(maxsize=_MOST_PINS)
def version_of(pin: Pin) -> Version | None:
    """The one full version that a pin names; None where it is pinned otherwise."""
    if pin.pinned_to is None:
        return None
    if pin.reason in {Reason.EXACT_VERSION, Reason.NOT_RECORDED}:
        return parse_version(pin.pinned_to)
    return read_ref(pin.pinned_to).version if pin.reason is Reason.VERSION_TAG else None
