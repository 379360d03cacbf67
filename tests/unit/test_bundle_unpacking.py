"""Bundles that somebody else made: nothing of them is written unless all of them is good."""

import hashlib
import io
import os
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from adapters.bundle_unpacking import unpack_bundle
from records.errors import BundleError

MAX_BYTES = 1024**2
FILE = stat.S_IFREG | 0o644
Entry = tuple[str, bytes, int]


def zipped(*entries: Entry, compression: int = zipfile.ZIP_STORED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's own, at a name that comes twice
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.filename = entry.orig_filename = name
            entry.external_attr = mode << 16
            entry.create_system = 3
            archive.writestr(entry, content, compress_type=compression)
    return packed.getvalue()


def unpack(content: bytes, into: Path, *, max_bytes: int = MAX_BYTES) -> None:
    unpack_bundle(content, into, sha256=hashlib.sha256(content).hexdigest(), max_bytes=max_bytes)


def with_central_field(content: bytes, *, offset: int, form: str, value: int) -> bytes:
    """The zip with another value in the only entry's record of its directory (APPNOTE.TXT, section 4.3.12)."""
    changed = bytearray(content)
    struct.pack_into(form, changed, content.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


def test_files_are_written_with_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    content = zipped(("main.tf", b"# main", FILE), ("scripts/run.sh", b"true", stat.S_IFREG | 0o755))
    umask = os.umask(0o077)
    try:
        unpack(content, tmp_path / "into")
    finally:
        os.umask(umask)
    into = tmp_path / "into"
    assert (into / "main.tf").read_bytes() == b"# main"
    modes = {name: oct((into / name).stat().st_mode & 0o7777) for name in ("", "main.tf", "scripts", "scripts/run.sh")}
    assert modes == {"": "0o700", "main.tf": "0o644", "scripts": "0o700", "scripts/run.sh": "0o755"}


def test_no_other_bit_of_a_mode_is_taken_over(tmp_path: Path) -> None:
    unpack(zipped(("a", b"", stat.S_IFREG | 0o6777), ("b", b"", 0)), tmp_path / "into")
    assert [oct((tmp_path / "into" / name).stat().st_mode & 0o7777) for name in "ab"] == ["0o755", "0o644"]


def test_a_folder_that_is_there_and_empty_is_taken_as_it_is(tmp_path: Path) -> None:
    unpack(zipped(("main.tf", b"", FILE), compression=zipfile.ZIP_DEFLATED), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["main.tf"]


def test_a_hash_in_capitals_is_the_same_hash(tmp_path: Path) -> None:
    content = zipped(("main.tf", b"", FILE))
    unpack_bundle(content, tmp_path, sha256=hashlib.sha256(content).hexdigest().upper(), max_bytes=MAX_BYTES)
    assert (tmp_path / "main.tf").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            zipped(("../evil.tf", b"", FILE)), r"^\.\./evil\.tf in the bundle: .*'\.\.' segment", id="zip-slip"
        ),
        pytest.param(zipped(("a/../../evil.tf", b"", FILE)), r"'\.\.' segment", id="zip-slip further in"),
        pytest.param(
            zipped(("/etc/evil", b"", FILE)),
            r"^/etc/evil in the bundle: its name is an absolute path",
            id="an absolute path",
        ),
        pytest.param(zipped(("C:evil", b"", FILE)), "its name is an absolute path", id="a drive"),
        pytest.param(zipped(("..\\evil", b"", FILE)), "its name holds a backslash", id="a backslash"),
        pytest.param(zipped(("a//b", b"", FILE)), "an empty,", id="an empty segment"),
        pytest.param(zipped(("./a", b"", FILE)), "'.' or", id="a segment that is the folder itself"),
        pytest.param(zipped(("", b"", FILE)), "an empty,", id="no name"),
        pytest.param(zipped(("a/", b"", stat.S_IFDIR | 0o755)), "an empty,", id="a folder"),
        pytest.param(
            zipped(("a\x1b[2J", b"", FILE)),
            r"^a\\x1b\[2J in the bundle: its name holds a control",
            id="a control character",
        ),
        pytest.param(
            zipped(("a\0b", b"", FILE)),
            r"^a\\x00b in the bundle: its name holds a control",
            id="a name that ends early",
        ),
        pytest.param(
            zipped(("link", b"/etc/passwd", stat.S_IFLNK | 0o777)),
            "^link in the bundle: it is a symbolic link",
            id="a symbolic link",
        ),
        pytest.param(zipped(("pipe", b"", stat.S_IFIFO | 0o644)), "or a special file", id="a pipe"),
        pytest.param(
            zipped(("a", b"1", FILE), ("a", b"2", FILE)),
            "^a in the bundle: it is in the bundle twice",
            id="a name that comes twice",
        ),
        pytest.param(
            zipped(("a/b/c", b"", FILE), ("a/b", b"", FILE)),
            "^a/b/c in the bundle: a/b, the folder it is in, is a file as well",
            id="a file in a file",
        ),
        pytest.param(
            with_central_field(zipped(("a", b"x", FILE)), offset=8, form="<H", value=1),
            "^a in the bundle: it is encrypted",
            id="encrypted",
        ),
        pytest.param(
            zipped(("a", b"x", FILE), compression=zipfile.ZIP_LZMA), "compressed by method 14", id="another compression"
        ),
        pytest.param(
            with_central_field(zipped(("a", b"x", FILE)), offset=16, form="<L", value=1),
            "^a in the bundle: its bytes are not those",
            id="another CRC",
        ),
        pytest.param(
            with_central_field(
                zipped(("a", b"x" * 9, FILE), compression=zipfile.ZIP_DEFLATED), offset=24, form="<L", value=8
            ),
            "^a in the bundle: its bytes are not those",
            id="more bytes than it says",
        ),
        pytest.param(
            with_central_field(zipped(("a", b"x" * 9, FILE)), offset=24, form="<L", value=10),
            "^a in the bundle: its bytes are not those",
            id="fewer bytes than it says",
        ),
        pytest.param(
            zipped(("a", bytes(MAX_BYTES), FILE), ("b", b"x", FILE), compression=zipfile.ZIP_DEFLATED),
            r"unpacks to 1048577 bytes, more than the 1048576 allowed; a alone has 1048576",
            id="a bomb",
        ),
        pytest.param(
            with_central_field(
                zipped(("a", bytes(MAX_BYTES * 9), FILE), compression=zipfile.ZIP_DEFLATED),
                offset=24,
                form="<L",
                value=9,
            ),
            "its bytes are not those",
            id="a bomb that says it is small",
        ),
        pytest.param(b"<html>404</html>", "no zip that can be read", id="no zip"),
        pytest.param(zipped(("a", b"x", FILE))[:-30], "no zip that can be read", id="cut off"),
        pytest.param(
            zipped(("\xe9", b"", FILE)).replace("\xe9".encode(), b"\xff\xff"),
            "no zip that can be read",
            id="a name that is not UTF-8",
        ),
    ],
)
def test_a_bundle_with_one_bad_entry_is_refused_and_nothing_is_written(
    content: bytes, message: str, tmp_path: Path
) -> None:
    for into in (tmp_path / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(BundleError, match=message) as raised:
            unpack(content, into)
        assert str(raised.value).isprintable()
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty"]


def test_another_hash_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"sha256 is .*, not 0{64}: .*Deploy the stack again"):
        unpack_bundle(b"", tmp_path / "into", sha256="0" * 64, max_bytes=MAX_BYTES)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("mine", encoding="utf-8")
    with pytest.raises(BundleError, match="the folder is not empty"):
        unpack(zipped(("main.tf", b"", FILE)), tmp_path)
    assert (tmp_path / "main.tf").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("into", ["file", "nowhere/into"], ids=["a file in its place", "no folder to put it in"])
def test_a_folder_that_cannot_be_made_is_an_error(into: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="the bundle cannot be unpacked there"):
        unpack(zipped(("main.tf", b"", FILE)), tmp_path / into)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("is_new", [True, False], ids=["a new folder", "a folder that was there"])
def test_a_write_that_fails_half_way_leaves_nothing_behind(is_new: bool, tmp_path: Path) -> None:
    into = tmp_path / "into"
    if not is_new:
        into.mkdir()
    too_long = "x" * 300
    with pytest.raises(BundleError, match=r"cannot be unpacked there \(File name too long\)"):
        unpack(zipped(("a/b", b"", FILE), ("c", b"", FILE), (too_long, b"", FILE)), into)
    assert [path.name for path in tmp_path.rglob("*")] == ([] if is_new else ["into"])


def test_a_run_that_is_stopped_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fchmod", stop)
    with pytest.raises(KeyboardInterrupt):
        unpack(zipped(("a/b", b"", FILE)), tmp_path / "into")
    assert list(tmp_path.iterdir()) == []
