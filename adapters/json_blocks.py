"""The blocks of one file of Terraform's configuration, in JSON syntax, with their lines.

Source: https://developer.hashicorp.com/terraform/language/syntax/json: a block's body may stand in a list of one or more, and
a string is a template.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from adapters.hcl_blocks import BrokenFileError
from pins.configuration import Argument, Block, BlockKind, Trouble
from pins.firmness import NOT_LITERAL, Text

_NEWLINE = re.compile(r"\n")
_BLANKS = re.compile(r"[ \t\r\n]*")
_TEMPLATE = re.compile(r"(?<![$%])(?:\$\$|%%)*[$%]\{")
_ESCAPES: Final = (("$${", "${"), ("%%{", "%{"))
_DECODER: Final = json.JSONDecoder(parse_int=str)
"""Numbers are not looked at, and Python refuses to make one of very many digits."""
_NULL: Final = "null"


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an object: its name, where that stands, and where its value begins."""

    name: str
    at: int
    value_at: int


def read_json(text: str) -> tuple[Block, ...]:
    """The module and resource blocks of a file, in its order.

    Raises:
        BrokenFileError: it is no JSON, or not what Terraform takes for configuration.
    """
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BrokenFileError(Trouble.BROKEN_JSON, f"it is no JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise BrokenFileError(Trouble.BROKEN_JSON, "it is nested too deep") from None
    if not isinstance(document, dict):
        raise BrokenFileError(Trouble.BROKEN_JSON, "it is no object, as configuration is", 1)
    return tuple(_Reader(text).blocks())


class _Reader:
    """Goes through a text that is known to be JSON. The standard library's decoder tells no lines, only where a value ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]

    def blocks(self) -> Iterator[Block]:
        for member in self._members(self._skip(0)):
            if member.name == BlockKind.MODULE:
                yield from self._modules(member)
            elif member.name == BlockKind.RESOURCE:
                for of_type in self._each(member):
                    for resource in self._each(of_type):
                        yield Block(
                            kind=BlockKind.RESOURCE, type=of_type.name, name=resource.name, line=self._line(resource.at)
                        )

    def _modules(self, modules: _Member) -> Iterator[Block]:
        for call in self._each(modules):
            for start in self._objects(call):
                arguments = {
                    member.name: Argument(self._value(member), self._line(member.at))
                    for member in self._members(start)
                    if member.name in {"source", "version"}
                }
                yield Block(
                    kind=BlockKind.MODULE,
                    name=call.name,
                    line=self._line(call.at),
                    source=arguments.get("source"),
                    version=arguments.get("version"),
                )

    def _value(self, member: _Member) -> Text:
        value, _ = _DECODER.raw_decode(self._text, member.value_at)
        if not isinstance(value, str) or _TEMPLATE.search(value):
            return NOT_LITERAL
        for written, meant in _ESCAPES:
            value = value.replace(written, meant)
        return value

    def _each(self, member: _Member) -> Iterator[_Member]:
        """The members of the objects that a member's value is, or is a list of."""
        for start in self._objects(member):
            yield from self._members(start)

    def _objects(self, member: _Member) -> Iterator[int]:
        """Where the objects begin that a member's value is, or is a list of; null is as if the member were not there."""
        if self._text.startswith(_NULL, member.value_at):
            return
        if self._text[member.value_at] != "[":
            self._check_object(member.value_at)
            yield member.value_at
            return
        index = self._skip(member.value_at + 1)
        while self._text[index] != "]":
            self._check_object(index)
            yield index
            index = self._after(index)

    def _members(self, start: int) -> Iterator[_Member]:
        index = self._skip(start + 1)
        while self._text[index] != "}":
            name, end = _DECODER.raw_decode(self._text, index)
            value_at = self._skip(self._skip(end) + 1)
            if name != "//":
                yield _Member(name, index, value_at)
            index = self._after(value_at)

    def _after(self, value_at: int) -> int:
        """Where the next item begins, or the end of what this one is in."""
        _, end = _DECODER.raw_decode(self._text, value_at)
        index = self._skip(end)
        return self._skip(index + 1) if self._text[index] == "," else index

    def _skip(self, index: int) -> int:
        match = _BLANKS.match(self._text, index)
        return match.end() if match else index

    def _line(self, index: int) -> int:
        return bisect_right(self._line_starts, index)

    def _check_object(self, index: int) -> None:
        if self._text[index] != "{":
            raise BrokenFileError(Trouble.BROKEN_JSON, "a block is no object", self._line(index))
