mock_provider "azurerm" {}

variables {
  subscription_id = "00000000-0000-0000-0000-0000000000ca"
  location        = "westeurope"
}

run "denies_with_one_rule_between_addresses_that_nobody_has" {
  command = plan

  assert {
    condition     = [for rule in azurerm_network_security_group.canary.security_rule : rule.access] == ["Deny"]
    error_message = "The group has exactly one rule, which denies."
  }

  # RFC 5737, section 3.
  assert {
    condition = alltrue(flatten([
      for rule in azurerm_network_security_group.canary.security_rule : [
        for prefix in [rule.source_address_prefix, rule.destination_address_prefix] :
        contains(["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"], prefix)
      ]
    ]))
    error_message = "Were the group attached one day, even the planted rule must let nobody in."
  }
}

run "refuses_what_is_no_subscription" {
  command = plan
  variables { subscription_id = "canary" }
  expect_failures = [var.subscription_id]
}

run "refuses_what_is_no_region" {
  command = plan
  variables { location = "West Europe" }
  expect_failures = [var.location]
}
