variable "subscription_id" {
  description = "Subscription of the canary market, which holds nothing else."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription_id))
    error_message = "subscription_id is the id of a subscription: a UUID in lower case."
  }
}

variable "location" {
  description = "Azure region, such as westeurope."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "location is a region's name in lower case and without spaces, such as westeurope."
  }
}

variable "resource_group_name" {
  description = "Resource group of the canary, made here."
  type        = string
  default     = "rg-trueup-canary"

  validation {
    condition     = can(regex("^[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]$", var.resource_group_name))
    error_message = "resource_group_name has 1 to 90 letters, digits, '_', '(', ')', '.' or '-', and does not end in '.'."
  }
}

variable "network_security_group_name" {
  description = "Network security group whose one rule the planter changes."
  type        = string
  default     = "nsg-trueup-canary"

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$", var.network_security_group_name))
    error_message = "network_security_group_name has 1 to 80 letters, digits, '_', '.' or '-', begins with a letter or digit, and ends in neither '.' nor '-'."
  }
}

variable "tags" {
  description = "Tags of both resources. Leave out what an Azure Policy sets itself, or each check finds it missing."
  type        = map(string)
  default     = {}
}
