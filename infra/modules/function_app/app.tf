locals {
  identity_settings = {
    AZURE_CLIENT_ID = var.identity.client_id

    AzureWebJobsStorage__accountName = azurerm_storage_account.host.name
    AzureWebJobsStorage__credential  = "managedidentity"
    AzureWebJobsStorage__clientId    = var.identity.client_id
    HealQueue__queueServiceUri       = var.heal_queue_service_uri
    HealQueue__credential            = "managedidentity"
    HealQueue__clientId              = var.identity.client_id

    APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "Authorization=AAD;ClientId=${var.identity.client_id}"
  }

  disabled_settings = { for name in var.functions_off : "AzureWebJobs.${name}.Disabled" => "true" }
}

# Flex Consumption takes one app a plan.
resource "azurerm_service_plan" "app" {
  #checkov:skip=CKV_AZURE_225:Work that a lost zone cuts off is delivered again (docs/hosting.md); zones are a choice of price and region.
  #checkov:skip=CKV_AZURE_212:Flex Consumption scales from zero, and a run that begins a minute late is no failure.

  name                = "asp-${var.name}"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags

  os_type  = "Linux"
  sku_name = "FC1"
}

resource "azurerm_function_app_flex_consumption" "app" {
  name                = var.name
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags
  service_plan_id     = azurerm_service_plan.app.id

  runtime_name           = "python"
  runtime_version        = "3.11"
  instance_memory_in_mb  = var.memory_mb
  maximum_instance_count = var.instances

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.host.primary_blob_endpoint}${azurerm_storage_container.package.name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = var.identity.id

  https_only                                     = true
  webdeploy_publish_basic_authentication_enabled = false
  virtual_network_subnet_id                      = var.subnet_id

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identity.id]
  }

  app_settings = merge(var.app_settings, local.identity_settings, local.disabled_settings)

  site_config {
    minimum_tls_version                    = "1.2"
    scm_minimum_tls_version                = "1.2"
    http2_enabled                          = true
    vnet_route_all_enabled                 = var.subnet_id != null
    application_insights_connection_string = var.insights_connection
    ip_restriction_default_action          = "Deny"

    dynamic "ip_restriction" {
      for_each = var.http_allowed_ip_ranges

      content {
        name       = "allowed-${ip_restriction.key}"
        action     = "Allow"
        priority   = 100 + ip_restriction.key
        ip_address = ip_restriction.value
      }
    }
  }

  depends_on = [azurerm_role_assignment.host]
}
