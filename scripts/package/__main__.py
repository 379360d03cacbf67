"""``python -m scripts.package``, which ``make package`` runs."""

import argparse
import sys
from pathlib import Path
from typing import Final

from scripts.package.build import APP_FOLDER, CLI_CONFIG, PROGRAM, Built, Order, build
from scripts.package.errors import PackageError

_MB: Final = 1_000_000
_TEMPORARY_BYTES: Final = 800 * _MB
"""Of an instance on Flex Consumption. Source: learn.microsoft.com/azure/azure-functions/functions-scale#service-limits."""
_PLACES: Final = (
    ("--estate", "DIR", "an estate on disk: the lock file of each deployed stack"),
    ("--locks", "PATH", "a .terraform.lock.hcl, or a folder with some below it"),
    ("--mirror", "DIR", "a mirror of providers, packed: taken before a registry"),
)
_EXAMPLES: Final = """examples:
  make package ESTATE=/tmp/estate
      with the providers of what is deployed now; /tmp/estate holds the containers trackers and bundles as folders
  python -m scripts.package --locks ../stacks --mirror /srv/mirror --terraform terraform_1.11.4_linux_amd64.zip
      with no network but for pip's

exit status: 0 the package is there, 1 it is not, and an earlier one is as it was, 2 the command is wrong"""


def main() -> int:
    arguments = _parser().parse_args()
    order = Order(
        source=Path(__file__).parents[2],
        output=arguments.output,
        locks=tuple(arguments.locks),
        estates=tuple(arguments.estate),
        mirrors=tuple(arguments.mirror),
        terraform=arguments.terraform,
        app_folder=arguments.app_folder,
        without_providers=arguments.without_providers,
        with_changes=arguments.changes,
    )
    try:
        built = build(order, tell=_tell)
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    _report(built, arguments.app_folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.package",
        description="Builds dist/trueup-VERSION.zip: the app as it was committed, its dependencies, Terraform, and the "
        "providers of\nan estate. Each is checked by its sha256 or its id in the commit.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, place, meaning in _PLACES:
        parser.add_argument(name, metavar=place, type=Path, action="append", default=[], help=f"{meaning}; repeatable")
    parser.add_argument(
        "--terraform", metavar="FILE", type=Path, help="Terraform's zip or program; else it is downloaded"
    )
    parser.add_argument(
        "--app-folder", metavar="PATH", default=APP_FOLDER, help="where the app is; by default %(default)s"
    )
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("dist"), help="by default %(default)s")
    parser.add_argument(
        "--without-providers", action="store_true", help="build also where no lock file names a provider"
    )
    parser.add_argument(
        "--with-changes",
        dest="changes",
        action="store_true",
        help="pack files that git tracks as they are now, where they are not as they were committed",
    )
    return parser


def _tell(step: str) -> None:
    if sys.stderr.isatty():
        print(f"… {step}", file=sys.stderr)


def _report(built: Built, app_folder: str) -> None:
    for said in built.left_out:
        print(f"left out: {said}", file=sys.stderr)
    print(f"{built.file}  {built.size_bytes / _MB:.0f} MB")
    print(f"sha256 {built.sha256}")
    changes = f", but for {', '.join(built.changed)}" if built.changed else ""
    print(f"of commit {built.commit}{changes}")
    print(f"for Python {built.python}, with Terraform {built.terraform} and {len(built.providers)} providers:")
    for one in built.providers:
        print(f"  {one.provider}  {one.packed_bytes / _MB:.0f} MB, unpacked {one.unpacked_bytes / _MB:.0f} MB")
    print("app settings:")
    print(f"  TF_BINARY={app_folder}/{PROGRAM}")
    print(f"  TF_CLI_CONFIG_FILE={app_folder}/{CLI_CONFIG}")
    if built.most_unpacked_bytes:
        fit = (_TEMPORARY_BYTES - built.program_bytes) // built.most_unpacked_bytes
        print(
            f"A plan unpacks up to {built.most_unpacked_bytes / _MB:.0f} MB of providers; at most {fit} at once fit the "
            "temporary storage of an instance (PLANS_PER_INSTANCE)."
        )


if __name__ == "__main__":
    sys.exit(main())
