"""What can be wrong with a record, as data.

A fault is not an exception: a record that cannot be read is a row in the report. `records.errors.RecordError` carries one
from where it is found to where the reading is made.
"""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict


class RecordKind(StrEnum):
    """Which record a fault is about; ``results`` are trueup's own: the tables, reports and queue of its runs."""

    STATE = "state"
    TRACKER = "tracker"
    REGISTRY = "registry"
    RESULTS = "results"
    POLICY = "policy"


class FaultCode(StrEnum):
    """What is wrong, in a word that a program can count; part of the report's JSON."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    BYTE_ORDER_MARK = "byte_order_mark"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    TOO_DEEP = "too_deep"
    UNKNOWN_SCHEMA_VERSION = "unknown_schema_version"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    INVALID_NAME = "invalid_name"
    COPIED = "copied"
    VANISHED = "vanished"
    NOT_FOUND = "not_found"
    NOT_CHECKED = "not_checked"
    SHARED_STATE = "shared_state"
    CHANGED_WHILE_READ = "changed_while_read"
    CONTAINER_MISSING = "container_missing"
    ACCOUNT_NOT_ALLOWED = "account_not_allowed"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    UNEXPECTED = "unexpected"


GARBLED: Final = frozenset(
    {
        FaultCode.EMPTY,
        FaultCode.BYTE_ORDER_MARK,
        FaultCode.NOT_UTF8,
        FaultCode.NOT_JSON,
        FaultCode.NOT_AN_OBJECT,
        FaultCode.TOO_DEEP,
        FaultCode.MISSING_FIELD,
        FaultCode.INVALID_FIELD,
    }
)
"""A record that is simply broken, so that whoever knows what it should say may write it anew."""


class Fault(BaseModel):
    """Why a record cannot be read or trusted.

    Fields: ``record`` and ``blob`` say which one, ``field`` the path inside it (``stacks.network.serial``) where there is
    one, ``message`` what is wrong and ``remedy`` what to do about it. None of them ever holds a record's values.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: FaultCode
    record: RecordKind
    blob: str
    field: str | None = None
    message: str
    remedy: str
