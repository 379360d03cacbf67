"""What the functions of a reconciliation are called in Azure, and how long one may take."""

from datetime import timedelta
from typing import Final

from lanes.orchestration import Functions, LaneRun

ESTATE: Final = "reconcile_estate"
LANE: Final = "reconcile_lane"
PLAN_RUN: Final = "plan_run"
READ_PAGE: Final = "read_page"
RECONCILE_MARKET: Final = "reconcile_market"
FINISH_RUN: Final = "finish_run"
FAIL_RUN: Final = "fail_run"

RUN_LIMIT: Final = timedelta(hours=8)
"""With every account out of reach a large estate would take days, and the next day's run would start on top of it."""

RECONCILIATION: Final = LaneRun(
    functions=Functions(
        run=ESTATE,
        lane=LANE,
        plan_run=PLAN_RUN,
        read_page=READ_PAGE,
        check_item=RECONCILE_MARKET,
        finish_run=FINISH_RUN,
        fail_run=FAIL_RUN,
    ),
    run_limit=RUN_LIMIT,
)
