"""Who changed a resource of Azure last, as far as Azure tells."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """The last change that Azure knows of. ``changed_at`` is UTC; whatever it does not say is None."""

    changed_by: str | None = None
    changed_at: datetime | None = None
    client: str | None = None


class ChangeHistory(Protocol):
    """Azure's own record of who changed what. Best effort: it never raises, and what it does not know is left out."""

    async def last_changes(
        self, *, subscription_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, ResourceChange]:
        """By resource id in lower case."""


class NoChangeHistory:
    """Knows nothing: for an estate on disk, or where Resource Graph is not to be asked."""

    async def last_changes(
        self,
        *,
        subscription_id: str,  # noqa: ARG002 (the port's)
        resource_ids: Collection[str],  # noqa: ARG002 (the port's)
    ) -> Mapping[str, ResourceChange]:
        return {}
