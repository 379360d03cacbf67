"""Where the policy is: a blob in the estate, or a file that the app brings along."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from adapters.blob_store import BlobPlace, BlobStore
from adapters.marked_yaml import MAX_BYTES, read_marked_yaml
from records.errors import BlobMissingError, ContainerMissingError, StoreError
from records.policy_source import POLICY_BLOB, BrokenYaml, MarkedValues, NoPolicy, UnreadPolicy
from records.store_faults import told

_ENOUGH_BYTES: Final = MAX_BYTES + 1
"""To see that it is too large."""


class BlobPolicySource:
    """A `PolicySource`: the blob where there is one, else the file ``beside_the_app`` where one is named.

    Where no file is named, there is no policy where the container is there and the blob is not. ``without_its_container`` says
    what it is taken for where the container is missing too: a misspelt name must not pass for an estate without a policy.
    """

    def __init__(
        self,
        blobs: BlobStore,
        container: str,
        *,
        beside_the_app: Path | None = None,
        without_its_container: NoPolicy | UnreadPolicy | None = None,
    ) -> None:
        self._blobs = blobs
        self._place = BlobPlace(container=container, name=POLICY_BLOB)
        self._beside_the_app = beside_the_app
        self._without_its_container = without_its_container or UnreadPolicy(
            f"The container {container} is not there, so neither is what the policy may forbid. "
            "Create it (it may be empty), or correct CONFIG_CONTAINER."
        )

    async def read(self) -> MarkedValues | BrokenYaml | NoPolicy | UnreadPolicy:
        try:
            part = await self._blobs.read(self._place, length_bytes=_ENOUGH_BYTES)
        except (BlobMissingError, ContainerMissingError) as error:
            if self._beside_the_app is not None:
                return await asyncio.to_thread(_read_file, self._beside_the_app)
            return NoPolicy() if isinstance(error, BlobMissingError) else self._without_its_container
        except StoreError as error:
            return UnreadPolicy(f"The policy cannot be read: {told(error)}")
        return read_marked_yaml(part.content)


def _read_file(path: Path) -> MarkedValues | BrokenYaml | UnreadPolicy:
    try:
        with path.open("rb") as file:
            content = file.read(_ENOUGH_BYTES)
    except OSError as error:
        why = error.strerror or type(error).__name__
        return UnreadPolicy(
            f"The policy cannot be read: {path}: {why}. Correct POLICY_FILE, or put the policy where it says."
        )
    return replace(read_marked_yaml(content), name=str(path))
