"""A root module's dependency lock file, which pins the providers of its plans by hash.

To Terraform an entry without a hash that it knows pins nothing: it takes whatever package has the name and the version
(hashicorp/terraform ``internal/depsfile/locks.go``, ``PreferredHashes``; ``internal/providercache/installer.go``), and
``-lockfile=readonly`` only warns of the hashes that it would add.
"""

import re
from pathlib import Path
from typing import Final

from records.errors import BundleError

LOCK_FILE: Final = ".terraform.lock.hcl"

_STRING_OR_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|#[^\n]*|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BLOCK = re.compile(r'\bprovider\s+"([^"]*)"\s*\{([^{}]*)\}')
_HASHES = re.compile(r"\bhashes\s*=\s*\[([^\]]*)\]")
_HASH = re.compile(r'"(?:h1|zh):[^"]+"')


def check_hashes(lock_file: Path, name: str) -> None:
    """Refuses a lock file that leaves a provider to whoever can publish one; ``name`` is the file's for messages.

    Raises:
        BundleError
    """
    try:
        text = lock_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise BundleError(f"{name}: it cannot be read as text. Take the file that `terraform init` writes.") from None
    text = _STRING_OR_COMMENT.sub(lambda found: found[1] or " ", text)
    blocks = _BLOCK.findall(text)
    if len(blocks) != len(re.findall(r"\bprovider\b", _STRING.sub('""', text))):
        raise BundleError(f"{name}: it is no lock file that can be read. Take the file that `terraform init` writes.")
    for provider, body in blocks:
        hashes = _HASHES.search(body)
        if not hashes or not _HASH.search(hashes[1]):
            raise BundleError(
                f"{name}: it has no hash of {_shown(provider)}, so a plan could use any package of that name. Run "
                "`terraform providers lock`, commit the file, and deploy again."
            )


def _shown(provider: str) -> str:
    return provider if provider.isprintable() else "a provider"
