"""Pipeline drift: Terraform wrote a state outside the pipeline, and the tracker and the registry do not know.

Compares the three records of every stack and says which one is wrong. Portal drift, a live resource changed outside
Terraform, is invisible here: that is what `drift` looks for.
"""
