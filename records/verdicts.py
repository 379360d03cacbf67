"""The words of the truth table: verdicts, how grave each is, and which record is the odd one out."""

from enum import IntEnum, StrEnum
from typing import Final


class Tier(IntEnum):
    """What could be compared: 1 all three records, 2 registry against state, 3 times alone."""

    THREE_RECORDS = 1
    REGISTRY_AND_STATE = 2
    TIMES = 3


class Verdict(StrEnum):
    """What the three records of one stack say together."""

    HEALTHY = "healthy"
    NOT_DEPLOYED = "not_deployed"
    IN_FLIGHT = "in_flight"
    UNREADABLE = "unreadable"
    UNREGISTERED = "unregistered"
    STATE_MISSING = "state_missing"
    LINEAGE_MISMATCH = "lineage_mismatch"
    STATE_FORKED = "state_forked"
    PIPELINE_DRIFT = "pipeline_drift"
    STATE_ROLLED_BACK = "state_rolled_back"
    TRACKER_BEHIND = "tracker_behind"
    TRACKER_AHEAD = "tracker_ahead"
    REGISTRY_BEHIND = "registry_behind"
    REGISTRY_AHEAD = "registry_ahead"
    RECORDS_SPLIT = "records_split"
    UNVERIFIABLE = "unverifiable"


class Severity(StrEnum):
    """How soon a person is needed."""

    NONE = "none"
    INFO = "info"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def urgency(self) -> int:
        """0 for what needs a person first; sorts a report."""
        return _MOST_URGENT_FIRST.index(self)


_MOST_URGENT_FIRST: Final = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.INFO, Severity.NONE)


class OddOneOut(StrEnum):
    """The record that is wrong. ``undetermined``: two sides differ and nothing says which is right."""

    STATE = "state"
    TRACKER = "tracker"
    REGISTRY = "registry"
    UNDETERMINED = "undetermined"
    NONE = "none"


class Note(StrEnum):
    """What a reader of a verdict should know beside it."""

    REGISTRY_WITHOUT_SERIAL = "registry_without_serial"
    STALE_LOCK = "stale_lock"
    LOCK_OF_UNKNOWN_AGE = "lock_of_unknown_age"


NEEDS_NOBODY: Final = frozenset({Verdict.HEALTHY, Verdict.NOT_DEPLOYED})
"""The verdicts with which a run's exit status is 0."""
