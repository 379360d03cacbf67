"""How the commands that write records tell what they did, or would do."""
