"""Where the policy is looked for: no doubt about whether there is one is ever taken for none."""

from pathlib import Path
from typing import Final

import pytest

from adapters.blob_store import BlobPlace
from adapters.folder_blobs import FolderBlobStore
from adapters.marked_yaml import MAX_BYTES
from adapters.policy_source import BlobPolicySource
from records.errors import (
    AccessDeniedError,
    AccountNotAllowedError,
    BlobChangedError,
    StoreError,
    StoreUnavailableError,
)
from records.policy_source import BrokenYaml, MarkedValues, NoPolicy, UnreadPolicy
from tests.fakes import MemoryBlobStore

PLACE: Final = BlobPlace(container="config", name="policy.yaml")


@pytest.fixture
def blobs() -> MemoryBlobStore:
    return MemoryBlobStore("config")


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text("heal_mode: on\n")
    return file


async def test_the_blob_is_the_policy(blobs: MemoryBlobStore) -> None:
    blobs.put(PLACE, b"# ours\nheal_mode: off\n")
    assert await BlobPolicySource(blobs, "config").read() == MarkedValues(
        {"heal_mode": "off"}, {(): 2, ("heal_mode",): 2}
    )


async def test_it_is_read_anew_each_time(blobs: MemoryBlobStore) -> None:
    source = BlobPolicySource(blobs, "config")
    assert isinstance(await source.read(), NoPolicy)
    blobs.put(PLACE, b"heal_mode: off\n")
    assert isinstance(await source.read(), MarkedValues)
    blobs.delete(PLACE)
    assert isinstance(await source.read(), NoPolicy)


async def test_the_blob_goes_before_the_file(blobs: MemoryBlobStore, beside: Path) -> None:
    source = BlobPolicySource(blobs, "config", beside_the_app=beside)
    blobs.put(PLACE, b"heal_mode: off\n")
    found = await source.read()
    assert isinstance(found, MarkedValues)
    assert (found.values, found.name) == ({"heal_mode": "off"}, "policy.yaml")


@pytest.mark.parametrize("container", ["config", "absent"], ids=["no blob", "no container"])
async def test_without_a_blob_the_file_is_the_policy(blobs: MemoryBlobStore, beside: Path, container: str) -> None:
    found = await BlobPolicySource(blobs, container, beside_the_app=beside).read()
    assert isinstance(found, MarkedValues)
    assert (found.values, found.name) == ({"heal_mode": "on"}, str(beside))


async def test_without_blob_and_file_there_is_no_policy(blobs: MemoryBlobStore) -> None:
    assert await BlobPolicySource(blobs, "config").read() == NoPolicy()


async def test_a_container_that_is_missing_is_no_absence_unless_it_is_said_to_be(blobs: MemoryBlobStore) -> None:
    found = await BlobPolicySource(blobs, "confg").read()
    assert isinstance(found, UnreadPolicy)
    assert "CONFIG_CONTAINER" in found.why
    source = BlobPolicySource(blobs, "confg", without_its_container=NoPolicy())
    assert await source.read() == NoPolicy()


@pytest.mark.parametrize("spoilt", ["missing", "folder"])
async def test_a_file_that_is_named_and_cannot_be_read_is_no_absence(
    blobs: MemoryBlobStore, tmp_path: Path, spoilt: str
) -> None:
    path = tmp_path / "policy.yaml"
    if spoilt == "folder":
        path.mkdir()
    found = await BlobPolicySource(blobs, "config", beside_the_app=path).read()
    assert isinstance(found, UnreadPolicy)
    assert str(path) in found.why
    assert "POLICY_FILE" in found.why
    assert found.why.endswith(".")


@pytest.mark.parametrize("kind", [AccessDeniedError, AccountNotAllowedError, BlobChangedError, StoreUnavailableError])
@pytest.mark.parametrize("has_file", [False, True], ids=["no file", "a file beside"])
async def test_trouble_with_storage_is_told_with_its_remedy_and_no_file_helps(
    blobs: MemoryBlobStore, beside: Path, kind: type[StoreError], has_file: bool
) -> None:
    blobs.refuse(PLACE, kind(str(PLACE), "the reason"))
    found = await BlobPolicySource(blobs, "config", beside_the_app=beside if has_file else None).read()
    assert isinstance(found, UnreadPolicy)
    assert "config/policy.yaml: the reason. " in found.why
    assert found.why.endswith(".")


BROKEN: Final = pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "says nothing", id="empty"),
        pytest.param(b"a: [", "no YAML", id="cut off"),
        pytest.param(b"# " + b"x" * MAX_BYTES, "larger than 256 KiB", id="too large"),
        pytest.param(b"heal_mode: \xff", "not UTF-8", id="not UTF-8"),
    ],
)


@BROKEN
async def test_a_blob_that_is_no_policy_is_broken_and_no_file_helps(
    blobs: MemoryBlobStore, beside: Path, content: bytes, message: str
) -> None:
    blobs.put(PLACE, content)
    found = await BlobPolicySource(blobs, "config", beside_the_app=beside).read()
    assert isinstance(found, BrokenYaml)
    assert message in found.message


@BROKEN
async def test_so_is_a_file(blobs: MemoryBlobStore, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)
    found = await BlobPolicySource(blobs, "config", beside_the_app=file).read()
    assert isinstance(found, BrokenYaml)
    assert message in found.message
    assert found.name == str(file)


async def test_beside_an_estate_on_disk_it_is_in_the_folder_config(tmp_path: Path) -> None:
    source = BlobPolicySource(FolderBlobStore(tmp_path), "config", without_its_container=NoPolicy())
    assert await source.read() == NoPolicy()
    (tmp_path / "config").mkdir()
    assert await source.read() == NoPolicy()
    (tmp_path / "config/policy.yaml").write_text("heal_mode: off\n")
    assert isinstance(await source.read(), MarkedValues)
