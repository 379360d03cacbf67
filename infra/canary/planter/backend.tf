terraform {
  # The rest is given to `terraform init`. Not in the container of the markets' states: see docs/canary.md.
  backend "azurerm" {}
}
