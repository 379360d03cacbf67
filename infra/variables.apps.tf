variable "package" {
  description = "Path of the package that `make package` has made. Null leaves the code of the apps as it is."
  type        = string
  default     = null

  validation {
    condition     = var.package == null ? true : fileexists(var.package) && fileexists("${var.package}.sha256")
    error_message = "package must be there, with its .sha256 beside it: run `make package`."
  }

  validation {
    condition     = var.package == null ? true : try(filesha256(var.package) == split(" ", trimspace(file("${var.package}.sha256")))[0], false)
    error_message = "package is not what its .sha256 says: make it anew, or fetch it anew."
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
    condition     = length(var.http_allowed_ip_ranges) > 0 && alltrue([for range in var.http_allowed_ip_ranges : can(cidrhost(range, 0))])
    error_message = "http_allowed_ip_ranges names at least one range such as 203.0.113.0/24: on-call must be able to pause healing."
  }

  validation {
    condition     = !contains([for range in var.http_allowed_ip_ranges : split("/", range)[1]], "0")
    error_message = "http_allowed_ip_ranges must not be the whole internet."
  }
}

variable "subnet_id" {
  description = "Subnet, delegated to Microsoft.App/environments, through which the apps reach storage and the markets. Null: the public endpoints."
  type        = string
  default     = null
}

variable "estate_network" {
  description = "Where the estate's account may be reached from, beside subnet_id: pipelines, people. Null leaves its endpoint open to every network; it takes no key and nobody without a role either way."
  type = object({
    ip_ranges  = optional(list(string), [])
    subnet_ids = optional(list(string), [])
  })
  default = null
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
  description = "Further settings of docs/configuration.md, of all apps, such as { FLEET_PERCENT = \"20\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : !can(regex("KEY|SECRET|PASSWORD|TOKEN|CONNECTION_STRING", name))])
    error_message = "settings holds no secret and no connection string: the apps sign in with their identities."
  }
}
