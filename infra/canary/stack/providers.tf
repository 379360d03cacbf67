provider "azurerm" {
  subscription_id = var.subscription_id
  # A plan check signs in as a Reader, who may not register anything.
  resource_provider_registrations = "none"

  features {}
}
