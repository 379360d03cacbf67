module "market_roles" {
  source   = "./modules/market_roles"
  for_each = var.markets

  market                 = each.key
  subscription_id        = each.value.subscription_id
  trueup_subscription_id = var.subscription_id
  state_container_id     = each.value.state_container_id
  heal                   = each.value.heal

  reconciler_principal_id = azurerm_user_assigned_identity.duty["reconcile"].principal_id
  planner_principal_id    = azurerm_user_assigned_identity.duty["plan"].principal_id
  applier_principal_id    = azurerm_user_assigned_identity.duty["apply"].principal_id
}
