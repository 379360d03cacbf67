variable "network_security_group_id" {
  description = "Output of the stack: the network security group whose rule is changed. Its subscription is the planter's too."
  type        = string

  validation {
    condition     = can(regex("(?i)^/subscriptions/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/resourceGroups/[^/]+/providers/Microsoft\\.Network/networkSecurityGroups/[^/]+$", var.network_security_group_id))
    error_message = "network_security_group_id is the Azure id of a network security group, as the stack's output has it."
  }
}

variable "location" {
  description = "Azure region of the planter, such as westeurope."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "location is a region's name in lower case and without spaces, such as westeurope."
  }
}

variable "resource_group_name" {
  description = "Resource group of the planter, made here: another than the stack's, which is trueup's to heal."
  type        = string
  default     = "rg-trueup-canary-planter"

  validation {
    condition     = can(regex("^[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]$", var.resource_group_name))
    error_message = "resource_group_name has 1 to 90 letters, digits, '_', '(', ')', '.' or '-', and does not end in '.'."
  }

  validation {
    condition     = lower(var.resource_group_name) != lower(try(split("/", var.network_security_group_id)[4], ""))
    error_message = "resource_group_name is the stack's own. The planter must be outside of what trueup heals."
  }
}

variable "name" {
  description = "Name of the Logic App; its custom role begins with it, and so is told from another estate's in the tenant."
  type        = string
  default     = "trueup-canary-planter"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.()-]{1,43}$", var.name))
    error_message = "name has 1 to 43 letters, digits, '_', '.', '(', ')' or '-'."
  }
}

variable "plants_at" {
  description = "When the drift is planted, once a day, as HH:MM in UTC: some two hours before a plan check (PLAN_CHECK_SCHEDULE), by when Azure can say who did it."
  type        = string
  default     = "02:15"

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.plants_at))
    error_message = "plants_at is a time of the day in UTC, such as 02:15."
  }
}

variable "enabled" {
  description = "Whether it plants. Switched off, both alerts of the canary fire after their window."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of resource group and Logic App."
  type        = map(string)
  default     = {}
}
