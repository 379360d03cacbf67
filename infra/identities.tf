# One identity a duty, and no duty has another's (docs/security.md).
resource "azurerm_user_assigned_identity" "duty" {
  for_each = local.duties

  name                = "id-${var.name}-${each.key}"
  resource_group_name = azurerm_resource_group.trueup.name
  location            = azurerm_resource_group.trueup.location
  tags                = local.tags
}
