variable "on_call" {
  description = "Who is told of an alert, each by a name of your choice: e-mail addresses, webhooks (their URLs are in on_call_webhook_urls), and ids of Azure roles, whose holders in this subscription get an e-mail. A webhook with entra is called with a token of that application."
  type = object({
    emails    = optional(map(string), {})
    arm_roles = optional(map(string), {})
    webhooks = optional(map(object({
      entra = optional(object({
        object_id      = string
        identifier_uri = string
        tenant_id      = optional(string)
      }))
    })), {})
  })

  validation {
    condition     = length(var.on_call.emails) + length(var.on_call.arm_roles) + length(var.on_call.webhooks) > 0
    error_message = "on_call names nobody: give at least one of emails, webhooks and arm_roles, or no alert reaches a person."
  }

  validation {
    condition     = alltrue([for address in values(var.on_call.emails) : can(regex("^[^@\\s]{1,63}@[^@\\s]+$", address)) && length(address) <= 64])
    error_message = "on_call.emails are e-mail addresses of 64 characters at most, by name."
  }

  validation {
    condition     = alltrue([for id in values(var.on_call.arm_roles) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "on_call.arm_roles are ids of role definitions, such as 749f88d5-cbae-40b8-bcfc-e573ddc772fa (Monitoring Contributor), by name."
  }
}

variable "on_call_webhook_urls" {
  description = "URL of each webhook of on_call. It can hold a secret of whoever is called, and is then in this configuration's state as well."
  type        = map(string)
  default     = {}
  sensitive   = true

  validation {
    condition     = alltrue([for url in values(var.on_call_webhook_urls) : startswith(url, "https://")])
    error_message = "on_call_webhook_urls begin with https://."
  }

  validation {
    condition     = toset(keys(var.on_call_webhook_urls)) == toset(keys(var.on_call.webhooks))
    error_message = "on_call_webhook_urls has one URL for each of on_call.webhooks, by the same names."
  }
}

variable "runbook_url" {
  description = "Where on-call reads docs/runbook.md, as HTML whose headings have GitHub's anchors. Each alert links to its section, and so does each disagreement in a report."
  type        = string

  validation {
    condition     = can(regex("^https://[^\\s\"#<>]+$", var.runbook_url))
    error_message = "runbook_url begins with https:// and ends before the #, such as https://git.contoso.com/platform/trueup/blob/main/docs/runbook.md."
  }
}
