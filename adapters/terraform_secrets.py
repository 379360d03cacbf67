"""Which files of a root module's folder are states, plans or credentials, whatever they are called.

Sources: hashicorp/terraform ``internal/plans/planfile``, ``internal/states/statefile`` and ``internal/command/jsonplan``.
"""

import json
import re
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

_NAMES_OF_SECRETS: Final = (
    "*.tfstate", "*.tfstate.*", ".*.lock.info", "*.tfplan", "tfplan", "crash.log", "crash.*.log", "*.tfbackend",
    ".terraformrc", "terraform.rc", ".tofurc", "tofu.rc", "credentials.tfrc.json",
    ".env", ".env.*", ".netrc", "id_rsa", "id_ecdsa", "id_ed25519",
)  # fmt: skip
_ZIP_SIGNATURE: Final = b"PK\x03\x04"
_PLAN_MEMBER: Final = "tfplan"
_BEFORE_JSON: Final = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
"""White space, and the byte-order marks that PowerShell writes."""
_HEAD_BYTES: Final = 64 * 1024
_PARSED_MAX_BYTES: Final = 64 * 1024**2
_KEY = re.compile(rb'"(\w+)"\s*:')
_STATE_KEYS: Final = frozenset({"version", "terraform_version", "serial", "lineage"})
_ENCRYPTED_KEYS: Final = frozenset({"encrypted_data", "encryption_version"})
"""What OpenTofu encrypts is a state or a plan."""
_PLAN_VERSION: Final = "format_version"
_PLAN_KEYS: Final = frozenset({"terraform_version", "planned_values", "resource_changes"})


def has_name_of_secrets(name: str) -> bool:
    """Whether a file of this name is a state, its lock, a plan, the log of a crash or the command line's credentials."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in _NAMES_OF_SECRETS)


def is_state_or_plan(path: Path) -> bool:
    """Whether a file holds a state, a plan, or the JSON of either, whatever its name.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(_ZIP_SIGNATURE):
            return _is_plan_file(path)
        if not head.lstrip(_BEFORE_JSON).startswith(b"{"):
            return False
        keys = _keys(head + file.read(_PARSED_MAX_BYTES - len(head)))
    is_plan = _PLAN_VERSION in keys and not keys.isdisjoint(_PLAN_KEYS)
    return is_plan or keys >= _STATE_KEYS or keys >= _ENCRYPTED_KEYS


def _is_plan_file(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return _PLAN_MEMBER in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def _keys(content: bytes) -> frozenset[str]:
    """The top-level keys of a JSON object, in any order; of one that is cut off, all keys near its beginning."""
    try:
        return frozenset(json.loads(content))
    except (ValueError, RecursionError):
        return frozenset(key.decode() for key in _KEY.findall(content[:_HEAD_BYTES]))
