output "principal_id" {
  description = "Object id of the planter's identity, by which Azure names who changed the rule."
  value       = azurerm_logic_app_workflow.planter.identity[0].principal_id
}

output "rule_id" {
  description = "The rule that is changed, all that the planter may write."
  value       = local.rule_id
}

output "workflow_id" {
  description = "The Logic App, whose trigger `daily` can be run by hand."
  value       = azurerm_logic_app_workflow.planter.id
}
