data "azurerm_client_config" "current" {}

locals {
  plans_per_instance = 2

  queue_endpoint = trimsuffix(azurerm_storage_account.estate.primary_queue_endpoint, "/")

  estate_settings = {
    ESTATE_ACCOUNT_URL                          = trimsuffix(azurerm_storage_account.estate.primary_blob_endpoint, "/")
    RESULTS_ACCOUNT_URL                         = trimsuffix(azurerm_storage_account.estate.primary_table_endpoint, "/")
    QUEUE_ACCOUNT_URL                           = local.queue_endpoint
    RECONCILE_SCHEDULE                          = "0 0 ${local.run_due_at} * * *"
    RECONCILE_TIME_ZONE                         = var.time_zone
    PLAN_CHECK_SCHEDULE                         = var.plan_check_schedule
    HEAL_MODE                                   = var.heal_mode
    RUNBOOK_URL                                 = var.runbook_url
    APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL  = "true"
    APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED   = "true"
    PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY = "true"
  }

  # Of what runs Terraform, which `make package` has put into the package (docs/adr/0020-where-terraform-comes-from.md).
  terraform_settings = {
    ARM_USE_MSI = "true"
    # Registering resource providers is a write, which no identity of a plan check has.
    ARM_RESOURCE_PROVIDER_REGISTRATIONS = "none"
    ARM_USE_AZUREAD                     = "true"
    ARM_STORAGE_USE_AZUREAD             = "true"
    ARM_TENANT_ID                       = data.azurerm_client_config.current.tenant_id
    TF_BINARY                           = "/home/site/wwwroot/terraform/terraform"
    TF_CLI_CONFIG_FILE                  = "/home/site/wwwroot/terraform/terraform.tfrc"
    PLANS_PER_INSTANCE                  = tostring(local.plans_per_instance)
    # No more activities than plans: one that waits for a plan to end is where no other instance can take it (docs/hosting.md).
    AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions = tostring(local.plans_per_instance)
  }

  app_settings = {
    reconcile = local.estate_settings
    plan = merge(local.estate_settings, local.terraform_settings, {
      ARM_CLIENT_ID    = azurerm_user_assigned_identity.duty["plan"].client_id
      PLAN_CHECK_WIDTH = tostring(var.scale.plan.instances * local.plans_per_instance)

      # A check leaves 40 spans, and a day of a large estate more of them than of all else (docs/costs.md).
      OTEL_TRACES_SAMPLER     = "microsoft.fixed_percentage"
      OTEL_TRACES_SAMPLER_ARG = "0.05"
    })
    apply = merge(local.estate_settings, local.terraform_settings, {
      ARM_CLIENT_ID = azurerm_user_assigned_identity.duty["apply"].client_id
      # A heal plans, applies and plans again.
      AzureFunctionsJobHost__functionTimeout = "03:00:00"
    })
  }
}

module "app" {
  source   = "./modules/function_app"
  for_each = local.duties

  name                = "${var.name}-${each.key}"
  storage_name        = "${var.name}${each.key}"
  resource_group_name = azurerm_resource_group.trueup.name
  location            = azurerm_resource_group.trueup.location
  tags                = local.tags

  identity               = azurerm_user_assigned_identity.duty[each.key]
  app_settings           = merge(local.app_settings[each.key], var.settings)
  functions_off          = local.switched_off[each.key]
  heal_queue_service_uri = local.queue_endpoint
  insights_connection    = azurerm_application_insights.trueup.connection_string
  memory_mb              = var.scale[each.key].memory_mb
  instances              = var.scale[each.key].instances
  subnet_id              = var.subnet_id
  http_allowed_ip_ranges = each.key == "plan" ? [] : var.http_allowed_ip_ranges
  package                = var.package

  depends_on = [azurerm_role_assignment.estate, azurerm_role_assignment.telemetry]
}
