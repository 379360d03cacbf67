"""What the service costs a month, from the assumptions and prices of `docs/costs.md`."""
