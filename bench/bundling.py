"""What packing a bundle costs, against Python's own zipfile over the same files and against reading them alone."""

import time
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from adapters.bundle_zip import pack_bundle

_MOST_BYTES: Final = 64 * 1024 * 1024
_LINE: Final = "# a line as a module has them, of which there are many\n"


@dataclass(frozen=True, slots=True)
class Packed:
    """Seconds of each, for the same folder."""

    ours_seconds: float
    zipfile_seconds: float
    file_count: int
    size_bytes: int


def make_root_module(folder: Path, *, modules: int, files_a_module: int, lines: int) -> None:
    """A root module whose modules are all fetched, as a library of pinned modules leaves it."""
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text("", encoding="utf-8")
    (folder / ".gitignore").write_text("*.log\n.terraform/\n*.tfvars\nbuild/\n", encoding="utf-8")
    records = ['{"Key":"","Source":"","Dir":"."}']
    for number in range(modules):
        where = folder / ".terraform" / "modules" / f"m{number}"
        where.mkdir(parents=True)
        source = f"git::https://example.test/modules?ref=m{number}/v1.0.0"
        records.append(f'{{"Key":"m{number}","Source":"{source}","Dir":".terraform/modules/m{number}"}}')
        for file in range(files_a_module):
            (where / f"f{file}.tf").write_text(f"# {number}.{file}\n" + _LINE * lines, encoding="utf-8")
    manifest = folder / ".terraform" / "modules" / "modules.json"
    manifest.write_text(f'{{"Modules":[{",".join(records)}]}}', encoding="utf-8")


def measure(folder: Path) -> Packed:
    started = time.perf_counter()
    bundle = pack_bundle(folder, max_bytes=_MOST_BYTES)
    packed = time.perf_counter()
    with zipfile.ZipFile(BytesIO(), "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return Packed(
        ours_seconds=packed - started,
        zipfile_seconds=time.perf_counter() - packed,
        file_count=bundle.file_count,
        size_bytes=len(bundle.content),
    )
