# Known at plan: `override_during` gives the mocked values before anything is applied.
mock_provider "azurerm" {
  override_during = plan

  mock_resource "azurerm_storage_account" {
    defaults = {
      id                     = "/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg-contoso/providers/Microsoft.Storage/storageAccounts/contosoestate"
      primary_blob_endpoint  = "https://contosoestate.blob.core.windows.net/"
      primary_queue_endpoint = "https://contosoestate.queue.core.windows.net/"
      primary_table_endpoint = "https://contosoestate.table.core.windows.net/"
    }
  }
}

override_resource {
  target          = azurerm_user_assigned_identity.duty["reconcile"]
  override_during = plan
  values          = { principal_id = "the-reconciler" }
}

override_resource {
  target          = azurerm_user_assigned_identity.duty["plan"]
  override_during = plan
  values          = { principal_id = "the-planner" }
}

override_resource {
  target          = azurerm_user_assigned_identity.duty["apply"]
  override_during = plan
  values          = { principal_id = "the-applier" }
}

variables {
  subscription_id        = "00000000-0000-0000-0000-0000000000aa"
  location               = "germanywestcentral"
  name                   = "contoso"
  time_zone              = "Europe/Berlin"
  http_allowed_ip_ranges = ["203.0.113.0/24"]
  runbook_url            = "https://github.com/contoso/trueup/blob/main/docs/runbook.md"
  on_call_webhook_urls   = {}
  on_call                = { emails = { platform = "on-call@contoso.example" } }
  markets = {
    de        = { subscription_id = "00000000-0000-0000-0000-000000000001", heal = true }
    "emea/fr" = { subscription_id = "00000000-0000-0000-0000-000000000002" }
  }
}

run "no_duty_has_another_s_roles" {
  command = plan

  assert {
    condition = alltrue([
      for assignment in azurerm_role_assignment.estate : contains(
        ["Storage Blob Data Reader", "Storage Table Data Reader"], assignment.role_definition_name
      ) || endswith(assignment.scope, "/queues/auto-apply") || can(regex("/tables/(planchecks|plancheckruns|plancheckwork|heals)$", assignment.scope))
      if assignment.principal_id == "the-planner"
    ])
    error_message = "The planner writes more than its own results: a state, a record, or another's table."
  }

  assert {
    condition = alltrue([
      for assignment in azurerm_role_assignment.estate : assignment.role_definition_name == "Storage Blob Data Reader"
      if assignment.principal_id == "the-planner" && strcontains(assignment.scope, "/containers/")
    ])
    error_message = "The planner must not write a blob."
  }

  assert {
    condition = alltrue([
      for assignment in azurerm_role_assignment.estate : endswith(assignment.scope, "/containers/reports") || can(regex("/tables/reconcile[a-z]+$", assignment.scope))
      if assignment.principal_id == "the-reconciler" && !endswith(assignment.role_definition_name, " Reader")
    ])
    error_message = "The reconciler writes more than results and reports."
  }

  assert {
    condition     = alltrue([for assignment in azurerm_role_assignment.estate : can(regex("/(containers|tables|queues)/[a-z-]+$", assignment.scope))])
    error_message = "A role of the estate is on one container, table or queue."
  }

  assert {
    condition = distinct([
      for assignment in azurerm_role_assignment.estate : assignment.principal_id
      if can(regex("/containers/(tfstate|registry|trackers|bundles|config|locks)$", assignment.scope)) && assignment.role_definition_name != "Storage Blob Data Reader"
    ]) == tolist(["the-applier"])
    error_message = "Somebody beside the applier can write a state, a record or the policy."
  }

  assert {
    condition = alltrue([
      for assignment in azurerm_role_assignment.estate : assignment.role_definition_name == "Storage Blob Data Reader"
      if can(regex("/containers/(bundles|config)$", assignment.scope))
    ])
    error_message = "No duty writes bundles or the policy: those are the pipelines' and people's."
  }
}
