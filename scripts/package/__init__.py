"""Builds the one package that all function apps are deployed from: the app, its dependencies, Terraform and its providers.

Why they are all in it is docs/adr/0020-where-terraform-comes-from.md.
"""
