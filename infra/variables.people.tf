variable "people" {
  description = "Object ids of Entra groups. Readers see reports, records and what came of heals; they cannot read a state. Operators are readers who pull the levers of healing from a desk."
  type = object({
    readers   = optional(list(string), [])
    operators = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for id in concat(var.people.readers, var.people.operators) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "people are object ids of groups: az ad group show --group NAME --query id."
  }

  validation {
    condition     = length(distinct(concat(var.people.readers, var.people.operators))) == length(var.people.readers) + length(var.people.operators)
    error_message = "people: an operator is a reader already. Name each group once."
  }
}
