"""The names of the tables: the same in Azure and, as folders, on disk."""

from typing import Final

RESULTS_TABLE: Final = "reconcileresults"
RUNS_TABLE: Final = "reconcileruns"
WORK_TABLE: Final = "reconcilework"
PINS_TABLE: Final = "reconcilepins"
RECORD_LOG_TABLE: Final = "recordlog"
PLAN_CHECKS_TABLE: Final = "planchecks"
PLAN_CHECK_RUNS_TABLE: Final = "plancheckruns"
PLAN_CHECK_WORK_TABLE: Final = "plancheckwork"
HEALS_TABLE: Final = "heals"
HEAL_LEVERS_TABLE: Final = "heallevers"
