"""The module calls of deployed stacks, as trackers tell them."""

from pydantic import BaseModel, ConfigDict

from records.names import MarketKey, StackName
from records.timestamps import UtcTime
from records.tracker import TrackerRecord


class DeployedModule(BaseModel):
    """A module call of one stack as it was deployed; the fields are those of `records.tracker.ModulePin`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    market: MarketKey
    stack: StackName
    name: str
    source: str
    version: str | None = None
    constraint: str | None = None
    commit: str | None = None
    deployed_at: UtcTime | None = None


def is_local_source(source: str) -> bool:
    """Whether a source is a folder beside the module that calls it.

    Source: https://developer.hashicorp.com/terraform/language/modules/sources#local-paths, and hashicorp/terraform
    ``internal/getmodules/moduleaddrs``, by which ``.`` and ``..`` alone are local too, and so are the backslashes of Windows.
    """
    return source.startswith(("./", "../", ".\\", "..\\")) or source in {".", ".."}


def deployed_modules(tracker: TrackerRecord) -> tuple[DeployedModule, ...]:
    """Those that came from elsewhere: a folder of the same repository has no version of its own."""
    return tuple(
        DeployedModule(
            market=tracker.market,
            stack=tracker.stack,
            name=module.name,
            source=module.source,
            version=module.version,
            constraint=module.constraint,
            commit=module.commit,
            deployed_at=tracker.deployed_at,
        )
        for module in tracker.modules or ()
        if not is_local_source(module.source)
    )
