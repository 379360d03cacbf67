"""The real Terraform with its real backend."""

from tests.world.fixtures import terraform_world

__all__ = ["terraform_world"]
