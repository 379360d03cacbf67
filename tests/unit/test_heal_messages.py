"""Which messages of the queue name a job, and that those that do not are refused by name and without a word of theirs."""

import json
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.heal_messages import to_message
from drift.decide import job_id
from drift.healing.messages import Refusal, read_message, unlike_the_ledger
from records.heal_ledger import HealRow, HealStep
from records.heals import MESSAGE_MAX_BYTES, HealJob
from tests.unit.observation_samples import LINEAGE, NOW

GROUND: Final[dict[str, Any]] = {
    "market": "emea/de",
    "stack": "network",
    "lineage": LINEAGE,
    "serial": 42,
    "fingerprint": "f" * 64,
}
JOB: Final = HealJob(
    job_id=job_id(**GROUND),
    bundle_sha256="9" * 64,
    addresses=("azurerm_subnet.a", "azurerm_subnet.b"),
    queued_at=NOW,
    expires_at=NOW + timedelta(hours=6),
    **GROUND,
)
ROW: Final = HealRow(job=JOB, step=HealStep.QUEUED, run_id="plans-1")
SECRET: Final = "planted-secret"


def message(**changes: Any) -> bytes:
    document = JOB.model_dump(mode="json") | changes
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


def test_a_message_as_it_is_sent_names_its_job() -> None:
    assert read_message(to_message(JOB)) == JOB
    assert unlike_the_ledger(JOB, ROW) is None


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert read_message(message(priority="high", job={"nested": [1]})) == JOB


NO_JOB: Final[dict[str, tuple[bytes, str]]] = {
    "is empty": (b"", "JSON"),
    "is no JSON": (SECRET.encode(), "JSON"),
    "is cut off": (message()[:-10], "JSON"),
    "is no UTF-8": (b"\xff\xfe", "JSON"),
    "is an array": (b"[]", "JSON"),
    "is an array in an array in an array": (b"[" * 10_000, "JSON"),
    "has no job_id": (message(job_id=...), "job_id"),
    "has no time": (message(queued_at=...), "queued_at"),
    "has a time that is none": (message(expires_at=SECRET), "expires_at"),
    "is of another schema": (message(schema_version=2), "schema_version"),
    "has a job_id that is no hash": (message(job_id=SECRET), "job_id"),
    "has a market that is none": (message(market=f"../{SECRET}"), "market"),
    "has a stack that is none": (message(stack="network/../app"), "stack"),
    "has a serial below 0": (message(serial=-1), "serial"),
    "has a bundle that is no hash": (message(bundle_sha256="9" * 63), "bundle_sha256"),
    "has a fingerprint in capitals": (message(fingerprint="F" * 64), "fingerprint"),
    "has one address": (message(addresses=SECRET), "addresses"),
    "has two faults": (message(stack="", serial=SECRET), "serial, stack"),
}


@pytest.mark.parametrize("case", NO_JOB)
def test_a_message_is_refused_that(case: str) -> None:
    body, fields = NO_JOB[case]
    assert read_message(body) == Refusal(f"it is no heal job of schema 1: {fields}")


@pytest.mark.parametrize("excess", [0, 1])
def test_a_message_is_refused_once_it_is_larger_than_a_queue_takes(excess: int) -> None:
    body = message()
    body += b" " * (MESSAGE_MAX_BYTES + excess - len(body))
    read = read_message(body)
    assert read == (Refusal("it has more than 49,152 bytes") if excess else JOB)


OTHERS: Final[dict[str, Any]] = {
    "market": "emea/fr",
    "stack": "app",
    "lineage": "another",
    "serial": 43,
    "fingerprint": "e" * 64,
}


@pytest.mark.parametrize("field", OTHERS)
def test_an_id_is_forged_that_is_of_another(field: str) -> None:
    changed = {field: OTHERS[field]}
    assert read_message(message(**changed)) == Refusal("its job_id is not that of what it says")
    own = GROUND | changed
    assert isinstance(read_message(message(**changed, job_id=job_id(**own))), HealJob), "and is none with its own"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"bundle_sha256": "8" * 64}, id="another bundle"),
        pytest.param({"addresses": ("azurerm_subnet.a",)}, id="fewer addresses"),
        pytest.param({"addresses": ("azurerm_subnet.b", "azurerm_subnet.a")}, id="addresses in another order"),
        pytest.param({"serial": 43}, id="another serial"),
        pytest.param({"queued_at": NOW + timedelta(hours=1)}, id="been queued later"),
        pytest.param({"expires_at": NOW}, id="expired"),
        pytest.param({"expires_at": NOW + timedelta(hours=9000)}, id="longer to live"),
    ],
)
def test_a_job_is_not_the_ledgers_that_has(change: dict[str, Any]) -> None:
    job = JOB.model_copy(update=change)
    assert unlike_the_ledger(job, ROW) == Refusal("it is not what the ledger says of this job")


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(HealJob.model_fields)), JSON, min_size=1))
def test_no_message_that_says_anything_else_passes_for_the_job(changes: dict[str, Any]) -> None:
    read = read_message(message(**changes))
    if isinstance(read, HealJob) and unlike_the_ledger(read, ROW) is None:
        assert read == JOB


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_refused_and_nothing_of_it_is_told(body: bytes) -> None:
    read = read_message(body)
    assert isinstance(read, Refusal)
    assert read.why.startswith("it is no heal job of schema 1: ")
    words = set(read.why.removeprefix("it is no heal job of schema 1: ").split(", "))
    assert words <= {*HealJob.model_fields, "JSON"}
