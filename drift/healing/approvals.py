"""Which approvals of a job count: those whose use of the lever is on record.

The identity that plans writes the rows of jobs, in which approvals are, and cannot write uses of levers. So an approval that
stands on a row alone is nobody's.
"""

import logging
from collections.abc import Iterable
from typing import Final

from drift.situation import Unread
from records.drift_ports import HealLedger
from records.errors import StoreError
from records.heal_ledger import Approval, HealRow, Lever, LeverUse

_LOG: Final = logging.getLogger(__name__)


async def read_approvals(ledger: HealLedger, row: HealRow) -> tuple[Approval, ...] | Unread:
    """Those that count; of a row without any nothing is read, and of uses none that is older than the row's approvals."""
    if not row.approvals:
        return ()
    try:
        uses = [use async for use in ledger.uses(since=min(approval.at for approval in row.approvals))]
    except StoreError as error:
        return Unread(f"The uses of levers cannot be read: {error}.")
    on_record = confirmed(row, uses)
    ignored = sorted({approval.reason for approval in set(row.approvals).difference(on_record)})
    if ignored:
        _LOG.warning(
            "job %s: its approvals of %s are ignored, as no use of the lever is on record for them",
            row.job.job_id,
            ", ".join(ignored),
        )
    return on_record


def confirmed(row: HealRow, uses: Iterable[LeverUse]) -> tuple[Approval, ...]:
    """The row's approvals that a person gave this very job, for this very reason, at this very moment."""
    given = {
        (use.overrules, use.by, use.at) for use in uses if use.lever is Lever.APPROVE and use.job_id == row.job.job_id
    }
    return tuple(one for one in row.approvals if (one.reason, one.by, one.at) in given)
