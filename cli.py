"""Door 2, the terminal: ``python -m cli …``, or ``trueup …``, which starts `commands.terminal` by itself.

What is installed cannot start this module: python-hcl2 installs a package ``cli``, which Python would find instead.
"""

from commands.terminal import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
