mock_provider "azurerm" {}

variables {
  network_security_group_id = "/subscriptions/00000000-0000-0000-0000-0000000000ca/resourceGroups/rg-trueup-canary/providers/Microsoft.Network/networkSecurityGroups/nsg-trueup-canary"
  location                  = "westeurope"
}

run "may_write_one_rule_and_nothing_else_and_writes_it_without_a_secret" {
  command = plan

  assert {
    condition     = azurerm_role_definition.planter.permissions[0].actions == tolist(["Microsoft.Network/networkSecurityGroups/securityRules/write"])
    error_message = "The role has another action than writing a security rule."
  }

  assert {
    condition     = length(azurerm_role_definition.planter.permissions) == 1 && azurerm_role_definition.planter.permissions[0].data_actions == null
    error_message = "The role has more than one action."
  }

  assert {
    condition     = azurerm_role_assignment.planter.scope == "${var.network_security_group_id}/securityRules/planted"
    error_message = "The role is given on more than the rule."
  }

  assert {
    condition     = startswith(azurerm_role_assignment.planter.description, "trueup: ")
    error_message = "Who finds the assignment on the rule must be told what it is for."
  }

  assert {
    condition     = jsondecode(azurerm_logic_app_action_custom.plant.body).inputs.uri == "https://management.azure.com${azurerm_role_assignment.planter.scope}"
    error_message = "The request goes elsewhere than the role."
  }

  assert {
    condition     = jsondecode(azurerm_logic_app_action_custom.plant.body).inputs.body.properties.access == "Allow"
    error_message = "The stack denies, so the planter must allow."
  }

  assert {
    condition     = jsondecode(azurerm_logic_app_action_custom.plant.body).inputs.authentication.type == "ManagedServiceIdentity"
    error_message = "The planter signs in by its managed identity."
  }
}

run "plants_once_a_day" {
  command = plan
  variables { plants_at = "23:05" }

  assert {
    condition = (
      azurerm_logic_app_trigger_recurrence.daily.frequency == "Day" && azurerm_logic_app_trigger_recurrence.daily.interval == 1
      && azurerm_logic_app_trigger_recurrence.daily.schedule[0].at_these_hours == toset([23])
      && azurerm_logic_app_trigger_recurrence.daily.schedule[0].at_these_minutes == toset([5])
      && azurerm_logic_app_trigger_recurrence.daily.time_zone == "UTC"
    )
    error_message = "More often, and the breaker holds the heal as oscillating."
  }
}

run "refuses_the_stack_s_own_resource_group" {
  command = plan
  variables { resource_group_name = "RG-trueup-canary" }
  expect_failures = [var.resource_group_name]
}

run "refuses_another_resource" {
  command = plan
  variables { network_security_group_id = "/subscriptions/00000000-0000-0000-0000-0000000000ca/resourceGroups/rg-trueup-canary" }
  expect_failures = [var.network_security_group_id]
}

run "refuses_what_is_no_time_of_the_day" {
  command = plan
  variables { plants_at = "24:00" }
  expect_failures = [var.plants_at]
}
