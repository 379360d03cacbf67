locals {
  of_the_cli = {
    SUBSCRIPTION = split("/", azurerm_function_app_flex_consumption.app.id)[2]
    GROUP        = var.resource_group_name
    APP          = azurerm_function_app_flex_consumption.app.name
  }
}

# The provider's own zip_deploy_file signs in with the app's publishing password, which is switched off. The CLI sends the package
# with the token of whoever applies (docs/adr/0022-deploying-with-terraform.md).
resource "terraform_data" "package" {
  count = var.package == null ? 0 : 1

  triggers_replace = {
    app     = azurerm_function_app_flex_consumption.app.id
    package = filesha256(var.package)
  }

  provisioner "local-exec" {
    command = "az functionapp deployment source config-zip --subscription \"$SUBSCRIPTION\" --resource-group \"$GROUP\" --name \"$APP\" --src \"$PACKAGE\" --build-remote false --output none"

    environment = merge(local.of_the_cli, { PACKAGE = abspath(var.package) })
  }

  depends_on = [terraform_data.storage_settings]
}
