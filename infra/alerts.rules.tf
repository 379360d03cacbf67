locals {
  # Azure's severities: 0 critical, 1 error, 2 warning, 3 informational. trueup's `info` alerts nobody.
  azure_severities = { critical = 0, high = 1, medium = 2 }

  # The first dimensions name what an alert is about; Runbook follows from them and is the link to its section. A rule without
  # dimensions has one alert. docs/alerts.md says of each when it ends, and why nobody hears of it more than once a day.
  alert_rules = merge(
    {
      for severity, azure_severity in local.azure_severities : "pipeline-drift-${severity}" => {
        kind       = "pipeline drift"
        title      = "Pipeline drift, ${severity}"
        says       = "Terraform wrote a state outside the pipeline, or the records of a stack disagree in another way."
        section    = "part-1-pipeline-drift"
        file       = "pipeline_drift"
        severity   = azure_severity
        dimensions = ["Market", "Stack", "Verdict", "Runbook"]
        arguments  = { severity = severity }
      }
    },
    {
      markets-unread = {
        kind       = "pipeline drift"
        title      = "Markets unread"
        says       = "The newest run has no verdicts on the market. What was known of its stacks is not known any more."
        section    = "unreadable"
        file       = "markets_unread"
        severity   = 1
        dimensions = ["Market", "Fault", "Runbook"]
      }
      markets-unchecked = {
        kind     = "pipeline drift"
        title    = "Markets not checked"
        says     = "The newest run looked at fewer markets than it was to."
        section  = "problems"
        file     = "markets_unchecked"
        severity = 1
      }
      run-problems = {
        kind       = "pipeline drift"
        title      = "Problem of a run"
        says       = "The newest run met a problem that cost no market its verdicts."
        section    = "problems"
        file       = "run_problems"
        severity   = 3
        dimensions = ["Market", "Fault", "Runbook"]
      }
      moved-tags = {
        kind       = "module pins"
        title      = "A module's tag was moved"
        says       = "The same tag was deployed as different commits: other code under a version that people approved."
        section    = "a-moved-tag"
        file       = "moved_tags"
        severity   = 1
        dimensions = ["Module", "Package", "Runbook"]
      }
      run-missing = {
        kind      = "pipeline drift"
        title     = "The day's run is missing"
        says      = "The run that was due at ${local.run_due_at}:00 had not finished at ${local.run_missed_at}:00, or it failed. Nobody knows how the estate is."
        section   = "a-run-that-is-missing"
        file      = "run_missing"
        severity  = 1
        frequency = "PT15M"
      }
      portal-drift-held = {
        kind       = "portal drift"
        title      = "Portal drift held"
        says       = "A live resource was changed outside Terraform, and it is not undone by itself."
        section    = "part-2-portal-drift"
        file       = "portal_drift_held"
        severity   = 2
        dimensions = ["Market", "Stack", "Reason", "Runbook"]
      }
      plan-inconclusive = {
        kind       = "portal drift"
        title      = "Checks inconclusive for two days"
        says       = "No check of the stack had a plan to judge: nobody knows whether it has drifted."
        section    = "inconclusive"
        file       = "plan_inconclusive"
        severity   = 2
        dimensions = ["Market", "Stack", "Runbook"]
      }
      stacks-unchecked = {
        kind     = "portal drift"
        title    = "Stacks not checked"
        says     = "The newest run of plan checks looked at fewer stacks than it was to."
        section  = "problems-of-a-check-run"
        file     = "stacks_unchecked"
        severity = 1
      }
      plan-problems = {
        kind       = "portal drift"
        title      = "Problem of a check run"
        says       = "A run of plan checks could not look at something, keep it or queue it."
        section    = "problems-of-a-check-run"
        file       = "plan_problems"
        severity   = 3
        dimensions = ["Market", "Record", "Fault", "Runbook"]
      }
      plan-run-missing = {
        kind     = "portal drift"
        title    = "A run of plan checks is missing"
        says     = "No run of plan checks has finished for 26 hours, or the newest failed: clicks go unseen."
        section  = "a-run-of-checks-that-is-missing"
        file     = "plan_run_missing"
        severity = 1
      }
      heal-failed = {
        kind       = "portal drift"
        title      = "Heal failed or not converged"
        says       = "A heal broke, or what it undid is still there or back. Live resources may have been changed."
        section    = "how-far-a-heal-has-come"
        file       = "heal_failed"
        severity   = 1
        dimensions = ["Market", "Stack", "Step", "Runbook"]
      }
      heal-overdue = {
        kind       = "portal drift"
        title      = "A heal is overdue"
        says       = "Each check of a day said that this drift is to be healed, and it is still there: its job failed or expired, or no worker runs."
        section    = "how-far-a-heal-has-come"
        file       = "heal_overdue"
        severity   = 1
        dimensions = ["Market", "Stack", "Runbook"]
      }
      breaker-open = {
        kind       = "portal drift"
        title      = "The breaker is open"
        says       = "Somebody, or something, puts back what is healed."
        section    = "oscillating"
        file       = "breaker_open"
        severity   = 1
        dimensions = ["Market", "Stack", "Runbook"]
      }
      messages-refused = {
        kind     = "portal drift"
        title    = "Messages refused"
        says     = "The queue of heals had messages that name no job of the ledger: somebody, or another version, writes into it."
        section  = "a-message-that-was-refused"
        file     = "messages_refused"
        severity = 2
      }
      poison-queue = {
        kind     = "portal drift"
        title    = "The poison queue is not empty"
        says     = "Messages lie in auto-apply-poison that nothing takes out."
        section  = "the-poison-queue"
        file     = "poison_queue"
        severity = 2
        # The log is seen for two days and a message lies for seven: that it is out of sight must not be told as an end.
        ends = false
      }
    },
    {
      for name, rule in {
        canary-undetected = {
          kind     = "portal drift"
          title    = "The canary's drift is not seen"
          says     = "No check has seen the drift that is planted in the canary market for 26 hours: detection does not work."
          section  = "its-drift-is-not-seen"
          file     = "canary_undetected"
          severity = 1
        }
        canary-unhealed = {
          kind     = "portal drift"
          title    = "The canary's drift is not healed"
          says     = "No heal has undone the drift that is planted in the canary market for 26 hours: healing does not work."
          section  = "its-drift-is-not-healed"
          file     = "canary_unhealed"
          severity = 1
        }
      } : name => rule if var.market_for_canary != null
    },
  )

  # When the day's run begins (RECONCILE_SCHEDULE), and the hour by which on-call wants the report.
  run_due_at    = 6
  run_missed_at = 7

  # A stateful rule fires 300 alerts in an evaluation at most, and on-call reads far fewer. Above this there is one for all.
  most_alerts = 100

  alert_arguments = {
    runs        = file("${path.module}/alerts/shared/runs.kql")
    plan_runs   = file("${path.module}/alerts/shared/plan_runs.kql")
    unread      = file("${path.module}/alerts/shared/unread.kql")
    runbook_url = var.runbook_url
    most_alerts = local.most_alerts
    time_zone   = var.time_zone
    due_at      = local.run_due_at
    missed_at   = local.run_missed_at
    account     = azurerm_storage_account.estate.name
    canary      = coalesce(var.market_for_canary, "none")
  }
}
