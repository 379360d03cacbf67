"""What a hub tells of its instances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class RuntimeStatus(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """What a status query tells. `output` and `custom_status` are read from their JSON, `input_json` is not."""

    instance_id: str
    name: str
    runtime_status: RuntimeStatus
    input_json: str | None
    output: Any
    custom_status: Any
    created_at: datetime
    updated_at: datetime

    @property
    def has_ended(self) -> bool:
        return self.runtime_status in {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED}


@dataclass(frozen=True, slots=True)
class InstanceMeasures:
    """How large an instance has become.

    A payload is any event's input, result, reason or details, or the custom status. A body is the whole
    orchestration context of one episode.
    """

    instance_id: str
    name: str
    generation_event_counts: tuple[int, ...]
    episode_count: int
    largest_payload_bytes: int
    largest_body_bytes: int
