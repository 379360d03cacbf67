"""Terraform's lock on a state, as the azurerm backend leaves it on the blob.

Source: hashicorp/terraform, ``internal/backend/remote-state/azure/client.go`` (metadata key ``terraformlockid``) and
``internal/states/statemgr/locker.go`` (``LockInfo``).
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from records.timestamps import UtcTime, parse_utc

LOCK_METADATA_KEY: Final = "terraformlockid"
_MAX_TEXT_LENGTH: Final = 256


def _short_text(value: object) -> str:
    return value[:_MAX_TEXT_LENGTH] if isinstance(value, str) else ""


def _time_or_none(value: object) -> datetime | None:
    """A time that cannot be read leaves the age unknown; who holds the lock is still worth telling."""
    if isinstance(value, datetime):
        return value
    try:
        return parse_utc(value) if isinstance(value, str) else None
    except ValueError:
        return None


_ShortText = Annotated[str, BeforeValidator(_short_text)]


class Lock(BaseModel):
    """Who holds a state, since when and for which operation. ``created_at`` is None where the lock does not say."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: _ShortText = Field(default="", validation_alias="ID")
    operation: _ShortText = Field(default="", validation_alias="Operation")
    who: _ShortText = Field(default="", validation_alias="Who")
    created_at: Annotated[UtcTime | None, BeforeValidator(_time_or_none)] = Field(
        default=None, validation_alias="Created"
    )

    def age_seconds(self, now: datetime) -> float | None:
        """None where the lock does not say when it was made; negative where its clock was ahead."""
        return None if self.created_at is None else (now - self.created_at).total_seconds()


UNREADABLE_LOCK: Final = Lock()
"""Stands for a lease whose metadata does not say who holds it: it is held, and its age is unknown."""


def read_lock(*, leased: bool, metadata: Mapping[str, str]) -> Lock | None:
    """The lock on a blob: a lease, described by metadata. Metadata without a lease is left over, and no lock."""
    if not leased:
        return None
    encoded = next((value for key, value in metadata.items() if key.lower() == LOCK_METADATA_KEY), "")
    try:
        return Lock.model_validate_json(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, ValidationError):
        return UNREADABLE_LOCK
