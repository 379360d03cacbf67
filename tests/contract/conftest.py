"""The real storage that the contract suites run against, beside memory and a folder."""

from tests.world.fixtures import azurite

__all__ = ["azurite"]
