"""That the same drift has the same name, and another drift another."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.fingerprint import fingerprint, fleet_fingerprint
from records.findings import AttributeChange, Finding, FindingKind


def finding(*attributes: AttributeChange, address: str = "a.b", **more: Any) -> Finding:
    return Finding(
        address=address,
        type="a",
        kind=more.pop("kind", FindingKind.PORTAL_DRIFT),
        actions=more.pop("actions", ("update",)),
        destructive=False,
        attributes=attributes,
        **more,
    )


OPENED = AttributeChange(path="access", before="Allow", after="Deny")
FIRST = finding(OPENED)

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.text(max_size=3)),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=2), below, max_size=2),
    max_leaves=4,
)
ATTRIBUTES = st.builds(AttributeChange, path=st.text(min_size=1, max_size=4), before=JSON, after=JSON)
FINDINGS = st.lists(
    st.builds(
        lambda attributes, address: finding(*attributes, address=address),
        st.lists(ATTRIBUTES, max_size=3),
        st.text(min_size=1, max_size=4),
    ),
    max_size=4,
)


def test_it_stays_what_it_was_in_the_first_release() -> None:
    """Stored in tables, where a breaker counts it: another form of it would forget what was healed."""
    assert fingerprint([FIRST]) == "0ad3e83ebe8f80ec8b5f809d1f977a8916adc69d13bc51a000af0e6e97e929f3"


@given(FINDINGS, st.randoms())
def test_order_never_matters(findings: list[Finding], random: Random) -> None:
    shuffled = [
        one.model_copy(update={"attributes": tuple(random.sample(one.attributes, len(one.attributes)))})
        for one in random.sample(findings, len(findings))
    ]
    assert fingerprint(findings) == fingerprint(shuffled)


@given(FINDINGS)
def test_it_is_the_same_once_written_and_read_again(findings: list[Finding]) -> None:
    again = [Finding.model_validate_json(one.model_dump_json()) for one in findings]
    assert fingerprint(findings) == fingerprint(again)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([], id="nothing"),
        pytest.param([finding(OPENED, address="a.c")], id="another address"),
        pytest.param([finding(OPENED, deposed="x")], id="a deposed object"),
        pytest.param([finding(OPENED.model_copy(update={"path": "x"}))], id="another path"),
        pytest.param([finding(OPENED.model_copy(update={"before": "Log"}))], id="another value now"),
        pytest.param([finding(OPENED.model_copy(update={"after": None}))], id="another value then"),
        pytest.param(
            [finding(OPENED.model_copy(update={"before": "Deny", "after": "Allow"}))], id="the other way round"
        ),
        pytest.param([finding(AttributeChange(path="access", sensitive=True))], id="a sensitive value"),
        pytest.param([FIRST, finding(address="a.c")], id="one more"),
        pytest.param([finding(OPENED.model_copy(update={"before": ["Allow"]}))], id="a list of it"),
    ],
)
def test_another_drift_has_another(other: list[Finding]) -> None:
    assert fingerprint(other) != fingerprint([FIRST])


@pytest.mark.parametrize(
    "same",
    [
        pytest.param([FIRST, FIRST], id="twice"),
        pytest.param([finding(OPENED, changed_by="alice", client="Azure Portal")], id="whoever did it"),
        pytest.param([finding(OPENED, actions=("delete", "create"))], id="however it is undone"),
    ],
)
def test_the_same_drift_has_the_same(same: list[Finding]) -> None:
    assert fingerprint(same) == fingerprint([FIRST])


def test_a_number_is_the_same_however_it_is_written() -> None:
    def of(value: Any) -> str:
        return fingerprint([finding(AttributeChange(path="a", before={"n": [value]}))])

    assert of(1) == of(1.0) != of(True)


def test_a_secret_is_a_mark_and_nothing_that_could_be_tried_out() -> None:
    """Whatever the masked values were, no part of the fingerprint depends on them: the attribute does not hold them."""
    assert fingerprint([finding(AttributeChange(path="p", sensitive=True))]) == fingerprint(
        [finding(AttributeChange(path="p", before="a", after="b", sensitive=True))]
    )


def in_market(market: str, subscription: str, value: str = "Deny", now: str = "Allow") -> Finding:
    identity = f"/subscriptions/{subscription}/resourceGroups/rg-{market}-network"
    changed = AttributeChange(
        path=f'rules["{market}"].access', before=now, after={market: [identity, market.upper(), value]}
    )
    return finding(changed, address=f'azurerm_x.y["{market}"]')


DE = in_market("de", "7f1fd8c2-0000-4b1c-9d3e-000000000001")
FR = in_market("fr", "7F1FD8C2-1111-4b1c-9d3e-000000000002")


def test_the_same_drift_in_two_markets_is_one_to_the_fleet() -> None:
    assert fingerprint([DE]) != fingerprint([FR])
    assert fleet_fingerprint([DE], names=["de", "network"]) == fleet_fingerprint([FR], names=["fr", "network"])


def test_what_a_policy_wrote_in_each_market_may_be_another_value_and_is_one_event() -> None:
    german, french = in_market("de", "x", now="10.0.0.4"), in_market("fr", "x", now="10.1.0.4")
    assert fleet_fingerprint([german], names=["de"]) == fleet_fingerprint([french], names=["fr"])
    assert fingerprint([german]) != fingerprint([in_market("de", "x", now="10.1.0.4")])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("node", "nofr", id="a name inside of a word is no name"),
        pytest.param("Allow", "Deny", id="another value"),
    ],
)
def test_another_drift_in_two_markets_is_not(one: str, other: str) -> None:
    german = fleet_fingerprint([in_market("de", "x", one)], names=["de"])
    french = fleet_fingerprint([in_market("fr", "x", other)], names=["fr"])
    assert german != french


def test_names_are_text_and_no_pattern() -> None:
    assert fleet_fingerprint([finding(OPENED, address="axb")], names=["a.b", ""]) == fleet_fingerprint(
        [finding(OPENED, address="axb")], names=[]
    )
