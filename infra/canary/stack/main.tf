locals {
  # In the words of Azure's REST API, since the planter puts the same rule there with another access.
  rule = jsondecode(file("${path.module}/rule.json"))
}

resource "azurerm_resource_group" "canary" {
  name     = var.resource_group_name
  location = var.location
  tags     = var.tags
}

# Attached to nothing, so that the rule decides nothing, whatever it says. The rule stands in the group, and not in a resource
# of its own: a change of it is then one finding, and Resource Graph knows the group as the resource that was changed.
resource "azurerm_network_security_group" "canary" {
  name                = var.network_security_group_name
  location            = azurerm_resource_group.canary.location
  resource_group_name = azurerm_resource_group.canary.name
  tags                = var.tags

  security_rule {
    name                       = local.rule.name
    description                = local.rule.properties.description
    priority                   = local.rule.properties.priority
    direction                  = local.rule.properties.direction
    access                     = local.rule.properties.access
    protocol                   = local.rule.properties.protocol
    source_address_prefix      = local.rule.properties.sourceAddressPrefix
    source_port_range          = local.rule.properties.sourcePortRange
    destination_address_prefix = local.rule.properties.destinationAddressPrefix
    destination_port_range     = local.rule.properties.destinationPortRange
  }
}
