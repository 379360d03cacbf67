"""YAML as plain values, with the line on which each of them stands: of the policy, and of the library's file.

They need a small part of YAML, so only that part is read: mappings, lists, and scalars as YAML 1.2's core schema reads
them. In YAML 1.1, which PyYAML follows by itself, the market ``no`` would be false and the mode ``on`` true.
"""

import re
from typing import Final, NoReturn

import yaml  # type: ignore[import-untyped]  # its stubs would be one more dependency, for this one module

from records.policy_source import BrokenYaml, MarkedValues, Path, PlainValue

MAX_BYTES: Final = 256 * 1024
_MAX_DEPTH: Final = 20
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _RefusedError(Exception):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def read_marked_yaml(content: bytes) -> MarkedValues | BrokenYaml:
    """The values in these bytes. A file that is there and says nothing is broken: it may have been cut off."""
    if len(content) > MAX_BYTES:
        return BrokenYaml(message=f"is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return BrokenYaml(message="is not UTF-8", line=content.count(b"\n", 0, error.start) + 1)
    try:
        return _Reader(text).read()
    except _RefusedError as error:
        return BrokenYaml(message=error.message, line=error.line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return BrokenYaml(message=f"is no YAML: {error.problem}", line=mark.line + 1 if mark else None)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return BrokenYaml(message="holds a character that YAML does not allow", line=line)


class _Reader:
    """Goes through PyYAML's events, which say what is written and build nothing of it."""

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        self._lines: dict[Path, int] = {}

    def read(self) -> MarkedValues:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _RefusedError("says nothing; delete the file, or write `{}` for the defaults", 1)
        first = next(self._events)
        self._lines[()] = _line_of(first)
        values = self._value(first, ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            _refuse("a second document begins here; the file is one", after)
        if values is None:
            _refuse("says nothing; delete the file, or write `{}` for the defaults", first)
        return MarkedValues(values, self._lines)

    def _value(self, event: yaml.Event, path: Path) -> PlainValue:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            _refuse("anchors and aliases are not read; write it out", event)
        if event.tag is not None:
            _refuse("tags are not read", event)
        if len(path) > _MAX_DEPTH:
            _refuse(f"is nested more than {_MAX_DEPTH} deep", event)
        match event:
            case yaml.ScalarEvent():
                return _scalar(event)
            case yaml.SequenceStartEvent():
                return self._items(path)
            case _:
                return self._fields(path)

    def _items(self, path: Path) -> list[PlainValue]:
        items: list[PlainValue] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self._lines[here] = _line_of(event)
            items.append(self._value(event, here))
        return items

    def _fields(self, path: Path) -> dict[str, PlainValue]:
        fields: dict[str, PlainValue] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
                _refuse("a field's name must be plain text", event)
            name = str(event.value)
            here = (*path, name)
            if name in fields:
                _refuse(f"the field {name} stands here a second time (first on line {self._lines[here]})", event)
            self._lines[here] = _line_of(event)
            value = self._value(next(self._events), here)
            if value is None:
                # Whoever wrote `kill_switch:` and forgot why has pulled it all the same.
                _refuse(f"the field {name} says nothing: write its value, or leave it out", event)
            fields[name] = value
        return fields


def _scalar(event: yaml.ScalarEvent) -> PlainValue:
    text = str(event.value)
    if event.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


def _line_of(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1


def _refuse(message: str, event: yaml.Event) -> NoReturn:
    raise _RefusedError(message, _line_of(event))
