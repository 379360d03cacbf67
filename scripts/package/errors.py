"""What is told to whoever builds a package."""


class PackageError(Exception):
    """No package is made. Names the file, what was expected and found, and what to do."""
