"""A Terraform provider whose resources look like Azure's and whose cloud is a JSON file.

`kinds` says what there is, `cloud_file` keeps it, `resources` and `provider` are the life of it as PyPI's `tf` wants to hear
of it, `serve` is the process that Terraform starts. Tests go through `tests.world.sim_cloud`.
"""
