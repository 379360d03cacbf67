mock_provider "azurerm" {}

variables {
  name                   = "contoso-plan"
  storage_name           = "contosoplan"
  resource_group_name    = "rg-contoso"
  location               = "germanywestcentral"
  tags                   = {}
  identity               = { id = "/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg-contoso/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-contoso-plan", client_id = "the-client", principal_id = "the-planner" }
  app_settings           = { HEAL_MODE = "dry-run" }
  functions_off          = ["heal_stack"]
  heal_queue_service_uri = "https://contosoestate.queue.core.windows.net"
  insights_connection    = "InstrumentationKey=00000000-0000-0000-0000-000000000000"
  memory_mb              = 2048
  instances              = 4
  subnet_id              = null
  http_allowed_ip_ranges = []
  package                = null
}

run "an_app_has_no_key_no_password_and_tls_1_2" {
  command = plan

  module {
    source = "./modules/function_app"
  }

  assert {
    condition     = azurerm_storage_account.host.shared_access_key_enabled == false && azurerm_storage_account.host.local_user_enabled == false
    error_message = "The host's account has shared keys or local users."
  }

  assert {
    condition     = azurerm_storage_account.host.allow_nested_items_to_be_public == false && azurerm_storage_container.package.container_access_type == "private"
    error_message = "The package could be read by everybody."
  }

  assert {
    condition     = azurerm_storage_account.host.min_tls_version == "TLS1_2"
    error_message = "The host's account speaks an older TLS."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.app.https_only && azurerm_function_app_flex_consumption.app.site_config[0].minimum_tls_version == "1.2" && azurerm_function_app_flex_consumption.app.site_config[0].scm_minimum_tls_version == "1.2"
    error_message = "The app speaks HTTP, or an older TLS."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.app.webdeploy_publish_basic_authentication_enabled == false
    error_message = "A publishing password would deploy the app."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.app.storage_authentication_type == "UserAssignedIdentity" && azurerm_function_app_flex_consumption.app.identity[0].type == "UserAssigned"
    error_message = "The app signs in with something else than its identity."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.app.site_config[0].ip_restriction_default_action == "Deny" && length(azurerm_function_app_flex_consumption.app.site_config[0].ip_restriction) == 0
    error_message = "An app with no ranges must turn everybody away."
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.app.app_settings["AzureWebJobs.heal_stack.Disabled"] == "true"
    error_message = "A function of another duty is on."
  }

  assert {
    condition     = length([for name in keys(azurerm_function_app_flex_consumption.app.app_settings) : name if startswith(name, "AzureWebJobs.")]) == 1
    error_message = "Only what is named is switched off."
  }
}
