resource "azurerm_storage_account" "host" {
  #checkov:skip=CKV_AZURE_59:Deploying to Flex Consumption fails where the host's account is closed to the platform. It holds no record and takes no key.
  #checkov:skip=CKV_AZURE_33:Its queues are Durable's own, thousands of messages a run, and hold keys of rows alone.
  #checkov:skip=CKV_AZURE_206:Nothing in it outlives a run: keys and hub are made anew, and the package is deployed anew.
  #checkov:skip=CKV2_AZURE_33:See CKV_AZURE_59.
  #checkov:skip=CKV2_AZURE_1:No record is in it. By default Microsoft's keys encrypt all storage.
  name                = var.storage_name
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags

  account_kind                     = "StorageV2"
  account_tier                     = "Standard"
  account_replication_type         = "LRS"
  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  local_user_enabled               = false
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  allowed_copy_scope               = "AAD"

  blob_properties {
    delete_retention_policy {
      days = 7
    }

    container_delete_retention_policy {
      days = 7
    }
  }
}

resource "azurerm_storage_container" "package" {
  #checkov:skip=CKV2_AZURE_21:The host alone reads it, each time an instance starts.

  name                  = "package"
  storage_account_id    = azurerm_storage_account.host.id
  container_access_type = "private"
}

# What Functions and Durable Functions ask for on the account of the host (docs/hosting.md, Identity).
resource "azurerm_role_assignment" "host" {
  for_each = toset(["Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor"])

  scope                = azurerm_storage_account.host.id
  role_definition_name = each.key
  principal_id         = var.identity.principal_id
  principal_type       = "ServicePrincipal"
  description          = "The host of ${var.name}, on its own account (docs/security.md)"
}
