"""Bundles as bytes: the same files are the same bytes, and what changes meanwhile is no bundle."""

import hashlib
import io
import os
import random
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.bundle_files import BundleFile, BundleFiles
from adapters.bundle_unpacking import unpack_bundle
from adapters.bundle_zip import pack_bundle
from records.errors import BundleError
from records.tracker import ModulePin

MAX_BYTES = 1024**2

# No dots: hypothesis takes words out of our own source, and finds the names that are never in a bundle.
SEGMENTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\.", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8
).map("name".__add__)
NAMES = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)


def without_files_in_files(names: list[str]) -> bool:
    return not any(other.startswith(f"{name}/") for name in names for other in names)


TREES = st.lists(NAMES, min_size=1, max_size=8, unique=True).filter(without_files_in_files).flatmap(
    lambda names: st.fixed_dictionaries({name: st.tuples(st.binary(max_size=64), st.booleans()) for name in names})
)  # fmt: skip


def write(top: Path, tree: dict[str, tuple[bytes, bool]], chance: random.Random) -> None:
    """The files in an order, with times and modes, that another machine would have."""
    for name in chance.sample(sorted(tree), len(tree)):
        content, is_executable = tree[name]
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(chance.choice([0o700, 0o755, 0o775]) if is_executable else chance.choice([0o600, 0o644, 0o664]))
        os.utime(path, (chance.randrange(2**31), chance.randrange(2**31)))


def files_below(top: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        path.relative_to(top).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in top.rglob("*")
        if path.is_file()
    }


@settings(max_examples=60, deadline=None)
@given(TREES, st.randoms(use_true_random=False))
def test_any_tree_packs_to_the_same_hash_and_unpacks_to_the_same_files(
    tree: dict[str, tuple[bytes, bool]], chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        here, there, into = (Path(scratch) / name for name in ("here", "there", "into"))
        for folder in (here, there):
            folder.mkdir()
            write(folder, tree, chance)
        packed, again = (pack_bundle(folder, max_bytes=MAX_BYTES) for folder in (here, there))
        assert packed == again
        assert packed.file_count == len(tree)
        unpack_bundle(packed.content, into, sha256=packed.sha256, max_bytes=MAX_BYTES)
        assert files_below(into) == tree


def test_a_bundle_is_plain_and_the_same_for_ever(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("# main\n", encoding="utf-8")
    (tmp_path / "run.sh").write_text("true\n", encoding="utf-8")
    (tmp_path / "run.sh").chmod(0o700)
    packed = pack_bundle(tmp_path, max_bytes=MAX_BYTES)
    assert packed.sha256 == hashlib.sha256(packed.content).hexdigest()
    assert packed.sha256 == "85b84c5f359740b48f3a319fbae86bf603f1a5ddbb73a21da536bbd5d027b837"
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        described = [
            (entry.filename, entry.compress_type, entry.date_time, oct(entry.external_attr >> 16), entry.extra)
            for entry in archive.infolist()
        ]
    assert described == [
        ("main.tf", zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), "0o100644", b""),
        ("run.sh", zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), "0o100755", b""),
    ]


def test_a_bundle_says_its_root_its_modules_and_its_warnings(tmp_path: Path) -> None:
    root = tmp_path / "stacks/hub"
    (root / ".terraform/modules").mkdir(parents=True)
    (root / ".terraform/modules/modules.json").write_text(
        '{"Modules": [{"Key": "net", "Source": "../../net", "Dir": "../../net"}]}', encoding="utf-8"
    )
    (tmp_path / "net").mkdir()
    for path in (root / "main.tf", root / "override.tf", tmp_path / "net/main.tf"):
        path.touch()
    (root / ".gitignore").write_text("override.tf\n", encoding="utf-8")
    packed = pack_bundle(root, max_bytes=MAX_BYTES)
    assert (packed.root, packed.file_count) == ("stacks/hub", 4)
    assert packed.modules == (ModulePin(name="net", source="../../net"),)
    assert ["override.tf" in warning for warning in packed.warnings] == [True]


def test_a_variable_file_is_in_the_bundle_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/main.tf").touch()
    (tmp_path / "de.tfvars").write_text('market = "de"\n', encoding="utf-8")
    packed = pack_bundle(tmp_path / "root", variable_files=[tmp_path / "de.tfvars"], max_bytes=MAX_BYTES)
    unpack_bundle(packed.content, tmp_path / "into", sha256=packed.sha256, max_bytes=MAX_BYTES)
    assert (tmp_path / "into/~trueup-0-de.auto.tfvars").read_text(encoding="utf-8") == 'market = "de"\n'


def test_a_bundle_may_hold_the_limit_and_not_one_byte_more(tmp_path: Path) -> None:
    for name, size in {"main.tf": 10, "a.bin": 40, "b.bin": 30, "c.bin": 20}.items():
        (tmp_path / name).write_bytes(b"x" * size)
    assert pack_bundle(tmp_path, max_bytes=100).file_count == 4
    with pytest.raises(BundleError) as raised:
        pack_bundle(tmp_path, max_bytes=99)
    assert str(raised.value) == (
        "The bundle would hold 100 bytes (0.0 MiB), more than the 99 bytes (0.0 MiB) that BUNDLE_MAX_MIB allows. The largest "
        "files: a.bin, 40 bytes (0.0 MiB); b.bin, 30 bytes (0.0 MiB); c.bin, 20 bytes (0.0 MiB). Name what no plan needs in "
        ".trueupignore, or raise BUNDLE_MAX_MIB."
    )


def test_a_bundle_over_the_limit_is_refused_before_its_files_are_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "core").open("wb") as file:
        file.truncate(1024**4)
    with pytest.raises(BundleError, match=r"core, 1099511627776 bytes"):
        pack_bundle(tmp_path, max_bytes=MAX_BYTES)


class Meddler:
    """Does something to a file at the moment at which a bundle has begun to read it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._fstat = os.fstat
        monkeypatch.setattr(os, "fstat", self.fstat)

    def act(self) -> None:
        raise NotImplementedError

    def fstat(self, descriptor: int) -> os.stat_result:
        status = self._fstat(descriptor)
        self.act()
        return status


@pytest.mark.parametrize("change", ["it grows", "it shrinks", "it is rewritten", "it is replaced"])
def test_a_file_that_changes_while_it_is_read_is_an_error(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "main.tf"
    path.write_bytes(b"before")
    os.utime(path, (1, 1))

    class Changing(Meddler):
        def act(self) -> None:
            match change:
                case "it grows":
                    path.write_bytes(b"before and after")
                case "it shrinks":
                    path.write_bytes(b"")
                case "it is rewritten":
                    path.write_bytes(b"after!")
                case "it is replaced":
                    other = tmp_path / "other"
                    other.write_bytes(b"before")
                    os.utime(other, (1, 1))
                    other.replace(path)

    Changing(monkeypatch)
    with pytest.raises(BundleError, match=r"^main\.tf: it changed while it was read\. Run"):
        pack_bundle(tmp_path, max_bytes=MAX_BYTES)


def test_a_file_that_grew_since_it_was_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.tf", "b.tf"):
        (tmp_path / name).write_bytes(b"before")

    class Growing(Meddler):
        def act(self) -> None:
            (tmp_path / "b.tf").write_bytes(b"before and after")

    Growing(monkeypatch)
    with pytest.raises(BundleError, match=r"^b\.tf: it changed while it was read"):
        pack_bundle(tmp_path, max_bytes=MAX_BYTES)


def test_a_file_that_vanishes_before_it_is_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.tf", "b.tf"):
        (tmp_path / name).write_bytes(b"before")

    class Deleting(Meddler):
        def act(self) -> None:
            (tmp_path / "b.tf").unlink(missing_ok=True)

    Deleting(monkeypatch)
    with pytest.raises(BundleError, match=r"^b\.tf: it was deleted while the bundle was made\. Run"):
        pack_bundle(tmp_path, max_bytes=MAX_BYTES)


def test_a_file_that_vanishes_before_its_size_is_known_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = BundleFiles(files=(BundleFile("main.tf", tmp_path / "main.tf"),), root=None, warnings=())
    monkeypatch.setattr("adapters.bundle_zip.files_of_bundle", lambda _folder, *, variable_files: listed)
    with pytest.raises(BundleError, match=r"^main\.tf: it was deleted while the bundle was made"):
        pack_bundle(tmp_path, max_bytes=MAX_BYTES)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.tf", "b.tf"):
        (tmp_path / name).write_bytes(b"before")

    class Replacing(Meddler):
        def act(self) -> None:
            monkeypatch.undo()
            (tmp_path / "b.tf").rename(tmp_path / "moved")
            (tmp_path / "b.tf").mkdir()

    Replacing(monkeypatch)
    with pytest.raises(BundleError, match=r"^b\.tf: it cannot be read \(Is a directory\)\. Let the user"):
        pack_bundle(tmp_path, max_bytes=MAX_BYTES)
