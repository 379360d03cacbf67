"""Writes a run of plan checks in the formats that people and programs read."""
