variable "market" {
  description = "Key of the market, such as de or emea/fr; said in the description of each assignment."
  type        = string
}

variable "subscription_id" {
  description = "The market's subscription."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription_id))
    error_message = "subscription_id is the id of a subscription, in lower case."
  }

  validation {
    condition     = var.subscription_id != lower(var.trueup_subscription_id)
    error_message = "A market cannot be the subscription of trueup itself, or the applier is Contributor on its own storage."
  }
}

variable "trueup_subscription_id" {
  description = "The subscription in which trueup stands, which no market may be."
  type        = string
}

variable "reconciler_principal_id" {
  description = "Object id of the identity that reconciles (output principal_ids of infra/)."
  type        = string
}

variable "planner_principal_id" {
  description = "Object id of the identity that plans."
  type        = string
}

variable "applier_principal_id" {
  description = "Object id of the identity that applies."
  type        = string
}

variable "heal" {
  description = "Whether the applier may change the subscription. Without it nothing there is ever applied."
  type        = bool
  default     = false
}

variable "state_container_id" {
  description = "Resource id of the container with the market's states, where that is not the estate's; null otherwise."
  type        = string
  default     = null
}
