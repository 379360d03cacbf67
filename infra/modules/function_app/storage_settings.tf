# With each write of the app azurerm puts these two settings there: connection strings without a key, which the host would take
# before the identity. Setting them here does not help, since azurerm reads neither back, and would write the app anew with every
# apply (hashicorp/terraform-provider-azurerm#29149, #33211). So they are removed whenever it has written.
resource "terraform_data" "storage_settings" {
  lifecycle {
    replace_triggered_by = [azurerm_function_app_flex_consumption.app]
  }

  provisioner "local-exec" {
    command = "az functionapp config appsettings delete --subscription \"$SUBSCRIPTION\" --resource-group \"$GROUP\" --name \"$APP\" --setting-names AzureWebJobsStorage DEPLOYMENT_STORAGE_CONNECTION_STRING --output none"

    environment = local.of_the_cli
  }
}
