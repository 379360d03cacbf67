"""What the functions of plan checks are called in Azure, and how long a run may go on."""

from datetime import timedelta
from typing import Final

from lanes.orchestration import Functions, LaneRun

CHECK_ON_SCHEDULE: Final = "check_plans_on_schedule"

PLAN_CHECKS: Final = LaneRun(
    functions=Functions(
        run="check_plans",
        lane="check_plans_lane",
        plan_run="list_stacks",
        read_page="read_stacks",
        check_item="check_stack",
        finish_run="conclude_checks",
        fail_run="fail_checks",
    ),
    run_limit=timedelta(hours=12),
)
"""A run that is in work when the next is due goes on, and the next is left out; one that hangs must not go on for ever."""
