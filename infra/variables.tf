variable "subscription_id" {
  description = "Subscription in which trueup itself stands; one of its own, in which no market has a role."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription_id))
    error_message = "subscription_id is the id of a subscription, in lower case."
  }
}

variable "location" {
  description = "Azure region of everything here. It must have Flex Consumption: `az functionapp list-flexconsumption-locations`."
  type        = string
}

variable "name" {
  description = "Begins the name of everything here. Function apps and storage accounts share their names with all of Azure, so choose one that is yours."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,11}$", var.name))
    error_message = "name has 3 to 12 lower-case letters and digits, a letter first: names of storage accounts are made of it."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}

variable "time_zone" {
  description = "IANA time zone in which the day's run is due at 6:00 and missed at 7:00, such as Europe/Berlin."
  type        = string

  validation {
    condition     = can(regex("^([A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+|UTC)$", var.time_zone))
    error_message = "time_zone is a name of the IANA database such as Europe/Berlin, or UTC."
  }
}

variable "storage_replication" {
  description = "Replication of the estate's account. Where the region has no zones: GRS, or LRS to try things out."
  type        = string
  default     = "GZRS"

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "GZRS", "RAGRS", "RAGZRS"], var.storage_replication)
    error_message = "storage_replication is one of LRS, ZRS, GRS, GZRS, RAGRS, RAGZRS."
  }
}
