"""The real storage that tests of whole runs use, and the proxies that make it fail."""

from tests.world.fixtures import azurite, fault_proxy, table_fault_proxy

__all__ = ["azurite", "fault_proxy", "table_fault_proxy"]
