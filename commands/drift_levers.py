"""``trueup drift pause``, ``resume``, ``approve``, ``reject``, ``retry``: what a person can do about healing."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import RenderableType

from adapters.pipeline_environment import current_pipeline, current_user
from adapters.settings import load_settings
from assembly.drift_estates import DriftEstate, open_drift_estate
from commands.drift_jobs import find_job_id
from commands.options import ByOption, EstateOption, ReasonOption, check_market, long_text
from commands.printing import print_to
from drift.healing.levers import JobLever, Levers, Person
from drift.render.levers import render_approved, render_paused, render_rejected, render_resumed, render_retried
from records.heal_ledger import HealRow

PAUSE_EXAMPLE: Final = "Example: trueup drift pause --market de --reason 'INC-4711: the hub is being rebuilt'"
RESUME_EXAMPLE: Final = "Example: trueup drift resume --market de --reason 'INC-4711 is over'"
APPROVE_EXAMPLE: Final = "Example: trueup drift approve 4f1c0de52a91 --by alice@example.com --reason 'looked at it'"
REJECT_EXAMPLE: Final = "Example: trueup drift reject 4f1c0de52a91 --reason 'a hotfix, PR 812 takes it into the code'"
RETRY_EXAMPLE: Final = "Example: trueup drift retry 4f1c0de52a91 --reason 'the orphaned lock is gone'"

JobArgument = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="The job, or its first 8 digits or more, as `trueup drift holds` and `history` show it."
    ),
]
MarketOption = Annotated[
    str | None, typer.Option("--market", help="This market alone. Default: all of them.", metavar="MARKET")
]


def pause(reason: ReasonOption, market: MarketOption = None, by: ByOption = None, estate: EstateOption = None) -> int:
    """Stop healing, in one market or in all: no apply begins any more, on any machine.

    One that has begun goes on to its end. Checks go on too, and hold what they find as `paused`.

    Exit status: 0 it is paused, 1 it is not.
    """
    person = _person(by, reason)
    if market is not None:
        check_market(market)

    async def act(opened: DriftEstate) -> RenderableType:
        await opened.levers.pause(person, market=market)
        return render_paused(person, market=market)

    return _pull(act, estate)


def resume(reason: ReasonOption, market: MarketOption = None, by: ByOption = None, estate: EstateOption = None) -> int:
    """End a pause: that of this market, or the general one. Of two that hold a market the other one stays.

    What was held meanwhile is queued by the next check.

    Exit status: 0 that pause is over, 1 there is none, or it failed.
    """
    person = _person(by, reason)
    if market is not None:
        check_market(market)

    async def act(opened: DriftEstate) -> RenderableType:
        await opened.levers.resume(person, market=market)
        return render_resumed(market=market, left=await opened.stores.ledger.pauses())

    return _pull(act, estate)


def approve(
    job: JobArgument,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            help="Why, for whoever reads the history.",
            metavar="TEXT",
            callback=long_text,
            show_default=False,
        ),
    ] = "no reason was given",
    by: ByOption = None,
    estate: EstateOption = None,
) -> int:
    """Overrule the reason for which a job is held, and queue it. Every other check is made all the same.

    Exit status: 0 it is queued, 1 refused or failed.
    """
    return _pull_on_job(Levers.approve, render_approved, job, _person(by, reason), estate)


def reject(job: JobArgument, reason: ReasonOption, by: ByOption = None, estate: EstateOption = None) -> int:
    """Say no to a job that waits: no check queues it again, and no other job undoes the same.

    The drift stays, and every check tells of it.

    Exit status: 0 it is rejected, 1 refused or failed.
    """
    return _pull_on_job(Levers.reject, render_rejected, job, _person(by, reason), estate)


def retry(job: JobArgument, reason: ReasonOption, by: ByOption = None, estate: EstateOption = None) -> int:
    """Queue a job again that has ended without having healed: it failed, was held, expired, did not converge, or was rejected.

    Exit status: 0 it is queued, 1 refused or failed.
    """
    return _pull_on_job(Levers.retry, render_retried, job, _person(by, reason), estate)


def _pull_on_job(
    lever: JobLever, render: Callable[[HealRow], RenderableType], job: str, person: Person, folder: Path | None
) -> int:
    async def act(opened: DriftEstate) -> RenderableType:
        job_id = await find_job_id(job, opened.stores)
        return render(await lever(opened.levers, person, job_id=job_id))

    return _pull(act, folder)


def _pull(act: Callable[[DriftEstate], Awaitable[RenderableType]], folder: Path | None) -> int:
    async def pulled() -> RenderableType:
        async with open_drift_estate(folder, load_settings()) as opened:
            return await act(opened)

    print_to(sys.stdout, asyncio.run(pulled()))
    return 0


def _person(by: str | None, reason: str) -> Person:
    """As asked for, else whoever the pipeline runs for, else the user of this machine."""
    return Person(by=by or current_pipeline().by or current_user(), reason=reason)
