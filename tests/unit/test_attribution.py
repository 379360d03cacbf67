"""Whose changes are asked for, and where the answers go."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.attribution import attributed, ids_to_ask
from records.findings import Finding, FindingKind
from records.plan_checks import PlannedStack, StackObservation
from records.resource_changes import ResourceChange
from tests.unit.drift_samples import NOW, finding

ONE: Final = "00000000-0000-0000-0000-00000000000a"
OTHER: Final = "00000000-0000-0000-0000-00000000000b"
HUB: Final = f"/subscriptions/{ONE}/resourceGroups/hub/providers/Microsoft.Network/networkSecurityGroups/hub"
SPOKE: Final = f"/subscriptions/{ONE}/resourceGroups/spoke/providers/Microsoft.Network/networkSecurityGroups/spoke"
ALICE: Final = ResourceChange(
    changed_by="alice@example.com", changed_at=datetime(2026, 11, 25, 5, tzinfo=UTC), client="Azure Portal"
)
CLICKED: Final = (FindingKind.PORTAL_DRIFT, FindingKind.MIXED, FindingKind.STALE_STATE)
NOT_CLICKED: Final = (FindingKind.PENDING_CHANGE, FindingKind.UNSAFE)


def of(resource_id: str | None, kind: FindingKind = FindingKind.PORTAL_DRIFT) -> Finding:
    return finding(kind=kind).model_copy(update={"resource_id": resource_id})


def seen(*findings: Finding, subscription_id: str | None = ONE, **given: Any) -> StackObservation:
    usual: dict[str, Any] = {"market": "de", "stack": "network", "plan": PlannedStack(findings=findings)}
    return StackObservation(**{**usual, "subscription_id": subscription_id, "checked_at": NOW, **given})


class TestAskedFor:
    @pytest.mark.parametrize("kind", CLICKED)
    def test_is_what_is_otherwise_in_the_cloud(self, kind: FindingKind) -> None:
        assert ids_to_ask([seen(of(HUB, kind))]) == {ONE: (HUB,)}

    @pytest.mark.parametrize("kind", NOT_CLICKED)
    def test_is_nobody_of_a_finding_that_nobody_clicked(self, kind: FindingKind) -> None:
        assert ids_to_ask([seen(of(HUB, kind))]) == {}

    @pytest.mark.parametrize(
        "observation",
        [
            pytest.param(seen(of(None)), id="no id"),
            pytest.param(seen(of("")), id="an empty id"),
            pytest.param(seen(of(HUB), subscription_id=None), id="no subscription"),
            pytest.param(seen(plan=None), id="no plan"),
            pytest.param(seen(), id="no finding"),
        ],
    )
    def test_is_nothing_where_there_is(self, observation: StackObservation) -> None:
        assert ids_to_ask([observation]) == {}

    def test_is_each_subscription_by_itself(self) -> None:
        asked = ids_to_ask([seen(of(SPOKE)), seen(of(HUB), subscription_id=OTHER), seen(of(HUB))])
        assert asked == {ONE: (HUB, SPOKE), OTHER: (HUB,)}
        assert list(asked) == [ONE, OTHER]

    def test_is_a_subscription_once_whatever_its_case(self) -> None:
        assert ids_to_ask([seen(of(HUB), subscription_id=ONE.upper()), seen(of(SPOKE))]) == {ONE: (HUB, SPOKE)}

    @given(st.permutations([HUB, HUB.upper(), HUB.lower(), SPOKE, SPOKE.upper()]))
    def test_is_each_resource_once_whatever_its_case_and_the_order(self, resource_ids: list[str]) -> None:
        asked = ids_to_ask(seen(of(resource_id)) for resource_id in resource_ids)
        assert asked == {ONE: (HUB.upper(), SPOKE.upper())}


class TestAnAuthor:
    @pytest.mark.parametrize("kind", CLICKED)
    def test_is_found_by_the_id_in_any_case(self, kind: FindingKind) -> None:
        (told,) = attributed((of(HUB, kind),), {HUB.lower(): ALICE})
        assert (told.changed_by, told.changed_at, told.client) == (ALICE.changed_by, ALICE.changed_at, ALICE.client)
        assert told.model_copy(update={"changed_by": None, "changed_at": None, "client": None}) == of(HUB, kind)

    @pytest.mark.parametrize("kind", NOT_CLICKED)
    def test_is_not_given_to_what_nobody_clicked(self, kind: FindingKind) -> None:
        assert attributed((of(HUB, kind),), {HUB.lower(): ALICE}) == (of(HUB, kind),)

    @pytest.mark.parametrize("resource_id", [None, "", SPOKE])
    def test_is_not_known_of_another_resource(self, resource_id: str | None) -> None:
        assert attributed((of(resource_id),), {HUB.lower(): ALICE, "": ALICE}) == (of(resource_id),)

    def test_is_one_of_each_finding_in_their_order(self) -> None:
        findings = (of(SPOKE), of(HUB), of(None), of(HUB, FindingKind.PENDING_CHANGE))
        told = attributed(findings, {HUB.lower(): ALICE})
        assert [each.changed_by for each in told] == [None, "alice@example.com", None, None]
        assert [each.resource_id for each in told] == [SPOKE, HUB, None, HUB]

    def test_may_be_known_in_part(self) -> None:
        (told,) = attributed((of(HUB),), {HUB.lower(): ResourceChange(client="Azure Portal")})
        assert (told.changed_by, told.changed_at, told.client) == (None, None, "Azure Portal")

    def test_is_written_as_the_report_writes_it(self) -> None:
        (told,) = attributed((of(HUB),), {HUB.lower(): ALICE})
        assert Finding.model_validate_json(told.model_dump_json()) == told
