variables {
  subscription_id        = "00000000-0000-0000-0000-0000000000aa"
  location               = "germanywestcentral"
  name                   = "contoso"
  time_zone              = "Europe/Berlin"
  http_allowed_ip_ranges = ["203.0.113.0/24"]
  runbook_url            = "https://git.contoso.example/trueup/docs/runbook.md"
  on_call                = { emails = { platform = "on-call@contoso.example" } }
}

run "each_alert_reaches_on_call" {
  command = plan

  assert {
    condition     = alltrue([for rule in azurerm_monitor_scheduled_query_rules_alert_v2.trueup : length(rule.action[0].action_groups) == 1])
    error_message = "An alert without an action group reaches nobody."
  }

  assert {
    condition     = alltrue([for rule in azurerm_monitor_scheduled_query_rules_alert_v2.trueup : strcontains(rule.description, "https://git.contoso.example/trueup/docs/runbook.md#")])
    error_message = "Each alert links to its section of the runbook."
  }

  assert {
    condition     = alltrue([for rule in azurerm_monitor_scheduled_query_rules_alert_v2.trueup : rule.auto_mitigation_enabled != (rule.mute_actions_after_alert_duration != null)])
    error_message = "A rule ends by itself or mutes, and never both or neither: Azure refuses both, and neither is told each hour."
  }

  assert {
    condition     = alltrue([for rule in azurerm_monitor_scheduled_query_rules_alert_v2.trueup : rule.window_duration == "P2D"])
    error_message = "Each rule sees two days: the day's run and the one before."
  }

  assert {
    condition     = !contains(keys(azurerm_monitor_scheduled_query_rules_alert_v2.trueup), "canary-unhealed")
    error_message = "Without a canary market its alerts would never end."
  }
}

run "a_canary_market_has_its_alerts" {
  command = plan

  variables {
    market_for_canary = "canary/one"
  }

  assert {
    condition = alltrue([
      for name in ["canary-undetected", "canary-unhealed"] :
      strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.trueup[name].criteria[0].query, "== \"canary/one\"")
    ])
    error_message = "The canary's alerts ask for its market."
  }
}

run "a_webhook_is_called_with_the_common_schema" {
  command = plan

  variables {
    on_call = {
      webhooks = {
        pager = { entra = { object_id = "00000000-0000-0000-0000-0000000000bb", identifier_uri = "api://pager" } }
      }
    }
    on_call_webhook_urls = { pager = "https://pager.contoso.example/in" }
  }

  assert {
    condition     = azurerm_monitor_action_group.on_call.webhook_receiver[0].use_common_alert_schema
    error_message = "Dimensions are in the common alert schema alone."
  }

  assert {
    condition     = azurerm_monitor_action_group.on_call.webhook_receiver[0].aad_auth[0].identifier_uri == "api://pager"
    error_message = "A webhook with entra is called with a token."
  }
}

run "nobody_on_call_is_refused" {
  command = plan

  variables {
    on_call = {}
  }

  expect_failures = [var.on_call]
}

run "a_webhook_without_its_url_is_refused" {
  command = plan

  variables {
    on_call = { webhooks = { pager = {} } }
  }

  expect_failures = [var.on_call_webhook_urls]
}

run "a_webhook_without_encryption_is_refused" {
  command = plan

  variables {
    on_call              = { webhooks = { pager = {} } }
    on_call_webhook_urls = { pager = "http://pager.contoso.example/in" }
  }

  expect_failures = [var.on_call_webhook_urls]
}

run "a_runbook_that_is_no_address_is_refused" {
  command = plan

  variables {
    runbook_url = "docs/runbook.md"
  }

  expect_failures = [var.runbook_url]
}
