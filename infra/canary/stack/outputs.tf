output "network_security_group_id" {
  description = "What the planter is given."
  value       = azurerm_network_security_group.canary.id
}

# Another one in each apply, which so moves the state's serial: a heal must then bring tracker and registry to it, which makes that
# part of what the canary tries. What only the apply knows, and is made of nothing else, is no finding and holds no heal.
output "applied_at" {
  description = "When it was applied last, by the pipeline or by trueup."
  value       = timestamp()
}
