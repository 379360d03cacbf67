locals {
  network_security_group = regex(
    "(?i)^(?P<resource_group_id>/subscriptions/(?P<subscription_id>[^/]+)/resourceGroups/[^/]+)/", var.network_security_group_id
  )

  # The stack's own definition, so that rule and plant differ in the access alone.
  rule    = jsondecode(file("${path.module}/../stack/rule.json"))
  rule_id = "${var.network_security_group_id}/securityRules/${local.rule.name}"

  time_of_day = split(":", var.plants_at)
}

resource "azurerm_resource_group" "planter" {
  name     = var.resource_group_name
  location = var.location
  tags     = var.tags
}

resource "azurerm_logic_app_workflow" "planter" {
  name                = var.name
  location            = azurerm_resource_group.planter.location
  resource_group_name = azurerm_resource_group.planter.name
  enabled             = var.enabled
  tags                = var.tags

  # Nobody else can be given it, and it goes with the workflow.
  identity {
    type = "SystemAssigned"
  }
}

# One rule may be written, and nothing else: not read, not deleted, nor any other rule of the group.
resource "azurerm_role_definition" "planter" {
  name              = "${var.name} (one security rule)"
  description       = "What the canary of trueup needs to plant a drift."
  scope             = local.network_security_group.resource_group_id
  assignable_scopes = [local.network_security_group.resource_group_id]

  permissions {
    actions = ["Microsoft.Network/networkSecurityGroups/securityRules/write"]
  }
}

resource "azurerm_role_assignment" "planter" {
  scope              = local.rule_id
  role_definition_id = azurerm_role_definition.planter.role_definition_resource_id
  principal_id       = azurerm_logic_app_workflow.planter.identity[0].principal_id
  principal_type     = "ServicePrincipal"
  description        = "trueup: the canary's planter sets this rule to Allow once a day"
}

# `azurerm_logic_app_action_http` knows no authentication.
resource "azurerm_logic_app_action_custom" "plant" {
  name         = "plant"
  logic_app_id = azurerm_logic_app_workflow.planter.id

  # https://learn.microsoft.com/rest/api/virtualnetwork/security-rules/create-or-update
  body = jsonencode({
    type     = "Http"
    runAfter = {}
    inputs = {
      method  = "PUT"
      uri     = "https://management.azure.com${local.rule_id}"
      queries = { "api-version" = "2025-05-01" }
      body    = { properties = merge(local.rule.properties, { access = "Allow" }) }
      authentication = {
        type     = "ManagedServiceIdentity"
        audience = "https://management.azure.com/"
      }
    }
    # An answer is followed up by reading what the identity may not read. Whether the rule was changed is for the plan to say.
    operationOptions = "DisableAsyncPattern"
  })
}

resource "azurerm_logic_app_trigger_recurrence" "daily" {
  name         = "daily"
  logic_app_id = azurerm_logic_app_workflow.planter.id
  frequency    = "Day"
  interval     = 1
  time_zone    = "UTC"

  schedule {
    at_these_hours   = [tonumber(local.time_of_day[0])]
    at_these_minutes = [tonumber(local.time_of_day[1])]
  }

  # It may fire as soon as it is there.
  depends_on = [azurerm_logic_app_action_custom.plant, azurerm_role_assignment.planter]
}
