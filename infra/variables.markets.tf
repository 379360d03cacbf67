variable "markets" {
  description = <<-EOT
    Markets whose role assignments are made here, by key. Leave out those whose own pipeline makes them with
    modules/market_roles. `heal` gives the applier Contributor on the subscription: without it nothing there is ever applied.
    `state_container_id` is the resource id of the container with the market's states, where that is not the estate's.
  EOT
  type = map(object({
    subscription_id    = string
    heal               = optional(bool, false)
    state_container_id = optional(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for key in keys(var.markets) : can(regex("^[a-z0-9][a-z0-9-]{0,62}(/[a-z0-9][a-z0-9-]{0,62})*$", key))])
    error_message = "A market's key is its folder in the registry, such as de or emea/fr."
  }

  validation {
    condition     = alltrue([for market in values(var.markets) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", market.subscription_id))])
    error_message = "markets: a subscription_id is the id of a subscription, in lower case; not so in ${join(", ", [for key, market in var.markets : key if !can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", market.subscription_id))])}."
  }

  validation {
    condition     = alltrue([for market in values(var.markets) : market.subscription_id != var.subscription_id])
    error_message = "A market cannot be the subscription of trueup itself, or the applier is Contributor on its own storage: ${join(", ", [for key, market in var.markets : key if market.subscription_id == var.subscription_id])}."
  }

  validation {
    condition     = length(distinct([for market in values(var.markets) : market.subscription_id])) == length(var.markets)
    error_message = "A subscription is one market, and here is that of two: ${join(", ", [for key, market in var.markets : key if length([for other in values(var.markets) : other if other.subscription_id == market.subscription_id]) > 1])}."
  }

  validation {
    condition     = alltrue([for market in values(var.markets) : market.state_container_id == null ? true : can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Storage/storageAccounts/[^/]+/blobServices/default/containers/[^/]+$", market.state_container_id))])
    error_message = "markets: a state_container_id is a container's resource id, /subscriptions/…/blobServices/default/containers/NAME."
  }
}

variable "market_for_canary" {
  description = "Key of the canary's market (infra/canary). With it, on-call hears when its drift is no longer found or healed. Null: there is no canary."
  type        = string
  default     = null
}
