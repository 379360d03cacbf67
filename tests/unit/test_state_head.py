"""Finding serial and lineage in a state, whatever surrounds them."""

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import RecordError
from records.readings import StateHead
from records.state_head import StateHeadScanner

HEAD = StateHead(serial=42, lineage="edd2705f")


def scanned(content: bytes, part_bytes: int = 2048) -> StateHead:
    scanner = StateHeadScanner("x.tfstate")
    for start in range(0, max(len(content), 1), part_bytes):
        scanner.feed(content[start : start + part_bytes])
        if scanner.is_complete:
            break
    return scanner.finish()


def state(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize("part_bytes", [1, 7, 2048])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(state(version=4, serial=42, lineage="edd2705f", outputs={}), id="format version 4"),
        pytest.param(state(version=3, serial=42, lineage="edd2705f", modules=[]), id="format version 3"),
        pytest.param(state(serial=42, lineage="edd2705f", meta={"k": "x"}, encrypted_data="A"), id="OpenTofu, encrypted"),
        pytest.param(
            state(outputs={"serial": {"value": 7}, "lineage": {"value": "no"}}, serial=42, lineage="edd2705f"),
            id="outputs of the same names",
        ),
        pytest.param(state(resources=[{"serial": 1}] * 500, lineage="edd2705f", serial=42), id="keys in another order"),
        pytest.param(b'\n {"serial" :\t42 , "lineage":"edd2705f"}', id="white space"),
        pytest.param(b'{"\\u0073erial": 42, "lineage": "edd2705f"}', id="escaped keys"),
        pytest.param(b'{"serial": 42, "lineage": "edd2705f"', id="nothing is read beyond the head"),
    ],
)  # fmt: skip
def test_the_head_is_found(content: bytes, part_bytes: int) -> None:
    assert scanned(content, part_bytes) == HEAD


@pytest.mark.parametrize("part_bytes", [1, 7, 2048])
@pytest.mark.parametrize(
    ("content", "version"),
    [
        pytest.param(
            state(version=4, terraform_version="1.11.4", serial=42, lineage="edd2705f"), "1.11.4", id="as written"
        ),
        pytest.param(
            state(serial=42, lineage="edd2705f", terraform_version="1.11.4"), None, id="after both, and not read"
        ),
        pytest.param(state(outputs={"terraform_version": "9"}, serial=42, lineage="edd2705f"), None, id="an output"),
        pytest.param(state(terraform_version=["1"], serial=42, lineage="edd2705f"), None, id="no text"),
        pytest.param(state(terraform_version=None, serial=42, lineage="edd2705f"), None, id="null"),
    ],
)
def test_the_version_that_wrote_it_is_found_on_the_way(content: bytes, version: str | None, part_bytes: int) -> None:
    assert scanned(content, part_bytes) == HEAD.model_copy(update={"terraform_version": version})


def test_an_absent_or_empty_lineage_has_no_vote() -> None:
    assert scanned(state(version=1, serial=42)).lineage is None
    assert scanned(state(serial=42, lineage="")).lineage is None
    assert scanned(state(serial=42, lineage=None)).lineage is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(state(lineage="a"), "missing_field", id="no serial"),
        pytest.param(b"{}", "missing_field", id="an empty object"),
        pytest.param(state(serial=-1, lineage="a"), "invalid_field", id="a negative serial"),
        pytest.param(state(serial=42.0, lineage="a"), "invalid_field", id="a float"),
        pytest.param(state(serial="42", lineage="a"), "invalid_field", id="text"),
        pytest.param(state(serial=True, lineage="a"), "invalid_field", id="a boolean"),
        pytest.param(state(serial=None, lineage="a"), "invalid_field", id="null"),
        pytest.param(state(serial=10**30, lineage="a"), "invalid_field", id="10^30"),
        pytest.param(b'{"serial": 1E400, "lineage": "a"}', "invalid_field", id="an exponent"),
        pytest.param(b'{"serial": ' + b"9" * 5000 + b', "lineage": "a"}', "invalid_field", id="5,000 digits"),
        pytest.param(state(serial={"a": 1}, lineage="a"), "invalid_field", id="a serial that is an object"),
        pytest.param(state(serial=1, lineage=["a"]), "invalid_field", id="a lineage that is a list"),
        pytest.param(state(serial=1, lineage=7), "invalid_field", id="a lineage that is a number"),
        pytest.param(state(serial=1, lineage="a" * 300), "invalid_field", id="a lineage of 300 characters"),
        pytest.param(b'{"serial": 42, "serial": 99, "lineage": "a"}', "invalid_field", id="two serials"),
        pytest.param(b'{"lineage": "a", "lineage": "b", "serial": 42}', "invalid_field", id="two lineages"),
        pytest.param(b'{"version": 4, "seri', "not_json", id="truncated before the serial"),
        pytest.param(b'{"version": 4, "serial": 4', "not_json", id="truncated inside the serial"),
        pytest.param(b'{"serial": 42, "resources": [', "not_json", id="truncated before the lineage"),
        pytest.param(b'[{"serial": 42}]', "not_an_object", id="an array"),
        pytest.param(b"42", "not_json", id="a number"),
        pytest.param(b" " * 3000, "not_json", id="white space only"),
        pytest.param(b"\0" * 3000, "not_utf8", id="zeros"),
        pytest.param(b"0" * 3000, "not_json", id="digits"),
        pytest.param(b"\xef\xbb\xbf" + state(serial=1), "byte_order_mark", id="a byte-order mark"),
        pytest.param(state(serial=1).decode().encode("utf-16"), "not_utf8", id="UTF-16"),
        pytest.param(b'{"a": ' * 5000, "too_deep", id="deeply nested objects"),
        pytest.param(b'{"a": ' + b"[" * 5000, "too_deep", id="deeply nested arrays"),
        pytest.param(b"<html>", "not_json", id="a web page"),
    ],
)
def test_what_is_no_state_gets_a_named_fault(content: bytes, code: str) -> None:
    with pytest.raises(RecordError) as caught:
        scanned(content)
    assert caught.value.fault.code == code


def test_a_fault_quotes_nothing_of_the_state() -> None:
    with pytest.raises(RecordError) as caught:
        scanned(b'{"outputs": {"password": {"value": "hunter2"}}, oops')
    assert "hunter2" not in caught.value.fault.model_dump_json()
    assert caught.value.__cause__ is None


@given(st.binary(max_size=300))
def test_any_bytes_give_a_head_or_a_named_fault(content: bytes) -> None:
    with suppress(RecordError):
        assert scanned(content, part_bytes=16).serial >= 0


def test_memory_does_not_grow_with_the_state() -> None:
    part = b'{"mode": "managed", "instances": [{"attributes": {"id": "x"}}]},' * 1000
    scanner = StateHeadScanner("x")
    scanner.feed(b'{"resources": [')
    tracemalloc.start()
    for _ in range(100):
        scanner.feed(part)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    scanner.feed(b'{}], "serial": 42, "lineage": "edd2705f"}')
    assert scanner.finish() == HEAD
    assert peak_bytes < 2 * len(part)
