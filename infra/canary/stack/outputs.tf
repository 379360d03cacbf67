output "network_security_group_id" {
  description = "What the planter is given."
  value       = azurerm_network_security_group.canary.id
}

# Another one in each plan, and so each apply moves the state's serial: a heal must then bring tracker and registry to it, which
# makes that part of what the canary tries. An output alone is no finding.
output "applied_at" {
  description = "When the plan was made that was applied last, by the pipeline or by trueup."
  value       = plantimestamp()
}
