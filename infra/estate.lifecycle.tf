# Bundles have no rule for the blob itself: a tracker names the one that a plan check needs, however old it is.
resource "azurerm_storage_management_policy" "estate" {
  storage_account_id = azurerm_storage_account.estate.id

  rule {
    name    = "reports"
    enabled = true

    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["reports/"]
    }

    actions {
      base_blob {
        tier_to_cool_after_days_since_modification_greater_than = 30
        delete_after_days_since_modification_greater_than       = 400
      }
    }
  }

  # Versions of records and of the policy stay for good: they are small. Of a state a version goes by its age, which counts from when
  # it was written and not from when it was overwritten; then it is to be had for the 30 days of soft delete. They stay hot: a
  # version whose tier was set is billed whole, and otherwise for the blocks in which it differs, which after a lock are none.
  rule {
    name    = "old-states"
    enabled = true

    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["tfstate/"]
    }

    actions {
      version {
        delete_after_days_since_creation = 180
      }

      snapshot {
        delete_after_days_since_creation_greater_than = 180
      }
    }
  }

  rule {
    name    = "superseded-reports"
    enabled = true

    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["reports/", "locks/"]
    }

    actions {
      version {
        delete_after_days_since_creation = 30
      }
    }
  }
}
