"""What runs tell of module pins, in Azure Table Storage.

Table ``reconcilepins``: a partition a run, with the rows ``module:{digest}``, ``loose:{digest}`` and ``moved:{digest}``, and
``summary``, which is written last. The columns beside ``row`` are for whoever looks into the table.

A row is cut until it fits: of stacks, versions and commits the first are kept, and all are counted. The report has them all.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from azure.data.tables.aio import TableClient, TableServiceClient

from adapters.azure_rows import delete_partition, upserts
from adapters.azure_tables import reading, submit, writing
from adapters.table_names import PINS_TABLE
from records.module_pins import DeployedModulePins, DeployedMovedTag, LooseReference, PinSummary
from records.results import Run

_Model = DeployedModulePins | LooseReference | DeployedMovedTag
_SUMMARY: Final = "summary"
_MODULE, _LOOSE, _MOVED = "module", "loose", "moved"
_MOST_UNITS: Final = 30_000
"""Of UTF-16, of which a property holds 32,768
(https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model)."""
_CUTS: Final = ((10, 20), (3, 20), (1, 20), (0, 20), (0, 10), (0, 5), (0, 1), (0, 0))
"""How many stacks are named, of how many versions or commits: the first that fits is kept."""


class AzurePinStore:
    """A `PinStore` on a storage account's tables."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table: TableClient = service.get_table_client(PINS_TABLE)

    async def save_pins(self, *, run: Run, pins: PinSummary) -> None:
        await self.prune_pins(run_id=run.run_id)
        of_run = {"PartitionKey": run.run_id, "run_started_at": run.started_at}
        rows = [of_run | row for row in rows_of(pins)]
        rows.append(
            of_run
            | {
                "RowKey": _SUMMARY,
                "modules": len(pins.modules),
                "spread": len(pins.spread),
                "loose": len(pins.loose),
                "moved_tags": len(pins.moved_tags),
            }
        )

        async def write() -> None:
            for operations in upserts(rows):
                await submit(self._table, operations)

        await writing(self._service, PINS_TABLE, write)

    async def prune_pins(self, *, run_id: str) -> None:
        with reading(PINS_TABLE):
            await delete_partition(self._table, run_id)


def rows_of(pins: PinSummary) -> Iterator[dict[str, Any]]:
    """The rows of a run but its summary, each cut until it fits."""
    for module in pins.modules:
        yield _row(_MODULE, (module.module, module.package, module.within), module) | {
            "module": module.module,
            "package": module.package,
            "newest": module.newest or "",
            "versions": len(module.versions),
            "stacks": module.stack_count,
            "loose": module.loose_count,
            "moved_tags": module.moved_tag_count,
        }
    for loose in pins.loose:
        yield _row(_LOOSE, (loose.source, loose.pinned_to or "", loose.reason), loose) | {
            "source": loose.source,
            "reason": loose.reason,
            "stacks": loose.stack_count,
        }
    for moved in pins.moved_tags:
        yield _row(_MOVED, (moved.package, moved.tag), moved) | {
            "package": moved.package,
            "tag": moved.tag,
            "commits": len(moved.recorded),
        }


def _row(kind: str, identity: Sequence[str], model: _Model) -> dict[str, Any]:
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()
    texts = (_cut(model, stacks=stacks, items=items).model_dump_json() for stacks, items in _CUTS)
    text = next((text for text in texts if len(text.encode("utf-16-le")) <= 2 * _MOST_UNITS), "")
    return {"RowKey": f"{kind}:{digest}", "row": text}


def _cut(model: _Model, *, stacks: int, items: int) -> _Model:
    match model:
        case DeployedModulePins(versions=versions):
            few = tuple(one.model_copy(update={"stacks": one.stacks[:stacks]}) for one in versions[:items])
            return model.model_copy(update={"versions": few})
        case LooseReference():
            return model.model_copy(update={"stacks": model.stacks[:stacks]})
        case DeployedMovedTag(recorded=recorded):
            commits = tuple(one.model_copy(update={"stacks": one.stacks[:stacks]}) for one in recorded[:items])
            return model.model_copy(update={"recorded": commits})
