"""Reads ``library.yaml``, which says what the library of modules owns."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from adapters.bundle_unpacking import shown
from adapters.marked_yaml import read_marked_yaml
from pins.library import LibraryFile, package_at
from records.errors import ConfigurationError
from records.policy_source import BrokenYaml, line_of

_Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_Type = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*_[a-z0-9_]+$", max_length=256)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    modules: dict[_Name, list[_Type]] = Field(min_length=1)
    sources: list[_Name] = []
    folders: list[_Name] = []


def read_library_file(path: Path) -> LibraryFile:
    """Raises:
    ConfigurationError: it cannot be read, is no YAML, or has a field that is wrong; the text says which, and on which line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{shown(path)}: it cannot be read ({error.strerror}). Give the library's file with --library-file."
        ) from None
    values = read_marked_yaml(content)
    if isinstance(values, BrokenYaml):
        raise _wrong(path, values.line, values.message)
    try:
        document = _Document.model_validate(values.values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        loc = tuple(step for step in first["loc"] if step != "[key]")
        field = ".".join(map(str, loc))
        raise _wrong(path, line_of(loc, values.lines), f"{field}: {first['msg']}".removeprefix(": ")) from None
    for index, source in enumerate(document.sources):
        if package_at(source) is None:
            line = line_of(("sources", index), values.lines)
            raise _wrong(path, line, f"sources.{index}: it is no address of a git repository")
    owners: dict[str, tuple[str, ...]] = {}
    for module, types in sorted(document.modules.items()):
        for type_ in types:
            owners[type_] = (*owners.get(type_, ()), module)
    return LibraryFile(
        owners=owners,
        sources=tuple(document.sources),
        folders=tuple(folder.strip("/").removeprefix("./") for folder in document.folders),
    )


def _wrong(path: Path, line: int | None, message: str) -> ConfigurationError:
    where = shown(path) if line is None else f"{shown(path)}:{line}"
    return ConfigurationError(f"{where}: {message}. docs/pins.md says what the file holds.")
