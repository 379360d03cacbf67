"""A check that is too large for a row gives up its values first, then its attributes, and never what it decided."""

from datetime import UTC, datetime
from typing import Final

from adapters.check_shrinking import WITHOUT_ATTRIBUTES, WITHOUT_VALUES, ever_smaller
from records.findings import AttributeChange, Finding, FindingKind
from records.plan_checks import Decision, StackCheck, StoredCheck

NOW: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
PLAIN: Final = AttributeChange(path="access", before="Allow", after={"a": ["Deny"]})
SENSITIVE: Final = AttributeChange(path="password", sensitive=True)
STORED: Final = StoredCheck(
    run_id="nightly",
    run_started_at=NOW,
    fleet_fingerprints=("c" * 64,),
    check=StackCheck(
        market="de",
        stack="network",
        decision=Decision.HEAL,
        why="It would revert one click.",
        job_id="a" * 64,
        checked_at=NOW,
        diagnostics=("warning: deprecated",),
        findings=(
            Finding(
                address="azurerm_subnet.a",
                type="azurerm_subnet",
                kind=FindingKind.PORTAL_DRIFT,
                actions=("update",),
                destructive=False,
                attributes=(PLAIN, SENSITIVE),
                changed_by="alice@example.com",
            ),
        ),
    ),
)


def test_the_first_form_is_the_check_as_it_is() -> None:
    assert next(ever_smaller(STORED)) == STORED


def test_the_second_has_no_values_and_says_so() -> None:
    _, second, _ = ever_smaller(STORED)
    (finding,) = second.check.findings
    assert finding.attributes == (AttributeChange(path="access"), SENSITIVE)
    assert second.check.diagnostics == ("warning: deprecated", WITHOUT_VALUES)


def test_the_third_has_no_attributes_and_says_only_that() -> None:
    *_, third = ever_smaller(STORED)
    (finding,) = third.check.findings
    assert finding.attributes == ()
    assert third.check.diagnostics == ("warning: deprecated", WITHOUT_ATTRIBUTES)


def test_no_form_gives_up_anything_else() -> None:
    bare = [
        form.model_copy(update={"check": form.check.model_copy(update={"diagnostics": (), "findings": ()})})
        for form in ever_smaller(STORED)
    ]
    assert bare[0] == bare[1] == bare[2]
    kept = [
        [finding.model_copy(update={"attributes": ()}) for finding in form.check.findings]
        for form in ever_smaller(STORED)
    ]
    assert kept[0] == kept[1] == kept[2]


def test_each_form_is_smaller_and_the_same_every_time() -> None:
    large = STORED.check.findings[0].model_copy(update={"attributes": (PLAIN, SENSITIVE) * 50})
    stored = STORED.model_copy(update={"check": STORED.check.model_copy(update={"findings": (large,)})})
    sizes = [len(form.model_dump_json()) for form in ever_smaller(stored)]
    assert sizes == sorted(sizes, reverse=True)
    assert list(ever_smaller(stored)) == list(ever_smaller(stored))
