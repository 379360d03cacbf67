"""A job as a person names it: by its id, or by as much of it as no other job begins with."""

import re
from typing import Final

import typer

from adapters.drift_bootstrap import DriftStores

_NAMED: Final = re.compile(r"[0-9a-f]{8,64}")
_WHOLE: Final = 64
_MOST_TOLD: Final = 5


async def find_job_id(given: str, stores: DriftStores) -> str:
    """The id that begins so. A whole one is taken as it is: whether there is such a job, the lever says.

    Raises:
        typer.BadParameter: it is no part of an id, or of no job's, or of more than one.
        StoreError: the ledger or the checks cannot be listed.
    """
    wanted = given.lower()
    if not _NAMED.fullmatch(wanted):
        raise typer.BadParameter(f"{given}: a job is named by the first 8 to 64 hexadecimal digits of its id")
    if len(wanted) == _WHOLE:
        return wanted
    known = {row.job.job_id async for row in stores.ledger.rows()}
    known |= {sketch.job_id async for sketch in stores.checks.sketches() if sketch.job_id}
    found = sorted(job_id for job_id in known if job_id.startswith(wanted))
    if not found:
        raise typer.BadParameter(
            f"{given}: no job of this estate begins so; see `trueup drift holds` and `trueup drift history`"
        )
    if len(found) > 1:
        told = ", ".join(found[:_MOST_TOLD])
        raise typer.BadParameter(f"{given}: {len(found)} jobs begin so, give more digits: {told}")
    return found[0]
