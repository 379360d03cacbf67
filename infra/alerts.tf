resource "azurerm_monitor_scheduled_query_rules_alert_v2" "trueup" {
  for_each = local.alert_rules

  name                = "alert-${var.name}-${each.key}"
  display_name        = "trueup: ${each.value.title}"
  description         = "${each.value.says} ${var.runbook_url}#${each.value.section}"
  resource_group_name = azurerm_resource_group.trueup.name
  location            = azurerm_resource_group.trueup.location
  tags                = local.tags

  severity             = each.value.severity
  scopes               = [azurerm_log_analytics_workspace.trueup.id]
  evaluation_frequency = try(each.value.frequency, "PT1H")
  window_duration      = "P2D"

  auto_mitigation_enabled           = try(each.value.ends, true)
  mute_actions_after_alert_duration = try(each.value.ends, true) ? null : "P1D"

  # A table is not there before its first record, and a new workspace has none.
  skip_query_validation = true

  criteria {
    query                   = templatefile("${path.module}/alerts/${each.value.file}.kql", merge(local.alert_arguments, try(each.value.arguments, {})))
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0

    dynamic "dimension" {
      for_each = try(each.value.dimensions, [])

      content {
        name     = dimension.value
        operator = "Include"
        values   = ["*"]
      }
    }

    failing_periods {
      minimum_failing_periods_to_trigger_alert = 1
      number_of_evaluation_periods             = 1
    }
  }

  action {
    action_groups = [azurerm_monitor_action_group.on_call.id]

    # $${…} is Azure's: what stands at that place of the alert.
    email_subject = join(" ", concat(
      ["$${data.essentials.monitorCondition}: trueup, ${each.value.title}"],
      [for index in range(max(length(try(each.value.dimensions, [])) - 1, 0)) : "$${data.alertContext.condition.allOf[0].dimensions[${index}].value}"],
    ))

    # For whatever a webhook opens: a ticket of one kind of drift is never one of the other.
    custom_properties = {
      kind    = each.value.kind
      runbook = "${var.runbook_url}#${each.value.section}"
    }
  }
}
