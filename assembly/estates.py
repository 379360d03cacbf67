"""Opens an estate, with the judge of its records."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.bootstrap import Estate, open_folder_estate
from adapters.clock import utc_now
from adapters.settings import Settings
from reconcile.market import MarketReconciler, Rules
from records.ports import Clock, MarketJudge
from records.results import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedEstate:
    """An open estate, and who judges its records as they are now."""

    estate: Estate
    judge: MarketJudge


def opened_estate(
    folder: Path | None, settings: Settings, *, may_be_new: bool = False
) -> AbstractAsyncContextManager[Estate]:
    """One on disk that ``may_be_new`` need not have any records yet; in Azure the containers must be there."""
    if folder:
        return open_folder_estate(folder, settings, may_be_new=may_be_new)
    # Azure's clients take half a second to import, which an estate on disk should not pay.
    from adapters.azure_bootstrap import open_azure_estate  # noqa: PLC0415

    return open_azure_estate(settings)


@asynccontextmanager
async def open_judged_estate(
    folder: Path | None, settings: Settings, *, may_be_new: bool = False
) -> AsyncIterator[JudgedEstate]:
    """Raises:
    SettingsError: there is no such folder, or the settings name no account.
    """
    async with opened_estate(folder, settings, may_be_new=may_be_new) as estate:
        yield JudgedEstate(estate=estate, judge=judge_of(estate, settings, clock=utc_now))


def judge_of(estate: Estate, settings: Settings, *, clock: Clock) -> MarketJudge:
    return MarketReconciler(
        records=estate.records,
        results=estate.results,
        run=Run.named_by(clock()),
        rules=rules_of(settings),
        clock=clock,
    )


def rules_of(settings: Settings) -> Rules:
    return Rules(
        in_flight_minutes=settings.in_flight_minutes,
        reread_delay_seconds=settings.reread_delay_seconds,
        retention_days=settings.retention_days,
    )
