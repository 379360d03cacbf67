"""One package: gathered in a folder of its own, checked, and put in place whole."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from records.version import VERSION
from scripts.package.app_files import AppFiles, app_files
from scripts.package.archive import EXECUTABLE, Entry, sha256_of, write_archive
from scripts.package.errors import PackageError, spelt
from scripts.package.provider_locks import Lock, locks_in, locks_of_estate, needed
from scripts.package.provider_packages import Origin, ProviderPackage, most_unpacked_bytes, provider_packages
from scripts.package.python_dependencies import Dependency, install_dependencies, python_version
from scripts.package.terraform_release import Pin, read_pin, terraform_program

APP_FOLDER: Final = "/home/site/wwwroot"
"""Where Functions on Linux has the app (AzureWebJobsScriptRoot)."""
PROGRAM: Final = "terraform/terraform"
CLI_CONFIG: Final = "terraform/terraform.tfrc"
PROVIDERS: Final = "terraform/providers"
MANIFEST: Final = "trueup-package.json"
_CLI_CONFIG_TEXT: Final = """# No `direct` block: what is not in the package is not fetched, and its stack is inconclusive.
disable_checkpoint = true
provider_installation {{
  filesystem_mirror {{
    path = {mirror}
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be built. Where ``terraform`` is None it is downloaded; see `Origin` for ``mirrors``."""

    source: Path
    output: Path
    locks: tuple[Path, ...] = ()
    estates: tuple[Path, ...] = ()
    mirrors: tuple[Path, ...] = ()
    terraform: Path | None = None
    app_folder: str = APP_FOLDER
    without_providers: bool = False
    with_changes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """``program_bytes`` is Terraform's size, ``most_unpacked_bytes`` that of the providers of one plan, at most.

    ``commit`` is the app's; ``changed`` names its files that are not as the commit has them. ``left_out`` says which stacks had
    no say in it, and why.
    """

    file: Path
    sha256: str
    size_bytes: int
    commit: str
    changed: list[str]
    python: str
    terraform: str
    program_bytes: int
    providers: list[ProviderPackage]
    most_unpacked_bytes: int
    left_out: list[str]


def build(order: Order, *, tell: Callable[[str], None]) -> Built:
    """Builds ``trueup-VERSION.zip`` and, for ``sha256sum --check``, ``trueup-VERSION.zip.sha256``.

    ``tell`` is given a line for each step that takes long.

    Raises:
        PackageError: nothing was built, and an earlier package is as it was.
    """
    pin, python = read_pin(), python_version()
    locks, left_out = _locks(order)
    app = app_files(order.source, with_changes=order.with_changes)
    with tempfile.TemporaryDirectory(prefix="trueup-package-") as made:
        work = Path(made)
        tell(f"Terraform {pin.version}")
        program = work / "terraform"
        program.write_bytes(terraform_program(pin, order.terraform))
        program.chmod(EXECUTABLE)
        wanted = needed(locks)
        tell(f"{len(wanted)} providers of {len(locks)} lock files")
        providers = provider_packages(wanted, Origin(order.mirrors, program, work, pin.platform))
        tell("requirements.txt, by pip")
        installed = install_dependencies(order.source / "requirements.txt", work)
        mirror = json.dumps(f"{order.app_folder.rstrip('/')}/{PROVIDERS}")
        entries = [
            *app.entries,
            *installed.files,
            Entry(PROGRAM, program, EXECUTABLE),
            Entry(CLI_CONFIG, _CLI_CONFIG_TEXT.format(mirror=mirror).encode()),
            *(Entry(f"{PROVIDERS}/{one.place}", one.file, stored=True) for one in providers),
            Entry(MANIFEST, _manifest(app, python, pin, providers, installed.dependencies)),
        ]
        _refuse_doubles(entries)
        tell("the zip")
        file = order.output / f"trueup-{VERSION}.zip"
        sha256 = _put_in_place(file, entries)
        program_bytes = program.stat().st_size
    return Built(
        file=file,
        sha256=sha256,
        size_bytes=file.stat().st_size,
        commit=app.commit,
        changed=app.changed,
        python=python,
        terraform=pin.version,
        program_bytes=program_bytes,
        providers=providers,
        most_unpacked_bytes=most_unpacked_bytes(locks, providers),
        left_out=left_out,
    )


def _locks(order: Order) -> tuple[list[Lock], list[str]]:
    estates = [locks_of_estate(estate) for estate in order.estates]
    found = [lock for place in order.locks for lock in locks_in(place)] + [
        lock for one in estates for lock in one.locks
    ]
    left_out = [said for one in estates for said in one.left_out]
    if not any(lock.providers for lock in found) and not order.without_providers:
        remedy = (
            f"No lock file names a provider{' then' if left_out else ''}, so no stack that uses one could be planned. Give the "
            f"estate's by {spelt('estate', 'DIR')} or {spelt('locks', 'PATH')}; {spelt('without-providers')} builds a package "
            "all the same."
        )
        raise PackageError("\n".join([*(f"left out: {said}" for said in left_out), remedy]))
    return found, left_out


def _manifest(
    app: AppFiles, python: str, pin: Pin, providers: list[ProviderPackage], dependencies: list[Dependency]
) -> bytes:
    document = {
        "schema_version": 1,
        "trueup": VERSION,
        "commit": app.commit,
        "changed": app.changed,
        "python": python,
        "terraform": asdict(pin),
        "providers": [
            {"source": one.provider.source, "version": one.provider.version, "sha256": one.sha256} for one in providers
        ],
        "dependencies": [asdict(one) for one in dependencies],
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _refuse_doubles(entries: list[Entry]) -> None:
    names = [entry.name for entry in entries]
    doubled = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubled:
        raise PackageError(f"{doubled[0]}: is in the app and made by the build. List it in .funcignore.")


def _put_in_place(file: Path, entries: list[Entry]) -> str:
    with _coming(file.parent) as coming:
        write_archive(coming / file.name, entries)
        sha256 = sha256_of(coming / file.name)
        checksum = file.with_name(f"{file.name}.sha256")
        (coming / checksum.name).write_text(f"{sha256}  {file.name}\n", encoding="utf-8")
        checksum.unlink(missing_ok=True)  # an old one never stands beside a new package
        (coming / file.name).replace(file)
        (coming / checksum.name).replace(checksum)
    return sha256


@contextmanager
def _coming(parent: Path) -> Iterator[Path]:
    """A folder on the same disk, so that what is complete is put in place by a rename."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        coming = Path(tempfile.mkdtemp(prefix=".coming-", dir=parent))
    except OSError as error:
        raise PackageError(
            f"{parent}: cannot be written to ({error.strerror}). Make it writable, or build elsewhere by "
            "`python -m scripts.package --output DIR`."
        ) from None
    try:
        yield coming
    finally:
        shutil.rmtree(coming, ignore_errors=True)
