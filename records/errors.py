"""The errors of trueup, one tree.

::

    TrueupError                    what a door catches: its text is for a person
    ├── SettingsError              a setting is missing or wrong
    ├── UnknownMarketError         a market was asked for that no record names
    ├── UnknownStackError          a stack was asked for that no market has
    ├── EngineUnavailableError     Durable Functions does not answer
    ├── LeaseLostError             another worker may have the stack by now
    ├── StackBusyError             another worker has the stack
    ├── DiedTooOftenError          each worker that took a job has died with it
    ├── UnverifiedHealError        an apply was made, and no plan says what came of it
    ├── RefusedLeverError          a person asked for what cannot be done to this job
    ├── RecordError                a record cannot be read or trusted: carries a Fault
    ├── BundleError                a bundle cannot be made of a folder, or unpacked
    ├── ModuleSourceError          a module's source is no address that Terraform knows
    ├── ConfigurationError         a folder, bundle, library or its file cannot be read at all
    ├── RefusedWriteError          what was asked for would make the records say something that is not so
    └── StoreError                 storage said no: carries the container and the blob
        ├── BlobMissingError       404 on the blob
        ├── ContainerMissingError  404 on the container or table
        ├── AccessDeniedError      401, 403
        ├── AccountNotAllowedError a storage account that the settings do not allow
        ├── BlobChangedError       412: it changed between two reads
        └── StoreUnavailableError  throttled, down or cut off, after every retry
            └── NotSignedInError   no identity could sign in, so that storage was not even asked

The first two end a run, and so does a StoreError when the registry is listed; what is wrong with one record is data.
"""

from records.faults import Fault


class TrueupError(Exception):
    """Anything trueup raises on purpose."""


class SettingsError(TrueupError):
    """A setting is missing or wrong; the text names it and the remedy."""


class UnknownMarketError(TrueupError):
    """A market was asked for by name and no record names it."""


class UnknownStackError(TrueupError):
    """A stack was asked for by name and none of the markets that were asked for has it."""


class EngineUnavailableError(TrueupError):
    """Durable Functions does not answer, or did not take an orchestration; the text holds no URL, which would hold a key."""


class LeaseLostError(TrueupError):
    """The stack's lease could not be renewed, so that another worker may have it by now. Nothing was applied after that."""


class StackBusyError(TrueupError):
    """Another worker has the stack's lease."""


class DiedTooOftenError(TrueupError):
    """Each worker that took a job has died with it, as often as a message may fail."""

    def __init__(self) -> None:
        super().__init__("each worker that took it has died with it; look for what ends them, then retry the job")


class UnverifiedHealError(TrueupError):
    """An apply was made, and no plan could be made after it. The job's next worker looks at what is true."""


class RefusedLeverError(TrueupError):
    """What a person asked for cannot be done to this job; the text says why, and what can. Nothing was written."""


class RecordError(TrueupError):
    """A record exists and cannot be read or trusted."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.record} {fault.blob}: {fault.message}")
        self.fault = fault


class BundleError(TrueupError):
    """A folder cannot be bundled, or a bundle cannot be unpacked; the text names the file and the remedy."""


class ModuleSourceError(TrueupError):
    """A module's source has none of the forms that Terraform knows; the text says why and does not repeat it."""


class ConfigurationError(TrueupError):
    """What was to be audited, or what it is to be held against, cannot be read at all; the text names it and the remedy."""


class RefusedWriteError(TrueupError):
    """A command may not write what it was asked to; the text says which record, why, and what to do. Nothing was written."""


class StoreError(TrueupError):
    """Storage did not give or take what was asked.

    ``place`` is ``container/blob`` or a table's name; ``reason`` is one line that holds no key, token or signature.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class BlobMissingError(StoreError):
    """The container is there and the blob is not."""


class ContainerMissingError(StoreError):
    """The container, table or folder is not there, so nothing can be said of what is in it."""


class AccessDeniedError(StoreError):
    """The identity may not."""


class AccountNotAllowedError(StoreError):
    """A record names a storage account on a host that trueup does not send its identity to."""


class BlobChangedError(StoreError):
    """The blob's ETag is no longer the one that an earlier read of it gave."""


class StoreUnavailableError(StoreError):
    """Throttled, down, timed out or cut off, and still so after every retry."""


class UnreadableRowError(StoreUnavailableError):
    """Storage gave a row of ours, and this version cannot read it."""


class NotSignedInError(StoreUnavailableError):
    """No identity could sign in, so that storage was not even asked."""
