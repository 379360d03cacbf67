"""The commands of the terminal, one module each: they bind arguments, call a mechanism, and print what came of it."""
