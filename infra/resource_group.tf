locals {
  tags = merge({ application = "trueup" }, var.tags)
}

resource "azurerm_resource_group" "trueup" {
  name     = "rg-${var.name}"
  location = var.location
  tags     = local.tags
}
