provider "azurerm" {
  subscription_id                 = local.network_security_group.subscription_id
  resource_provider_registrations = "none"
  resource_providers_to_register  = ["Microsoft.Logic"]

  features {}
}
