locals {
  # What people do with the estate's account from a desk; why, is in docs/security.md, which a test holds against this.
  people_roles = {
    readers = {
      "Storage Blob Data Reader"  = { container = ["registry", "trackers", "reports", "config"] }
      "Storage Table Data Reader" = { table = tolist(local.tables) }
    }
    operators = {
      "Storage Table Data Contributor"    = { table = ["heals", "heallevers"] }
      "Storage Queue Data Message Sender" = { queue = ["auto-apply"] }
      "Storage Queue Data Contributor"    = { queue = ["auto-apply-poison"] }
    }
  }

  people = {
    readers   = concat(var.people.readers, var.people.operators)
    operators = var.people.operators
  }

  people_role_assignments = merge([
    for group, roles in local.people_roles : merge([
      for role, scopes in roles : merge([
        for kind, names in scopes : merge([
          for name in names : {
            for id in local.people[group] : "${role} on ${kind} ${name} for ${id}" => { role = role, kind = kind, name = name, principal_id = id }
          }
        ]...)
      ]...)
    ]...)
  ]...)
}

resource "azurerm_role_assignment" "people" {
  for_each = local.people_role_assignments

  scope                = local.estate_scopes[each.value.kind][each.value.name]
  role_definition_name = each.value.role
  principal_id         = each.value.principal_id
  principal_type       = "Group"
  description          = "trueup, from a desk (docs/security.md)"
}
