provider "azurerm" {
  subscription_id = var.subscription_id

  # No account here has shared keys.
  storage_use_azuread = true

  features {
    application_insights {
      # Or Azure adds an alert and an action group of its own, which mail people who are not on call.
      disable_generated_rule = true
    }

    storage {
      # Or each plan reads properties of queues and static websites, for which a deployer would need roles and the network.
      data_plane_available = false
    }
  }
}
