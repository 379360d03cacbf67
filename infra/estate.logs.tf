# Who wrote or deleted what; and the messages of the poison queue (alerts/poison_queue.kql), since metrics count all queues of an
# account together. Reads are not logged: a log of them costs more than all others (docs/costs.md).
locals {
  logged_services = {
    blobServices  = ["StorageWrite", "StorageDelete"]
    queueServices = ["StorageWrite", "StorageDelete"]
    tableServices = ["StorageDelete"]
  }
}

resource "azurerm_monitor_diagnostic_setting" "estate" {
  for_each = local.logged_services

  name                       = "trueup"
  target_resource_id         = "${azurerm_storage_account.estate.id}/${each.key}/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.trueup.id

  dynamic "enabled_log" {
    for_each = toset(each.value)

    content {
      category = enabled_log.value
    }
  }
}
