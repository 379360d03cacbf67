mock_provider "azurerm" {}

variables {
  market                  = "de"
  subscription_id         = "00000000-0000-0000-0000-000000000001"
  trueup_subscription_id  = "00000000-0000-0000-0000-0000000000aa"
  reconciler_principal_id = "the-reconciler"
  planner_principal_id    = "the-planner"
  applier_principal_id    = "the-applier"
}

run "the_planner_reads_a_market_and_nobody_changes_it" {
  command = plan

  module {
    source = "./modules/market_roles"
  }

  assert {
    condition     = azurerm_role_assignment.planner.role_definition_name == "Reader" && azurerm_role_assignment.planner.principal_id == "the-planner"
    error_message = "The planner is Reader of the subscription."
  }

  assert {
    condition     = length(azurerm_role_assignment.applier) == 0 && length(azurerm_role_assignment.states) == 0
    error_message = "Without heal nobody may change a market."
  }
}

run "the_applier_alone_is_contributor_of_a_market_that_is_named" {
  command = plan

  module {
    source = "./modules/market_roles"
  }

  variables {
    heal = true
  }

  assert {
    condition     = azurerm_role_assignment.applier[0].role_definition_name == "Contributor" && azurerm_role_assignment.applier[0].principal_id == "the-applier"
    error_message = "The applier is Contributor of a market that is healed."
  }

  assert {
    condition     = azurerm_role_assignment.applier[0].scope == "/subscriptions/00000000-0000-0000-0000-000000000001"
    error_message = "It is that on the market's subscription."
  }

  assert {
    condition     = azurerm_role_assignment.planner.role_definition_name == "Reader"
    error_message = "The planner stays Reader."
  }
}

run "states_of_its_own_are_written_by_the_applier_alone" {
  command = plan

  module {
    source = "./modules/market_roles"
  }

  variables {
    heal               = true
    state_container_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-tf/providers/Microsoft.Storage/storageAccounts/tfde/blobServices/default/containers/tfstate"
  }

  assert {
    condition     = { for duty, assignment in azurerm_role_assignment.states : duty => assignment.role_definition_name } == { reconcile = "Storage Blob Data Reader", plan = "Storage Blob Data Reader", apply = "Storage Blob Data Contributor" }
    error_message = "Of a market's own states the applier is the one writer."
  }
}

run "states_of_its_own_are_read_where_nothing_is_healed" {
  command = plan

  module {
    source = "./modules/market_roles"
  }

  variables {
    state_container_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-tf/providers/Microsoft.Storage/storageAccounts/tfde/blobServices/default/containers/tfstate"
  }

  assert {
    condition     = alltrue([for assignment in azurerm_role_assignment.states : assignment.role_definition_name == "Storage Blob Data Reader"])
    error_message = "Without heal nobody writes the states."
  }
}

run "a_market_is_never_trueup_s_own_subscription" {
  command = plan

  module {
    source = "./modules/market_roles"
  }

  variables {
    subscription_id = "00000000-0000-0000-0000-0000000000aa"
  }

  expect_failures = [var.subscription_id]
}
