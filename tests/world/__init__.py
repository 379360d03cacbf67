"""The real parts that tests run against, all on loopback and without a network.

Azurite stands for the storage accounts and Terraform's own azurerm backend writes the states, so that
serials, leases, lock metadata and ETags are what the real clients produce, not what we remember of them.
"""
