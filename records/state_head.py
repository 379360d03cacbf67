"""Finds lineage and serial in a state as its bytes arrive, with memory that does not grow with the state.

Only top-level keys count: an output may be called ``serial``. What is nested is passed over by its brackets and strings and
not otherwise checked. ADR 0003 says why no parser from a library does this.
"""

import json
import re
from enum import Enum, auto
from typing import Final, NoReturn

from pydantic import ValidationError

from records.errors import RecordError
from records.faults import Fault, FaultCode, RecordKind
from records.json_reading import check_encoding, fault_of
from records.readings import StateHead

_WANTED: Final = frozenset({"serial", "lineage"})
_WRITTEN_BY: Final = "terraform_version"
"""Taken where it comes before the others, as in what Terraform writes; never looked for."""
_DEEPEST: Final = 1000
_LONGEST_TOKEN_BYTES: Final = 1024
_LINEAGE_MAX_LENGTH: Final = 256
_RESTORE: Final = "Restore the last good version of the state blob."

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_TO_QUOTE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SCALAR = re.compile(rb"[^][{}\",: \t\r\n]++(?=[,} \t\r\n])")
_TO_BRACKET = re.compile(rb'(?:[^"{}[\]]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)


class _At(Enum):
    """What the next byte should belong to."""

    START = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    AFTER_VALUE = auto()
    NESTED = auto()
    STRING = auto()
    NESTED_STRING = auto()
    END = auto()


class StateHeadScanner:
    """Takes the bytes of one state blob in order, until `is_complete`.

    ``to_the_end`` has it look at all of them: for a state that is small enough to be there whole anyway, so that one that
    was cut short is not taken for good.
    """

    def __init__(self, blob: str, *, to_the_end: bool = False) -> None:
        self._blob = blob
        self._to_the_end = to_the_end
        self._at = _At.START
        self._rest = b""
        self._depth = 0
        self._key = ""
        self._found: dict[str, object] = {}

    @property
    def is_complete(self) -> bool:
        return self._at is _At.END or (self._found.keys() >= _WANTED and not self._to_the_end)

    def feed(self, part: bytes) -> None:
        """Takes the next part.

        Raises:
            RecordError: what has come so far cannot be the beginning of a state.
        """
        if self._at is _At.START:
            check_encoding(part, kind=RecordKind.STATE, blob=self._blob)
        text = self._rest + part
        position = 0
        while not self.is_complete or self._at is _At.END:
            start = position if self._at in {_At.STRING, _At.NESTED_STRING} else _end(_SPACE, text, position)
            if start == len(text):
                position = start
                break
            position = self._take(text, start)
            if position == start:
                break
        if self._at is _At.START and position > _LONGEST_TOKEN_BYTES:
            self._refuse(FaultCode.NOT_JSON, f"it begins with {position} bytes of white space")
        self._rest = text[position:]
        if len(self._rest) > _LONGEST_TOKEN_BYTES and not self.is_complete:
            self._refuse(FaultCode.INVALID_FIELD, f"it holds a key or plain value of over {_LONGEST_TOKEN_BYTES} bytes")

    def finish(self) -> StateHead:
        """The head, once all bytes have come or enough of them.

        Raises:
            RecordError: the bytes ended early, or hold no serial that Terraform could have written.
        """
        if not self.is_complete:
            self._refuse(FaultCode.NOT_JSON, "it ends before its JSON does: it is truncated")
        lineage = self._found.get("lineage")
        if isinstance(lineage, str) and len(lineage) > _LINEAGE_MAX_LENGTH:
            self._refuse(FaultCode.INVALID_FIELD, f"lineage is longer than {_LINEAGE_MAX_LENGTH} characters")
        try:
            return StateHead.model_validate(self._found | {"lineage": None if lineage == "" else lineage})
        except ValidationError as error:
            raise RecordError(fault_of(error, kind=RecordKind.STATE, blob=self._blob)) from None

    def _take(self, text: bytes, start: int) -> int:
        """Takes one token from ``start`` on; returns where it ends, or ``start`` where more bytes are needed."""
        match self._at:
            case _At.START:
                return self._open_object(text, start)
            case _At.KEY:
                return self._take_key(text, start)
            case _At.COLON:
                return self._expect(text, start, {b":": _At.VALUE})
            case _At.VALUE:
                return self._take_value(text, start)
            case _At.AFTER_VALUE:
                return self._expect(text, start, {b",": _At.KEY, b"}": _At.END})
            case _At.NESTED:
                return self._pass_nested(text, start)
            case _At.STRING:
                return self._pass_string(text, start, _At.AFTER_VALUE)
            case _At.NESTED_STRING:
                return self._pass_string(text, start, _At.NESTED)
            case _At.END:
                self._refuse(FaultCode.NOT_JSON, "it goes on after its JSON has ended")

    def _open_object(self, text: bytes, start: int) -> int:
        match text[start : start + 1]:
            case b"{":
                self._at = _At.KEY
                return start + 1
            case b"[":
                self._refuse(FaultCode.NOT_AN_OBJECT, "it is a JSON array, not an object")
            case b'"':
                self._refuse(FaultCode.NOT_AN_OBJECT, "it is JSON text, not an object")
            case _:
                self._refuse(FaultCode.NOT_JSON, "it is not a JSON object")

    def _take_key(self, text: bytes, start: int) -> int:
        if text[start : start + 1] == b"}":
            self._at = _At.END
            return start + 1
        if text[start : start + 1] != b'"':
            self._refuse(FaultCode.NOT_JSON, "it is not JSON: a key is missing")
        token = _STRING.match(text, start)
        if token is None:
            return start
        self._key = str(self._decoded(token[0]))
        self._at = _At.COLON
        return token.end()

    def _take_value(self, text: bytes, start: int) -> int:
        opening = text[start : start + 1]
        is_wanted = self._key in _WANTED or (self._key == _WRITTEN_BY and opening == b'"')
        if opening in {b"{", b"["}:
            if is_wanted:
                self._refuse(FaultCode.INVALID_FIELD, f"{self._key} is no plain value")
            self._at, self._depth = _At.NESTED, 1
            return start + 1
        if opening == b'"' and not is_wanted:
            self._at = _At.STRING
            return start + 1
        token = (_STRING if opening == b'"' else _SCALAR).match(text, start)
        if token is None:
            return start
        value = self._decoded(token[0])
        if self._key in _WANTED and self._key in self._found:
            # Terraform takes the last, and who wrote two of them is not Terraform.
            self._refuse(FaultCode.INVALID_FIELD, f"{self._key} stands in it twice")
        if is_wanted:
            self._found[self._key] = value
        self._at = _At.AFTER_VALUE
        return token.end()

    def _pass_nested(self, text: bytes, start: int) -> int:
        position = start
        while True:
            position = _end(_TO_BRACKET, text, position)
            match text[position : position + 1]:
                case b"":
                    return position
                case b'"':
                    self._at = _At.NESTED_STRING
                    return position + 1
                case b"{" | b"[":
                    self._depth += 1
                    if self._depth > _DEEPEST:
                        self._refuse(FaultCode.TOO_DEEP, f"it is nested deeper than {_DEEPEST} levels")
                case _:
                    self._depth -= 1
            position += 1
            if self._depth == 0:
                self._at = _At.AFTER_VALUE
                return position

    def _pass_string(self, text: bytes, start: int, after: _At) -> int:
        """Passes over a string whose opening quote is behind us; its end may be many parts away."""
        position = _end(_TO_QUOTE, text, start)
        if text[position : position + 1] == b'"':
            self._at = after
            return position + 1
        return position

    def _expect(self, text: bytes, start: int, following: dict[bytes, _At]) -> int:
        byte = text[start : start + 1]
        if byte not in following:
            self._refuse(FaultCode.NOT_JSON, "it is not JSON: a ':', ',' or '}' is missing")
        self._at = following[byte]
        return start + 1

    def _decoded(self, token: bytes) -> object:
        try:
            # Decoded here: from bytes, `json` would guess UTF-16 where there are zeros between the digits.
            value: object = json.loads(token.decode())
            str(value).encode()
            return value
        except ValueError:
            self._refuse(FaultCode.NOT_JSON, "it is not JSON: a key or value cannot be read")

    def _refuse(self, code: FaultCode, message: str) -> NoReturn:
        raise RecordError(
            Fault(code=code, record=RecordKind.STATE, blob=self._blob, message=message, remedy=_RESTORE)
        ) from None


def _end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """Where a pattern that matches anywhere, if only nothing, ends its match."""
    match = pattern.match(text, start)
    return match.end() if match else start
