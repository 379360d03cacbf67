"""What can be asked for over HTTP: the bodies that are taken, and what an answer says of those that are not."""

import json
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering.answers import Answer, answered
from answering.asking import MOST_BODY_BYTES, BadRequestError, BodyTooLargeError, parse_market
from reconcile.service.answers import answer_start
from reconcile.service.asking import api_url_of, parse_run_id, parse_scope
from records.runs import MOST_MARKETS_ASKED_FOR, MOST_STACKS_ASKED_FOR, WHOLE_SCOPE, Scope
from tests.fakes_service import ServiceBench

API: Final = "https://trueup.azurewebsites.net/api"
SECRET: Final = "hunter2"
TAKES: Final = 'the body takes "markets" and "stacks", both lists of names and both optional'


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def names(count: int) -> list[str]:
    return [f"m{number}" for number in range(count)]


async def ask(text: bytes) -> Answer:
    bench = ServiceBench()
    return await answered(answer_start(bench.service(), bench.engine, body=text, api_url=API))


TAKEN: Final = [
    pytest.param(b"", WHOLE_SCOPE, id="nothing"),
    pytest.param(b" \r\n\t", WHOLE_SCOPE, id="white space"),
    pytest.param(b"{}", WHOLE_SCOPE, id="an empty object"),
    pytest.param(body(markets=["de"]), Scope(markets=("de",)), id="a market"),
    pytest.param(body(markets=["emea/fr", "de", "de"]), Scope(markets=("de", "emea/fr")), id="a market named twice"),
    pytest.param(body(stacks=["network", "app"]), Scope(stacks=("app", "network")), id="stacks"),
    pytest.param(body(markets=["de"], stacks=["app"]), Scope(markets=("de",), stacks=("app",)), id="both"),
    pytest.param(b'{"\\u006darkets": ["\\u0064e"]}', Scope(markets=("de",)), id="names that are escaped"),
    pytest.param(
        body(markets=names(MOST_MARKETS_ASKED_FOR)),
        Scope(markets=tuple(names(MOST_MARKETS_ASKED_FOR))).normalised(),
        id="as many markets as may be",
    ),
    pytest.param(
        body(stacks=names(MOST_STACKS_ASKED_FOR)),
        Scope(stacks=tuple(names(MOST_STACKS_ASKED_FOR))).normalised(),
        id="as many stacks as may be",
    ),
    pytest.param(b"{}".ljust(MOST_BODY_BYTES), WHOLE_SCOPE, id="as many bytes as may be"),
]

NOT_TAKEN: Final = [
    pytest.param(body(market=["de"]), ["market"], id="a field of another name"),
    pytest.param(body(Markets=["de"]), ["Markets"], id="a field in capitals"),
    pytest.param(body(markets=["de"], dry_run=True), ["dry_run"], id="a field too many"),
    pytest.param(body(markets=[]), ["markets"], id="an empty list of markets"),
    pytest.param(body(markets=["de"], stacks=[]), ["stacks"], id="an empty list of stacks"),
    pytest.param(body(markets="de"), ["markets"], id="a name for a list"),
    pytest.param(body(markets={"de": 1}), ["markets"], id="an object for a list"),
    pytest.param(body(markets=7), ["markets"], id="a number for a list"),
    pytest.param(body(markets=True), ["markets"], id="true for a list"),
    pytest.param(body(markets=["de", 7]), ["markets[1]"], id="a number for a name"),
    pytest.param(body(markets=None), ["markets"], id="null for a list"),
    pytest.param(b'{"markets": ["de"], "markets": null}', ["markets"], id="a list and then null under the same name"),
    pytest.param(body(markets=[None]), ["markets[0]"], id="null for a name"),
    pytest.param(body(markets=[["de"]]), ["markets[0]"], id="a list for a name"),
    pytest.param(body(markets=[""]), ["markets[0]"], id="an empty name"),
    pytest.param(body(markets=["DE"]), ["markets[0]"], id="a name in capitals"),
    pytest.param(body(markets=["de\n"]), ["markets[0]"], id="a name that ends in a line break"),
    pytest.param(body(markets=["de\0"]), ["markets[0]"], id="a name with a NUL"),
    pytest.param(body(markets=["../de"]), ["markets[0]"], id="a path"),
    pytest.param(body(markets=["de/"]), ["markets[0]"], id="a name that ends in a slash"),
    pytest.param(body(markets=["/".join(["a" * 63] * 7)]), ["markets[0]"], id="a name that is too long"),
    pytest.param(body(stacks=["de/app"]), ["stacks[0]"], id="a stack with a slash"),
    pytest.param(body(stacks=["a" * 64]), ["stacks[0]"], id="a stack that is too long"),
    pytest.param(body(markets=names(MOST_MARKETS_ASKED_FOR + 1)), ["markets"], id="too many markets"),
    pytest.param(body(stacks=names(MOST_STACKS_ASKED_FOR + 1)), ["stacks"], id="too many stacks"),
    pytest.param(body(markets=["DE"], stacks=7, x=1), ["markets[0]", "stacks", "x"], id="more than one fault"),
]

NO_OBJECT: Final = [
    pytest.param(b"markets=de", id="a form"),
    pytest.param(b"{", id="half an object"),
    pytest.param(b'{"markets": ["de"],}', id="a comma too many"),
    pytest.param(b"{'markets': ['de']}", id="single quotes"),
    pytest.param(b'{"markets": ["de"]} {}', id="two objects"),
    pytest.param(b'["de"]', id="an array"),
    pytest.param(b'"de"', id="a string"),
    pytest.param(b"null", id="null"),
    pytest.param(b"7", id="a number"),
    pytest.param(b"NaN", id="no number"),
    pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
    pytest.param('{"markets": ["de"]}'.encode("utf-16"), id="UTF-16"),
    pytest.param(b'{"markets": ["d\xff"]}', id="bytes that are no UTF-8"),
    pytest.param(b'{"markets": ["\\ud800"]}', id="half a surrogate pair"),
    pytest.param(b"\0", id="a NUL"),
    pytest.param(b"{}\0\0", id="an object and NULs"),
    pytest.param(b"[" * MOST_BODY_BYTES, id="nothing but brackets"),
    pytest.param(b'{"markets":' + b"[" * 5000 + b"]" * 5000 + b"}", id="lists in lists in lists"),
]


class TestABody:
    @pytest.mark.parametrize(("text", "scope"), TAKEN)
    async def test_is_taken(self, text: bytes, scope: Scope) -> None:
        assert parse_scope(text) == scope
        assert (await ask(text)).status == 202

    @pytest.mark.parametrize(("text", "fields"), NOT_TAKEN)
    async def test_is_refused_by_field(self, text: bytes, fields: Sequence[str]) -> None:
        answer = await ask(text)
        told = json.loads(answer.body)
        assert (answer.status, answer.media_type) == (400, "application/problem+json")
        assert told["detail"] == TAKES
        assert [error["field"] for error in told["errors"]] == fields
        assert all(error["message"] for error in told["errors"])

    @pytest.mark.parametrize("text", NO_OBJECT)
    async def test_is_refused_as_no_object(self, text: bytes) -> None:
        answer = await ask(text)
        told = json.loads(answer.body)
        assert (answer.status, told["type"], told["errors"]) == (400, "urn:trueup:problem:bad-request", [])
        assert told["detail"].startswith("the body is no JSON object: ")

    @pytest.mark.parametrize("size_bytes", [MOST_BODY_BYTES + 1, 10_000_000])
    async def test_is_refused_where_it_is_too_large(self, size_bytes: int) -> None:
        for text in (b"{}".ljust(size_bytes), b" " * size_bytes, b"x" * size_bytes):
            answer = await ask(text)
            assert (answer.status, json.loads(answer.body)["detail"]) == (
                413,
                "It may hold 16,384 bytes; leave markets out.",
            )

    async def test_with_a_field_of_no_name_is_refused_by_field(self) -> None:
        assert json.loads((await ask(b'{"": 1}')).body)["detail"] == TAKES

    async def test_that_names_a_field_twice_means_its_last_value(self) -> None:
        assert parse_scope(b'{"markets": ["de"], "markets": ["fr"]}') == Scope(markets=("fr",))

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(body(markets=SECRET), id="for a list"),
            pytest.param(body(markets=[f"{SECRET}!"]), id="for a name"),
            pytest.param(body(markets=[{"x": SECRET}]), id="in an object"),
            pytest.param(body(password=SECRET), id="in another field"),
            pytest.param(f'{{"markets": {SECRET}}}'.encode(), id="out of place"),
            pytest.param(f'["{SECRET}"]'.encode(), id="in an array"),
            pytest.param(SECRET.encode(), id="alone"),
            pytest.param(f'{{"markets": ["{SECRET}\\ud800"]}}'.encode(), id="before half a surrogate pair"),
        ],
    )
    async def test_leaves_no_value_of_it_in_the_answer(self, text: bytes) -> None:
        answer = await ask(text)
        assert answer.status == 400
        assert SECRET not in answer.body

    @given(st.binary(max_size=200))
    def test_of_any_bytes_is_a_scope_or_a_refusal(self, text: bytes) -> None:
        try:
            scope = parse_scope(text)
        except (BadRequestError, BodyTooLargeError):
            return
        assert scope == scope.normalised()

    @given(st.dictionaries(st.sampled_from(["markets", "stacks"]), st.lists(st.text(max_size=5), min_size=1)))
    def test_of_lists_is_never_less_narrow_than_it_says(self, fields: dict[str, list[str]]) -> None:
        try:
            scope = parse_scope(json.dumps(fields).encode())
        except BadRequestError:
            return
        assert set(scope.markets) == set(fields.get("markets", []))
        assert set(scope.stacks) == set(fields.get("stacks", []))


class TestANameInAUrl:
    @pytest.mark.parametrize("name", ["de", "emea/fr", "a-b/c0/d", "/".join(["a" * 63] * 6)])
    def test_is_a_market_s_key(self, name: str) -> None:
        assert parse_market(name) == name

    @pytest.mark.parametrize("name", ["", "DE", "de/", "/de", "a//b", "../de", "de\n", "d e", "ü", "*", "a" * 401])
    def test_is_no_market_s_key(self, name: str) -> None:
        with pytest.raises(BadRequestError):
            parse_market(name)

    @pytest.mark.parametrize("name", ["daily-2026-11-25", "20261125T060000000Z", "nightly.7_a", "a" * 64])
    def test_is_a_run_s_id(self, name: str) -> None:
        assert parse_run_id(name) == name

    @pytest.mark.parametrize("name", ["", "-a", ".", "a/b", "a?b", "a#b", "a:b", "a\\b", "a b", "a\n", "ü", "a" * 65])
    def test_is_no_run_s_id(self, name: str) -> None:
        with pytest.raises(BadRequestError):
            parse_run_id(name)


@pytest.mark.parametrize(
    ("request_url", "api_url"),
    [
        pytest.param(f"{API}/reconcile", API, id="as it is"),
        pytest.param(f"{API}/reconcile?code={SECRET}", API, id="with a function key"),
        pytest.param(f"{API}/reconcile?code={SECRET}&next=/api/x/y", API, id="with a path in its query"),
        pytest.param(f"{API}/reconcile/", API, id="with a slash at its end"),
        pytest.param(f"{API}/reconcile/?code={SECRET}", API, id="with a slash and a function key"),
        pytest.param(f"{API}/reconcile#{SECRET}", API, id="with a fragment"),
        pytest.param("http://localhost:7071/api/reconcile?code=x", "http://localhost:7071/api", id="with a port"),
        pytest.param("http://[::1]:7071/api/reconcile", "http://[::1]:7071/api", id="of an IPv6 address"),
        pytest.param("https://example.com/reconcile", "https://example.com", id="without a prefix"),
        pytest.param("https://example.com/a/b/reconcile", "https://example.com/a/b", id="behind a gateway"),
    ],
)
def test_where_the_api_is_follows_from_a_request_s_url(request_url: str, api_url: str) -> None:
    assert api_url_of(request_url) == api_url
    assert SECRET not in api_url_of(request_url)
