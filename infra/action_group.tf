resource "azurerm_monitor_action_group" "on_call" {
  name                = "ag-${var.name}-on-call"
  short_name          = var.name
  resource_group_name = azurerm_resource_group.trueup.name
  tags                = local.tags

  dynamic "email_receiver" {
    for_each = var.on_call.emails

    content {
      name                    = email_receiver.key
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }

  dynamic "arm_role_receiver" {
    for_each = var.on_call.arm_roles

    content {
      name                    = arm_role_receiver.key
      role_id                 = arm_role_receiver.value
      use_common_alert_schema = true
    }
  }

  dynamic "webhook_receiver" {
    for_each = var.on_call.webhooks

    content {
      name                    = webhook_receiver.key
      service_uri             = var.on_call_webhook_urls[webhook_receiver.key]
      use_common_alert_schema = true

      dynamic "aad_auth" {
        for_each = webhook_receiver.value.entra[*]

        content {
          object_id      = aad_auth.value.object_id
          identifier_uri = aad_auth.value.identifier_uri
          tenant_id      = aad_auth.value.tenant_id
        }
      }
    }
  }
}
