"""A bundle: the root module exactly as deployed, as one zip that its own hash names."""

from dataclasses import dataclass

from records.tracker import Bundle, ModulePin

_SUFFIX = ".zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBundle:
    """A bundle in memory, and what making it showed.

    ``sha256`` is of ``content``, in hex; ``root`` the root module's folder inside the zip, None where it is the zip's own root;
    ``modules`` are the module calls of the root module and those below, sorted by name; ``warnings`` are sentences for whoever
    deploys: a file that Terraform reads and an ignore file excludes.
    """

    content: bytes
    sha256: str
    file_count: int
    root: str | None = None
    modules: tuple[ModulePin, ...] = ()
    warnings: tuple[str, ...] = ()

    def named(self, *, market: str, stack: str) -> Bundle:
        """What a tracker says of it."""
        blob = bundle_blob(market, stack, self.sha256)
        return (
            Bundle(blob=blob, sha256=self.sha256, root=self.root)
            if self.root
            else Bundle(blob=blob, sha256=self.sha256)
        )


def bundle_blob(market: str, stack: str, sha256: str) -> str:
    return f"{market}/{stack}/{sha256}{_SUFFIX}"
