"""An audit of module pins as a table, JSON, Markdown and SARIF."""
