terraform {
  # The rest is given to `terraform init`, as for any market's stack.
  backend "azurerm" {}
}
