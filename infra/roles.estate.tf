locals {
  # What each duty does with the estate's account; why, is in docs/security.md, which a test holds against this.
  estate_roles = {
    reconcile = {
      "Storage Blob Data Reader"       = { container = ["registry", "trackers", "tfstate"] }
      "Storage Blob Data Contributor"  = { container = ["reports"] }
      "Storage Table Data Contributor" = { table = ["reconcileresults", "reconcileruns", "reconcilework", "reconcilepins"] }
    }
    plan = {
      "Storage Blob Data Reader"          = { container = ["registry", "trackers", "tfstate", "bundles", "config"] }
      "Storage Table Data Reader"         = { table = ["reconcileresults", "heallevers"] }
      "Storage Table Data Contributor"    = { table = ["planchecks", "plancheckruns", "plancheckwork", "heals"] }
      "Storage Queue Data Message Sender" = { queue = ["auto-apply"] }
    }
    apply = {
      "Storage Blob Data Reader"       = { container = ["bundles", "config"] }
      "Storage Blob Data Contributor"  = { container = ["registry", "trackers", "tfstate", "locks"] }
      "Storage Table Data Reader"      = { table = ["reconcileresults", "planchecks"] }
      "Storage Table Data Contributor" = { table = ["heals", "heallevers", "recordlog"] }
      "Storage Queue Data Contributor" = { queue = ["auto-apply", "auto-apply-poison"] }
    }
  }

  estate_scopes = {
    container = { for name, container in azurerm_storage_container.estate : name => "${azurerm_storage_account.estate.id}/blobServices/default/containers/${container.name}" }
    table     = { for name, table in azurerm_storage_table.estate : name => "${azurerm_storage_account.estate.id}/tableServices/default/tables/${table.name}" }
    queue     = { for name, queue in azurerm_storage_queue.estate : name => "${azurerm_storage_account.estate.id}/queueServices/default/queues/${queue.name}" }
  }

  estate_role_assignments = merge([
    for duty, roles in local.estate_roles : merge([
      for role, scopes in roles : merge([
        for kind, names in scopes : {
          for name in names : "${duty}: ${role} on ${kind} ${name}" => { duty = duty, role = role, kind = kind, name = name }
        }
      ]...)
    ]...)
  ]...)
}

resource "azurerm_role_assignment" "estate" {
  for_each = local.estate_role_assignments

  scope                = local.estate_scopes[each.value.kind][each.value.name]
  role_definition_name = each.value.role
  principal_id         = azurerm_user_assigned_identity.duty[each.value.duty].principal_id
  principal_type       = "ServicePrincipal"
  description          = "trueup ${each.key} (docs/security.md)"
}

# Application Insights takes no key, so that whoever has the connection string can send it nothing.
resource "azurerm_role_assignment" "telemetry" {
  for_each = local.duties

  scope                = azurerm_application_insights.trueup.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = azurerm_user_assigned_identity.duty[each.key].principal_id
  principal_type       = "ServicePrincipal"
  description          = "trueup ${each.key}: sending telemetry (docs/security.md)"
}
