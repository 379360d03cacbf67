locals {
  subscription = "/subscriptions/${var.subscription_id}"

  on_states = var.state_container_id == null ? {} : {
    reconcile = { role = "Storage Blob Data Reader", principal_id = var.reconciler_principal_id }
    plan      = { role = "Storage Blob Data Reader", principal_id = var.planner_principal_id }
    apply     = { role = var.heal ? "Storage Blob Data Contributor" : "Storage Blob Data Reader", principal_id = var.applier_principal_id }
  }
}

# Planning refreshes each resource, and Resource Graph answers only of what its asker may read.
resource "azurerm_role_assignment" "planner" {
  scope                = local.subscription
  role_definition_name = "Reader"
  principal_id         = var.planner_principal_id
  principal_type       = "ServicePrincipal"
  description          = "trueup plan: plan checks of ${var.market}"
}

resource "azurerm_role_assignment" "applier" {
  count = var.heal ? 1 : 0

  scope                = local.subscription
  role_definition_name = "Contributor"
  principal_id         = var.applier_principal_id
  principal_type       = "ServicePrincipal"
  description          = "trueup apply: heals of ${var.market}"
}

resource "azurerm_role_assignment" "states" {
  for_each = local.on_states

  scope                = var.state_container_id
  role_definition_name = each.value.role
  principal_id         = each.value.principal_id
  principal_type       = "ServicePrincipal"
  description          = "trueup ${each.key}: states of ${var.market}"
}
