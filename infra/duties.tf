locals {
  duties = toset(keys(local.functions))

  # Every function of the package is on in exactly one app. A test holds the names against function_app.py.
  functions = {
    reconcile = [
      "reconcile_daily", "start_run", "get_run", "get_market", "get_health",
      "reconcile_estate", "reconcile_lane", "plan_run", "read_page", "reconcile_market", "finish_run", "fail_run",
    ]
    plan = [
      "check_plans_on_schedule",
      "check_plans", "check_plans_lane", "list_stacks", "read_stacks", "check_stack", "conclude_checks", "fail_checks",
    ]
    apply = [
      "heal_stack", "heal_poison",
      "get_holds", "get_heals", "approve_heal", "reject_heal", "retry_heal", "pause_heals", "resume_heals",
    ]
  }

  switched_off = {
    for duty in local.duties : duty => flatten([for other, names in local.functions : names if other != duty])
  }
}
