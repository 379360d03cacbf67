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
    condition     = alltrue([for market in values(var.markets) : market.subscription_id != var.subscription_id])
    error_message = "A market cannot be the subscription of trueup itself: the applier would be Contributor on its own storage."
  }

  validation {
    condition     = length(distinct([for market in values(var.markets) : market.subscription_id])) == length(var.markets)
    error_message = "A subscription is one market: two markets name the same."
  }
}

variable "market_for_canary" {
  description = "Key of the canary's market (infra/canary). With it, on-call hears when its drift is no longer found or healed. Null: there is no canary."
  type        = string
  default     = null
}
