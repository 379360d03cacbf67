"""Turns the bytes of a JSON record into a model, or into a fault that names the field and the remedy.

pydantic's own messages are used for what is wrong, never its echo of the input: a record's values stay out of reports.
"""

import codecs
import json
import math
from collections.abc import Iterator
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from records.errors import RecordError
from records.faults import Fault, FaultCode, RecordKind

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")

_SHOWN_CHARACTERS: Final = 80
LARGEST_SERIAL: Final = 2**64 - 1
"""Terraform keeps a serial in a uint64 (hashicorp/terraform, ``internal/states/statefile/file.go``)."""


def _absent_where_empty(value: object) -> object:
    return None if value == "" else value


OrEmpty = Annotated[Value | None, BeforeValidator(_absent_where_empty)]
"""For a field that may be absent: an empty text says as little."""
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
OptionalText = OrEmpty[ShortText]
SchemaVersion = Annotated[int, Field(ge=1, le=1)]
"""The one that this version reads. Strict: a ``Literal`` would take ``true`` and 1.0 for it."""


class RecordModel(BaseModel):
    """A record as a pipeline wrote it: strictly typed, frozen, and with the fields that this version does not know kept."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


def check_encoding(content: bytes, *, kind: RecordKind, blob: str) -> None:
    """Refuses what is not plain UTF-8 before a parser gives a poorer reason.

    Raises:
        RecordError: no bytes, a byte-order mark, or UTF-16.
    """
    if not content:
        _refuse(FaultCode.EMPTY, kind, blob, "it holds 0 bytes", "Write the record again from the last deploy.")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:4]:
        _refuse(
            FaultCode.NOT_UTF8,
            kind,
            blob,
            "it is not UTF-8 (it looks like UTF-16 or binary)",
            "Write it as UTF-8; in PowerShell: `Set-Content -Encoding utf8NoBOM`.",
        )
    if content.startswith(codecs.BOM_UTF8):
        _refuse(
            FaultCode.BYTE_ORDER_MARK,
            kind,
            blob,
            "it begins with a byte-order mark, which is no JSON (RFC 8259, section 8.1)",
            "Write it without; in PowerShell: `Set-Content -Encoding utf8NoBOM`.",
        )


def parse_model(model: type[Model], content: bytes, *, kind: RecordKind, blob: str) -> Model:
    """The record in these bytes.

    Raises:
        RecordError: with the first field that is wrong; an unknown ``schema_version`` goes before all others.
    """
    check_encoding(content, kind=kind, blob=blob)
    try:
        record = model.model_validate_json(content)
    except ValidationError as error:
        raise RecordError(fault_of(error, kind=kind, blob=blob)) from None
    _check_is_plain(content, kind=kind, blob=blob)
    return record


def _check_is_plain(content: bytes, *, kind: RecordKind, blob: str) -> None:
    """Refuses what parsers disagree about, and what no rewrite of the record would keep (RFC 8259, sections 4 and 6).

    Raises:
        RecordError: a key that stands twice in one object, as after a bad merge; a number that JSON or a float does not have.
    """
    value = json.loads(content, object_pairs_hook=_Pairs, parse_float=float, parse_constant=float, parse_int=str)
    if found := next(_doubtful(value, ""), None):
        field, what, remedy = found
        raise RecordError(
            Fault(
                code=FaultCode.INVALID_FIELD,
                record=kind,
                blob=blob,
                field=field,
                message=f"{field} {what}",
                remedy=remedy,
            )
        )


class _Pairs(list[tuple[str, object]]):
    """An object with all the keys that were written."""


def _doubtful(value: object, path: str) -> Iterator[tuple[str, str, str]]:
    """The paths of keys that stand twice and of numbers that are not finite; what is wrong, and the remedy."""
    if isinstance(value, _Pairs):
        seen = set()
        for key, below in value:
            field = f"{path}.{key[:_SHOWN_CHARACTERS]}".removeprefix(".")
            if key in seen:
                yield field, "stands twice in its object", f"Keep the {field} that is right."
            seen.add(key)
            yield from _doubtful(below, field)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _doubtful(below, f"{path}{_step(index)}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "is a number that is not finite", f"Write a finite number as {path}, or none."


def fault_of(error: ValidationError, *, kind: RecordKind, blob: str, under: str = "") -> Fault:
    """The fault that a person should mend first, of all that pydantic found; ``under`` is the path of what it looked at."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    first = next((detail for detail in details if detail["loc"] == ("schema_version",)), details[0])
    field = under + "".join(_step(step) for step in first["loc"])
    field = field.removeprefix(".")
    match first["type"]:
        case "json_invalid":
            return Fault(
                code=FaultCode.NOT_JSON,
                record=kind,
                blob=blob,
                message=first["msg"].replace("Invalid JSON: ", "it is not JSON: "),
                remedy="Restore the last good version of the blob, or write the record again from the last deploy.",
            )
        case "model_type" | "model_attributes_type" if not field:
            code, message = FaultCode.NOT_AN_OBJECT, "it is JSON, but not an object"
            remedy = "Write the record again from the last deploy."
        case "missing" if field == "schema_version":
            code, message = FaultCode.UNKNOWN_SCHEMA_VERSION, "schema_version is missing"
            remedy = "Add the schema_version that the record was written to; this trueup reads 1."
        case "missing":
            code, message, remedy = FaultCode.MISSING_FIELD, f"{field} is missing", f"Add {field} to the record."
        case _ if field == "schema_version":
            code, message = FaultCode.UNKNOWN_SCHEMA_VERSION, "schema_version is not 1"
            remedy = "Upgrade trueup, or write the record in schema 1."
        case _:
            code, message = FaultCode.INVALID_FIELD, f"{field}: {_sentence(first['msg'])}"
            remedy = f"Correct {field} in the record."
    return Fault(code=code, record=kind, blob=blob, field=field or None, message=message, remedy=remedy)


def _step(step: int | str) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _refuse(code: FaultCode, kind: RecordKind, blob: str, message: str, remedy: str) -> None:
    raise RecordError(Fault(code=code, record=kind, blob=blob, message=message, remedy=remedy))
