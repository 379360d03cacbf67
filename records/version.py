"""The version of trueup; pyproject.toml takes it from here, since a Functions app is deployed and not installed."""

from typing import Final

VERSION: Final = "0.1.0"
