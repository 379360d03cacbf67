locals {
  containers = toset(["registry", "trackers", "tfstate", "bundles", "config", "reports", "locks"])
  tables = toset([
    "reconcileresults", "reconcileruns", "reconcilework", "reconcilepins",
    "planchecks", "plancheckruns", "plancheckwork",
    "heals", "heallevers", "recordlog",
  ])
  queues = toset(["auto-apply", "auto-apply-poison"])
}

resource "azurerm_storage_account" "estate" {
  #checkov:skip=CKV_AZURE_59:Pipelines of every market write here. It takes no key and nobody without a role, and estate_network closes it.
  #checkov:skip=CKV_AZURE_33:Messages are logged by the diagnostic setting in estate.logs.tf, which this check does not see.
  #checkov:skip=CKV2_AZURE_33:A private endpoint belongs to the network of whoever runs this. estate_network and subnet_id are for it.
  #checkov:skip=CKV2_AZURE_1:A key of one's own is a choice of each organisation; by default Microsoft's keys encrypt all storage.
  name                = "${var.name}estate"
  resource_group_name = azurerm_resource_group.trueup.name
  location            = azurerm_resource_group.trueup.location
  tags                = local.tags

  account_kind                     = "StorageV2"
  account_tier                     = "Standard"
  account_replication_type         = var.storage_replication
  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  local_user_enabled               = false
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  allowed_copy_scope               = "AAD"

  blob_properties {
    versioning_enabled = true

    delete_retention_policy {
      days = 30
    }

    container_delete_retention_policy {
      days = 30
    }
  }

  dynamic "network_rules" {
    for_each = var.estate_network[*]

    content {
      default_action             = "Deny"
      bypass                     = ["AzureServices"]
      ip_rules                   = network_rules.value.ip_ranges
      virtual_network_subnet_ids = concat(network_rules.value.subnet_ids, var.subnet_id[*])
    }
  }

  lifecycle {
    # Registry, trackers, states and bundles: what the whole estate goes by.
    prevent_destroy = true
  }
}

resource "azurerm_storage_container" "estate" {
  #checkov:skip=CKV2_AZURE_21:Writes and deletes are logged (estate.logs.tf). Reads are thousands a run, by identities that do nothing else.

  for_each = local.containers

  name                  = each.key
  storage_account_id    = azurerm_storage_account.estate.id
  container_access_type = "private"

  lifecycle {
    prevent_destroy = true
  }
}

# A table that is deleted does not come back.
resource "azurerm_storage_table" "estate" {
  #checkov:skip=CKV2_AZURE_20:Deletes are logged (estate.logs.tf). Reads are thousands a run, by identities that do nothing else.

  for_each = local.tables

  name               = each.key
  storage_account_id = azurerm_storage_account.estate.id

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_storage_queue" "estate" {
  for_each = local.queues

  name               = each.key
  storage_account_id = azurerm_storage_account.estate.id
}
