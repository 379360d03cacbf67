"""What the rows and files of the uses of levers are named by."""

import hashlib
from typing import Final

from records.heal_ledger import LeverUse

_HASH_DIGITS: Final = 16


def use_hash(use: LeverUse) -> str:
    """The same use has the same, so that one that is told twice is kept once; hex."""
    return hashlib.sha256(use.model_dump_json().encode()).hexdigest()[:_HASH_DIGITS]
