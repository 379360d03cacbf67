"""What is told to whoever builds a package."""


class PackageError(Exception):
    """No package is made. Names the file, what was expected and found, and what to do."""


def spelt(option: str, value: str = "") -> str:
    """An option in the words of ``make package``, and in those of the program that it runs."""
    variable = option.removeprefix("with-").upper().replace("-", "_")
    return f"{variable}={value or 1} ({f'--{option} {value}'.rstrip()})"
