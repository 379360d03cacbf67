"""Writes records as people read them: JSON with two spaces, only the fields that were set, unknown ones kept."""

import json

from pydantic import JsonValue

from records.json_reading import RecordModel


def to_document(record: RecordModel) -> dict[str, JsonValue]:
    """The record as plain JSON values: what was read or set, no field that was absent, and what this version does not know."""
    document: dict[str, JsonValue] = record.model_dump(mode="json", exclude_unset=True)
    return document


def to_text(document: JsonValue) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_bytes(record: RecordModel) -> bytes:
    """The record's blob. The same record gives the same bytes."""
    return to_text(to_document(record)).encode()
