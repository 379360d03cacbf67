resource "azurerm_log_analytics_workspace" "trueup" {
  name                = "log-${var.name}"
  resource_group_name = azurerm_resource_group.trueup.name
  location            = azurerm_resource_group.trueup.location
  tags                = local.tags

  sku                          = "PerGB2018"
  retention_in_days            = 90
  local_authentication_enabled = false
}

resource "azurerm_application_insights" "trueup" {
  name                = "appi-${var.name}"
  resource_group_name = azurerm_resource_group.trueup.name
  location            = azurerm_resource_group.trueup.location
  tags                = local.tags

  application_type             = "web"
  workspace_id                 = azurerm_log_analytics_workspace.trueup.id
  local_authentication_enabled = false
}
