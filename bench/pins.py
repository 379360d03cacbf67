"""What auditing the module pins of many root modules costs, against bare python-hcl2 parsing of the same files."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hcl2

from adapters.configuration_folders import Wanted, read_configuration
from pins.audit import audit
from pins.configuration import BlockKind
from pins.firmness import Firmness

ROOT_MODULES: Final = 1_000
CALLS: Final = 12
_LIBRARY: Final = "git::https://dev.azure.com/contoso/platform/_git/modules"
_VARIABLES: Final = 15
_OUTPUTS: Final = 10
_MOST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Audited:
    """Seconds of each, over the same files."""

    ours_seconds: float
    bare_seconds: float
    file_count: int
    size_bytes: int
    lines: int


def write_root_modules(folder: Path, *, count: int = ROOT_MODULES) -> None:
    """Root modules as a platform team has them, each with calls, variables and outputs of its own."""
    (folder / ".git").mkdir(parents=True)
    for number in range(count):
        where = folder / "stacks" / f"m{number:04d}"
        where.mkdir(parents=True)
        (where / "main.tf").write_text("".join(_call(number, index) for index in range(CALLS)), encoding="utf-8")
        (where / "variables.tf").write_text(
            "".join(_variable(number, index) for index in range(_VARIABLES)), encoding="utf-8"
        )
        (where / "outputs.tf").write_text(
            "".join(_output(number, index) for index in range(_OUTPUTS)), encoding="utf-8"
        )
        (where / "providers.tf").write_text('provider "azurerm" {\n  features {}\n}\n', encoding="utf-8")


def measure(folder: Path) -> Audited:
    files = sorted(folder.rglob("*.tf"))
    started = time.perf_counter()
    wanted = Wanted(kinds=frozenset({BlockKind.MODULE}), max_bundle_bytes=_MOST_BYTES)
    found = audit(read_configuration([folder], wanted))
    audited = time.perf_counter()
    for file in files:
        with file.open(encoding="utf-8") as opened:
            hcl2.load(opened)
    parsed = time.perf_counter()
    if found.counts[Firmness.HARD] != len(files) // 4 * CALLS or found.unread:
        raise AssertionError("the audit has not found every call")
    texts = [file.read_bytes() for file in files]
    return Audited(
        ours_seconds=audited - started,
        bare_seconds=parsed - audited,
        file_count=len(files),
        size_bytes=sum(map(len, texts)),
        lines=sum(text.count(b"\n") for text in texts),
    )


def _call(number: int, index: int) -> str:
    return (
        f'module "part_{index}" {{\n'
        f'  source   = "{_LIBRARY}?ref=avm-res-part{index}/v1.{number % 7}.{index}"\n'
        f"  for_each = {{ for key, value in var.items_{index} : key => value if value.enabled }}\n"
        f'  name     = "part-{number}-${{each.key}}"\n'
        f'  tags = merge(local.tags, {{\n    market = var.market\n    part   = "{index}"\n  }})\n'
        f'  rules = [\n    {{ name = "a", port = 443 }},\n    {{ name = "b", port = {8000 + index} }},\n  ]\n}}\n\n'
    )


def _variable(number: int, index: int) -> str:
    return (
        f'variable "items_{index}" {{\n  description = "What market {number} has of part {index}."\n'
        "  type        = map(object({ enabled = bool, size = optional(number, 1) }))\n  default     = {}\n}\n\n"
    )


def _output(number: int, index: int) -> str:
    value = f'{{ for key, part in module.part_{index} : "{number}-${{key}}" => part.id }}'
    return f'output "ids_{index}" {{\n  value = {value}\n}}\n\n'
