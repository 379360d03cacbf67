provider "azurerm" {
  subscription_id = var.subscription_id

  # No account here has shared keys.
  storage_use_azuread = true

  features {}
}
