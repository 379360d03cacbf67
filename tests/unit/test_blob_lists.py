"""Lists that people write by hand, with the marks that their editors and shells leave."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.blob_lists import listed_blobs, mapping_rows
from records.errors import SettingsError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "list"


LISTED = [
    pytest.param(b"a\nb\n", ["a", "b"], id="one a line"),
    pytest.param(b"a\r\nb", ["a", "b"], id="lines of Windows, and none at the end"),
    pytest.param(b"\xef\xbb\xbfa\n", ["a"], id="a byte-order mark"),
    pytest.param(b"# states\n\n  a  \n#b\n", ["a"], id="comments, empty lines and blanks"),
    pytest.param("de/ü.tfstate\n".encode(), ["de/ü.tfstate"], id="letters that are not ASCII"),
    pytest.param(b"a\na\n", ["a", "a"], id="a name twice"),
]


@pytest.mark.parametrize(("content", "blobs"), LISTED)
def test_a_list_of_states_is_read(file: Path, content: bytes, blobs: list[str]) -> None:
    file.write_bytes(content)
    assert listed_blobs(file) == blobs


def test_a_list_of_states_may_come_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a\nb\n")))
    assert listed_blobs(Path("-")) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "it names no state", id="empty"),
        pytest.param(b"# nothing\n\n", "it names no state", id="comments alone"),
        pytest.param("a\n".encode("utf-16"), "it is not UTF-8", id="UTF-16"),
    ],
)
def test_a_list_of_states_is_refused_that_is(file: Path, content: bytes, says: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"--states .*list: {says}"):
        listed_blobs(file)


MAPPINGS = [
    pytest.param("key,market,stack\na,de,app\n", [("a", "de", "app", None)], id="the three columns"),
    pytest.param(
        "key,market,stack,subscription_id\na,de,app,s-1\nb,fr,app,\n",
        [("a", "de", "app", "s-1"), ("b", "fr", "app", "")],
        id="with subscriptions, of which one is left empty",
    ),
    pytest.param("stack , market,key\napp, de ,a\n", [("a", "de", "app", None)], id="another order, and blanks"),
    pytest.param("\ufeffkey,market,stack\r\na,de,app\r\n", [("a", "de", "app", None)], id="as Excel saves it"),
    pytest.param('key,market,stack\n"a,b",de,app\n', [("a,b", "de", "app", None)], id="a quoted comma"),
    pytest.param("key,market,stack,owner\na,de,app,me\n\n\n", [("a", "de", "app", None)], id="another column, and empty lines"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rows"), MAPPINGS)
def test_a_mapping_is_read(file: Path, text: str, rows: list[tuple[str | None, ...]]) -> None:
    file.write_bytes(text.encode())
    columns = ("key", "market", "stack", "subscription_id")
    assert [tuple(row.get(column) for column in columns) for row in mapping_rows(file)] == rows


BAD_MAPPINGS = [
    pytest.param(b"", "its first line should have key, market, stack once", id="empty"),
    pytest.param(b"key;market;stack\na;de;app\n", "with commas between", id="separated by semicolons"),
    pytest.param(b"key,stack\na,app\n", "should have market once", id="without a column"),
    pytest.param(b"key,market,stack,key\n", "should have key once", id="with a column twice"),
    pytest.param(b"key,market,stack\n", "it names no state", id="without a row"),
    pytest.param(b"key,market,stack\na,de,app\nb,de\n", "line 3 has not as many cells", id="with too few cells"),
    pytest.param(b"key,market,stack\na,de,app,s\n", "line 2 has not as many cells", id="with too many cells"),
    pytest.param(b"key,market,stack\na,,\n", "line 2 has no market, stack", id="with empty cells"),
    pytest.param(b'key,market,stack\na,"de"x,app\n', "line 2: ", id="with a quote that does not end"),
    pytest.param(b"key,market,stack\n\xff,de,app\n", "it is not UTF-8", id="not UTF-8"),
]


@pytest.mark.parametrize(("content", "says"), BAD_MAPPINGS)
def test_a_mapping_is_refused_that_is(file: Path, content: bytes, says: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=says) as caught:
        mapping_rows(file)
    assert str(caught.value).startswith(f"--mapping {file}: ")


@pytest.mark.parametrize("read", [listed_blobs, mapping_rows], ids=["states", "mapping"])
def test_a_file_that_cannot_be_opened_is_named(read: object, tmp_path: Path) -> None:
    assert callable(read)
    with pytest.raises(SettingsError, match="missing: No such file"):
        read(tmp_path / "missing")
    with pytest.raises(SettingsError, match="Is a directory"):
        read(tmp_path)
