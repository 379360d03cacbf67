output "estate_account" {
  description = "Account of the registry, the trackers, the states, the bundles and the policy: what pipelines write to."
  value       = azurerm_storage_account.estate.name
}

output "apps" {
  description = "Name of each duty's function app."
  value       = { for duty, app in module.app : duty => app.name }
}

output "api_url" {
  description = "Where runs are started (reconcile), and the levers of healing pulled (apply)."
  value       = { for duty in ["reconcile", "apply"] : duty => "https://${module.app[duty].hostname}/api" }
}

output "principal_ids" {
  description = "Object ids of the identities, for a market's own pipeline to give to modules/market_roles."
  value       = { for duty, identity in azurerm_user_assigned_identity.duty : duty => identity.principal_id }
}
