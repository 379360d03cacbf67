"""The real parts that tests run against; each is started by the first test that asks for it."""

from tests.world.fixtures import azurite, fault_proxy, table_fault_proxy, terraform_world

__all__ = ["azurite", "fault_proxy", "table_fault_proxy", "terraform_world"]
