"""The Terraform that is pinned: its program, out of a release's zip, and never another."""

import hashlib
import http.client
import io
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

from scripts.package.errors import PackageError, spelt

PIN_FILE: Final = Path(__file__).with_name("terraform.toml")
_PROGRAM: Final = "terraform"
_ZIP: Final = b"PK\x03\x04"
_LIMIT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Pin:
    """``platform`` is ``os_arch``; the hashes are in hex, of the release's zip and of the program in it."""

    version: str
    platform: str
    zip_sha256: str
    program_sha256: str

    @property
    def url(self) -> str:
        name = f"terraform_{self.version}_{self.platform}.zip"
        return f"https://releases.hashicorp.com/terraform/{self.version}/{name}"


def read_pin(file: Path = PIN_FILE) -> Pin:
    """Raises:
    PackageError: a field is not there or is no text.
    """
    found = tomllib.loads(file.read_text("utf-8"))
    wrong = [name for name in Pin.__slots__ if not isinstance(found.get(name), str)]
    if wrong or set(found) - set(Pin.__slots__):
        raise PackageError(f"{file}: must have {', '.join(Pin.__slots__)}, each a text, and nothing else.")
    return Pin(**found)


def terraform_program(pin: Pin, given: Path | None) -> bytes:
    """The program, from ``given``, which is the release's zip or the program itself; downloaded where that is None.

    Raises:
        PackageError: it cannot be had, or is not what is pinned.
    """
    name = str(given) if given else pin.url
    content = _read(given) if given else _downloaded(pin)
    if given and not content.startswith(_ZIP):
        return _checked(name, content, pin.program_sha256, pin)
    _checked(name, content, pin.zip_sha256, pin)
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            program = archive.read(_PROGRAM)
    except (BadZipFile, KeyError) as error:
        raise PackageError(f"{name}: holds no {_PROGRAM} ({error}). Take the zip of {pin.url}.") from None
    return _checked(f"{_PROGRAM} in {name}", program, pin.program_sha256, pin)


def _checked(name: str, content: bytes, expected: str, pin: Pin) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise PackageError(
            f"{name}: its sha256 is {found}, and {PIN_FILE.name} pins {expected} for Terraform {pin.version}. "
            f"Take {pin.url}, or pin the version that you want with the hashes that HashiCorp has signed."
        )
    return content


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PackageError(f"{file}: cannot be read ({error.strerror}). Name Terraform's zip or program.") from None


def _downloaded(pin: Pin) -> bytes:
    try:
        with urllib.request.urlopen(pin.url, timeout=_LIMIT_SECONDS) as answer:  # noqa: S310 (https, above)
            content: bytes = answer.read()
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise PackageError(
            f"{pin.url}: cannot be downloaded ({error}). Download it elsewhere, and give it by {spelt('terraform', 'FILE')}."
        ) from None
    return content
