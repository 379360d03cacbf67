variable "package" {
  description = "Path of the package that `make package` has made. Null leaves the code of the apps as it is."
  type        = string
  default     = null

  validation {
    condition     = var.package == null ? true : try(filesha256(var.package) == split(" ", trimspace(file("${var.package}.sha256")))[0], false)
    error_message = "package is not there, or has no .sha256 beside it, or is not what that says: run `make package`."
  }
}

variable "heal_mode" {
  description = "How far trueup may go by itself: off, dry-run or on (docs/concepts.md). Begin with dry-run."
  type        = string
  default     = "dry-run"

  validation {
    condition     = contains(["off", "dry-run", "on"], var.heal_mode)
    error_message = "heal_mode is off, dry-run or on."
  }
}

variable "plan_check_schedule" {
  description = "When plan checks are due, as NCRONTAB of six fields, in UTC."
  type        = string
  default     = "0 30 */4 * * *"

  validation {
    condition     = length(split(" ", var.plan_check_schedule)) == 6
    error_message = "plan_check_schedule has six fields, seconds first, such as 0 30 */4 * * *."
  }
}

variable "http_allowed_ip_ranges" {
  description = "Address ranges, in CIDR, from which runs are started and the levers of healing are pulled over HTTP. All others are turned away."
  type        = list(string)

  validation {
    condition     = length(var.http_allowed_ip_ranges) > 0
    error_message = "http_allowed_ip_ranges names at least one range: on-call must be able to pause healing."
  }

  validation {
    condition     = alltrue([for range in var.http_allowed_ip_ranges : can(cidrhost(range, 0)) && try(tonumber(split("/", range)[1]) >= 8, false)])
    error_message = "http_allowed_ip_ranges are ranges such as 203.0.113.0/24 or 203.0.113.7/32, none of them wider than a /8."
  }
}

variable "subnet_id" {
  description = "Subnet, delegated to Microsoft.App/environments and with the service endpoint Microsoft.Storage, through which the apps reach storage and the markets. Null: the public endpoints."
  type        = string
  default     = null

  validation {
    condition     = var.subnet_id == null ? true : can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+/subnets/[^/]+$", var.subnet_id))
    error_message = "subnet_id is a subnet's resource id, /subscriptions/…/virtualNetworks/NAME/subnets/NAME."
  }
}

variable "estate_network" {
  description = "Where the estate's account may be reached from, beside subnet_id: pipelines, people. Azure does not apply ip_ranges to what calls from the account's own region: for that name its subnet. Null leaves the endpoint open to every network; it takes no key and nobody without a role either way."
  type = object({
    ip_ranges  = optional(list(string), [])
    subnet_ids = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.estate_network == null || var.subnet_id != null
    error_message = "estate_network closes the account to the apps too, unless they come through subnet_id: set that as well."
  }

  validation {
    condition     = var.estate_network == null ? true : alltrue([for range in var.estate_network.ip_ranges : can(cidrhost(strcontains(range, "/") ? range : "${range}/32", 0)) && !can(regex("/3[12]$", range)) && !can(regex("^(10|192[.]168|172[.](1[6-9]|2[0-9]|3[01]))[.]", range))])
    error_message = "estate_network.ip_ranges are public addresses, alone or as ranges of /30 or wider: Azure takes neither private ones, nor /31 and /32."
  }
}

variable "scale" {
  description = "Memory of an instance in MB, and how many instances there are at most, for each duty. An instance makes two plans at once, or one heal: 1,000 markets of 7 stacks need 20 to be planned every four hours (docs/costs.md)."
  type = object({
    reconcile = optional(object({ memory_mb = optional(number, 2048), instances = optional(number, 4) }), {})
    plan      = optional(object({ memory_mb = optional(number, 2048), instances = optional(number, 4) }), {})
    apply     = optional(object({ memory_mb = optional(number, 2048), instances = optional(number, 4) }), {})
  })
  default = {}

  validation {
    condition     = alltrue([for duty in values(var.scale) : contains([2048, 4096], duty.memory_mb) && duty.instances >= 1 && duty.instances <= 1000])
    error_message = "scale: memory_mb is 2048 or 4096 (Terraform does not fit 512), and instances 1 to 1000."
  }
}

variable "settings" {
  description = "Further settings of all apps, such as { FLEET_PERCENT = \"20\" }: those of docs/configuration.md that are in local.tunable_settings. The others have a variable of their own here, or follow from what is deployed."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.settings), local.tunable_settings)) == 0
    error_message = "settings must not hold ${join(", ", setsubtract(keys(var.settings), local.tunable_settings))}: there may be ${join(", ", local.tunable_settings)}."
  }
}

locals {
  # Not the schedule of the day's run, whose alert goes by 6:00; and nothing that another variable checks.
  tunable_settings = toset([
    "BREAKER_COUNT", "BREAKER_HOURS", "BUNDLE_MAX_MIB", "FAN_OUT_WIDTH", "FLEET_PERCENT", "HEAL_EXPIRES_MINUTES",
    "HEAL_MAX_PERCENT", "HEAL_MAX_RESOURCES", "IN_FLIGHT_MINUTES", "LOCK_TIMEOUT_SECONDS", "MARKET_LIMIT_SECONDS",
    "PLAN_JSON_MAX_MIB", "PLAN_LIMIT_SECONDS", "PROVIDER_FOLDER", "REREAD_DELAY_SECONDS", "RESOURCE_GRAPH", "RETENTION_DAYS",
    "RETRY_BACKOFF_SECONDS", "RETRY_TOTAL", "STATE_ACCOUNT_HOST_SUFFIXES", "TF_PASSED_VARIABLES",
  ])
}
