mock_provider "azurerm" {}

variables {
  subscription_id        = "00000000-0000-0000-0000-0000000000aa"
  location               = "germanywestcentral"
  name                   = "contoso"
  time_zone              = "Europe/Berlin"
  http_allowed_ip_ranges = ["203.0.113.0/24"]
  runbook_url            = "https://github.com/contoso/trueup/blob/main/docs/runbook.md"
  on_call_webhook_urls   = {}
  on_call                = { emails = { platform = "on-call@contoso.example" } }
}

run "the_estate_has_no_key_nothing_public_and_tls_1_2" {
  command = plan

  assert {
    condition     = azurerm_storage_account.estate.shared_access_key_enabled == false && azurerm_storage_account.estate.local_user_enabled == false
    error_message = "The estate's account has shared keys or local users."
  }

  assert {
    condition     = azurerm_storage_account.estate.allow_nested_items_to_be_public == false
    error_message = "Containers of the estate could be opened to everybody."
  }

  assert {
    condition     = alltrue([for container in azurerm_storage_container.estate : container.container_access_type == "private"])
    error_message = "A container of the estate is open to everybody."
  }

  assert {
    condition     = azurerm_storage_account.estate.min_tls_version == "TLS1_2" && azurerm_storage_account.estate.https_traffic_only_enabled
    error_message = "The estate's account speaks an older TLS, or none."
  }

  assert {
    condition     = azurerm_storage_account.estate.blob_properties[0].versioning_enabled && azurerm_storage_account.estate.blob_properties[0].delete_retention_policy[0].days >= 30 && azurerm_storage_account.estate.blob_properties[0].container_delete_retention_policy[0].days >= 30
    error_message = "The estate's blobs have no versions, or no soft delete of 30 days."
  }

  assert {
    condition = alltrue([
      for rule in azurerm_storage_management_policy.estate.rule : length(rule.actions[0].base_blob) == 0
      if anytrue([for prefix in rule.filters[0].prefix_match : contains(["bundles/", "registry/", "trackers/", "tfstate/", "config/"], prefix)])
    ])
    error_message = "A lifecycle rule removes or moves records, states or bundles that are in use."
  }

  assert {
    condition     = azurerm_application_insights.trueup.local_authentication_enabled == false && azurerm_log_analytics_workspace.trueup.local_authentication_enabled == false
    error_message = "Telemetry could be sent with a key."
  }
}

run "an_estate_behind_a_network_lets_nobody_else_in" {
  command = plan

  variables {
    estate_network = { ip_ranges = ["203.0.113.7"] }
    subnet_id      = "/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg-net/providers/Microsoft.Network/virtualNetworks/vnet/subnets/trueup"
  }

  assert {
    condition     = one(azurerm_storage_account.estate.network_rules).default_action == "Deny"
    error_message = "With estate_network the account turns away all others."
  }
}

run "a_market_is_never_trueup_s_own_subscription" {
  command = plan

  variables {
    markets = { de = { subscription_id = "00000000-0000-0000-0000-0000000000aa", heal = true } }
  }

  expect_failures = [var.markets]
}

run "the_whole_internet_is_refused" {
  command = plan

  variables {
    http_allowed_ip_ranges = ["0.0.0.0/0"]
  }

  expect_failures = [var.http_allowed_ip_ranges]
}

run "a_secret_among_the_settings_is_refused" {
  command = plan

  variables {
    settings = { ESTATE_CONNECTION_STRING = "AccountKey=…" }
  }

  expect_failures = [var.settings]
}

run "a_package_without_its_checksum_is_refused" {
  command = plan

  variables {
    package = "versions.tf"
  }

  expect_failures = [var.package]
}

run "a_setting_that_a_variable_checks_is_refused" {
  command = plan

  variables {
    settings = { HEAL_MODE = "on" }
  }

  expect_failures = [var.settings]
}

run "an_estate_that_its_own_apps_cannot_reach_is_refused" {
  command = plan

  variables {
    estate_network = { ip_ranges = ["203.0.113.7"] }
  }

  expect_failures = [var.estate_network]
}

run "half_of_the_internet_is_refused" {
  command = plan

  variables {
    http_allowed_ip_ranges = ["0.0.0.0/1", "128.0.0.0/1"]
  }

  expect_failures = [var.http_allowed_ip_ranges]
}

run "a_market_s_id_in_capitals_is_refused" {
  command = plan

  variables {
    markets = { de = { subscription_id = "00000000-0000-0000-0000-0000000000AA", heal = true } }
  }

  expect_failures = [var.markets]
}
