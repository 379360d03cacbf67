variable "name" {
  description = "Name of the app; unique in Azure, 32 characters at most, or two apps could share a host id."
  type        = string

  validation {
    condition     = length(var.name) <= 32
    error_message = "name has 32 characters at most."
  }
}

variable "storage_name" {
  description = "Name of the account that the host keeps its leases, keys, Durable's hub and the package in. No app shares one."
  type        = string
}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the app."
}

variable "location" {
  type        = string
  description = "Region of the app."
}

variable "tags" {
  type        = map(string)
  description = "Tags of the app, its plan and its account."
}

variable "identity" {
  description = "The one identity of the app: the host, trueup and Terraform sign in with it."
  type = object({
    id           = string
    client_id    = string
    principal_id = string
  })
}

variable "app_settings" {
  description = "Settings of docs/configuration.md and of the host, without those of identity and telemetry, which are made here."
  type        = map(string)
}

variable "functions_off" {
  description = "Functions of the package that are switched off in this app."
  type        = list(string)
}

variable "heal_queue_service_uri" {
  description = "Queue endpoint from which the host takes heals. It is told in every app, also where the triggers are off."
  type        = string
}

variable "insights_connection" {
  description = "Connection string of Application Insights. It says where, and opens nothing: telemetry is sent with the identity."
  type        = string
  sensitive   = true
}

variable "memory_mb" {
  description = "Memory of an instance, in MB."
  type        = number
}

variable "instances" {
  description = "How many instances there are at most."
  type        = number
}

variable "subnet_id" {
  description = "Subnet through which the app reaches what it reads; null for none."
  type        = string
}

variable "http_allowed_ip_ranges" {
  description = "Ranges, in CIDR, whose requests the app answers. With none it answers nobody."
  type        = list(string)
}

variable "package" {
  description = "Path of the package to deploy; null leaves the code as it is."
  type        = string
}
