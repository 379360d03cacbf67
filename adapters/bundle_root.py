"""The root module of a bundle that was unpacked, refused where a plan of it would not be one of what was deployed."""

import os
from pathlib import Path
from typing import Final

from adapters.bundle_unpacking import shown
from adapters.provider_locks import LOCK_FILE, check_hashes
from records.errors import BundleError

OVERRIDE: Final = "~trueup_override.tf.json"
"""Override files are merged in the order of their names, the last wins; '~' comes after every letter."""
_OVERRIDES: Final = ("_override.tf", "_override.tf.json", "_override.tofu", "_override.tofu.json")


def root_of_bundle(unpacked: Path, name: str) -> Path:
    """The folder ``name`` of a bundle, the top where it is empty, to which the file `OVERRIDE` can be added.

    Raises:
        BundleError: there is no such folder, another file would overrule `OVERRIDE`, or nothing pins a provider.
    """
    root = unpacked / name
    if not root.resolve().is_relative_to(unpacked.resolve()) or not root.is_dir():
        raise BundleError(f"{shown(name)}: the bundle has no such folder. Deploy the stack again by its pipeline.")
    later = sorted(path.name for path in root.iterdir() if path.name.endswith(_OVERRIDES) and path.name >= OVERRIDE)
    if later:
        raise BundleError(
            f"{shown(later[0])}: its name comes after {OVERRIDE}, which says where the state is. Rename it."
        )
    if os.path.lexists(root / LOCK_FILE):
        check_hashes(root / LOCK_FILE, LOCK_FILE)
    return root
