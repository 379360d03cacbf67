"""The second mechanism: a plan of what was deployed tells a click in the portal from everything else."""
