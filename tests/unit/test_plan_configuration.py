"""What an apply would do that a plan's resources do not show: run provisioners, read data, leave other outputs in the state."""

from typing import Any, Final

import pytest

from drift.plan_configuration import configured
from records.findings import FindingKind
from tests.unit.plan_samples import (
    CREATE,
    DELETE,
    NO_OP,
    READ,
    REPLACE,
    RULE,
    UPDATE,
    classified,
    only_finding,
    plan_bytes,
    resource,
)
from tests.unit.plan_samples import inconclusive as inconclusive_plan

DENY, ALLOW = {"access": "Deny"}, {"access": "Allow"}
GONE: Final = resource(DELETE, DENY)
MADE_ANEW: Final = resource(CREATE, None, DENY)
CLICKED: Final = resource(UPDATE, DENY, ALLOW)
UNDONE: Final = resource(UPDATE, ALLOW, DENY)
LATE: Final = resource(
    READ, None, None, address="data.a.b", mode="data", action_reason="read_because_dependency_pending"
)
FOR_A_CHECK: Final = resource(
    READ, None, None, address="data.a.b", mode="data", action_reason="read_because_check_nested"
)


@pytest.mark.parametrize(
    ("address", "block"),
    [
        (RULE, RULE),
        (f"{RULE}[0]", RULE),
        (f'module.a["x.y"].module.b[2].{RULE}["z]"]', f"module.a.module.b.{RULE}"),
        (f'{RULE}["a\\"].b"]', RULE),
    ],
)
def test_the_block_of_an_instance(address: str, block: str) -> None:
    assert configured(address) == block


class TestAProvisioner:
    def configuration(self, address: str) -> dict[str, Any]:
        """With one on the resource that has this address without its instances."""
        module: dict[str, Any] = {
            "resources": [
                {"address": RULE, "mode": "managed", "provisioners": [{"type": "local-exec"}], "expressions": {}}
            ]
        }
        for name in reversed(address.split(".")[1:-2:2]):
            module = {"module_calls": {name: {"source": "./m", "module": module}}}
        return {"provider_config": {}, "root_module": module}

    @pytest.mark.parametrize("address", [RULE, f"module.a.{RULE}", f"module.a.module.b.{RULE}"])
    @pytest.mark.parametrize("actions", [CREATE, DELETE, REPLACE], ids="-".join)
    def test_makes_unsafe_what_it_runs_in(self, address: str, actions: tuple[str, ...]) -> None:
        instance = address.replace("module.a.", 'module.a["x"].') + "[0]"
        change = resource(actions, DENY, DENY, address=instance)
        found = only_finding([], [change], configuration=self.configuration(address))
        assert (found.address, found.kind) == (instance, FindingKind.UNSAFE)

    def test_makes_unsafe_what_was_deleted_outside(self) -> None:
        assert only_finding([GONE], [MADE_ANEW]).kind is FindingKind.PORTAL_DRIFT
        assert only_finding([GONE], [MADE_ANEW], configuration=self.configuration(RULE)).kind is FindingKind.UNSAFE

    def test_does_not_run_in_an_update(self) -> None:
        found = only_finding([CLICKED], [UNDONE], configuration=self.configuration(RULE))
        assert found.kind is FindingKind.PORTAL_DRIFT

    def test_is_of_its_own_resource_alone(self) -> None:
        found = only_finding([GONE], [MADE_ANEW], configuration=self.configuration(f"module.a.{RULE}"))
        assert found.kind is FindingKind.PORTAL_DRIFT


def test_a_plan_that_changes_something_and_does_not_hold_its_configuration_says_nothing() -> None:
    assert "configuration" in inconclusive_plan(plan_bytes([CLICKED], [UNDONE], configuration=...)).message
    assert classified([CLICKED], [], configuration=...).findings


class TestADataSourceThatOnlyTheApplyReads:
    @pytest.mark.parametrize(
        ("drift", "change"),
        [
            pytest.param(GONE, resource(CREATE, None, {}, unknown={"access": True}), id="not known, of what is made anew"),
            pytest.param(GONE, MADE_ANEW, id="known, of what is made anew"),
            pytest.param(CLICKED, resource(UPDATE, ALLOW, {}, unknown={"access": True}), id="not known, of what is changed"),
        ],
    )  # fmt: skip
    def test_is_told_where_a_value_may_be_made_of_it(self, drift: Any, change: Any) -> None:
        assert classified([drift], [LATE, change]).late_reads == ("data.a.b",)
        assert classified([drift], [change]).late_reads == ()

    def test_is_not_told_where_all_that_changes_is_known(self) -> None:
        assert classified([CLICKED], [LATE, UNDONE]).late_reads == ()

    def test_is_not_told_of_a_check_to_which_nothing_can_refer(self) -> None:
        assert classified([GONE], [FOR_A_CHECK, MADE_ANEW]).late_reads == ()


def output(unknown: Any = False, actions: tuple[str, ...] = UPDATE) -> dict[str, Any]:
    return {"a": {"actions": list(actions), "before": 1, "after_unknown": unknown}}


def made_of(*references: str) -> dict[str, Any]:
    return {"root_module": {"outputs": {"a": {"expression": {"references": list(references)}}}}}


class TestAnOutput:
    def test_that_changes_is_told(self) -> None:
        for actions in (UPDATE, CREATE, DELETE):
            assert classified([CLICKED], [UNDONE], output_changes=output(actions=actions)).changed_outputs == ("a",)

    def test_that_stays_is_not_told(self) -> None:
        assert classified([CLICKED], [UNDONE], output_changes=output(actions=NO_OP)).changed_outputs == ()

    @pytest.mark.parametrize("unknown", [True, {"id": True}])
    @pytest.mark.parametrize("instance", ["", "[0]"])
    def test_of_what_is_made_anew_is_not_told_where_it_is_not_known_yet(self, unknown: Any, instance: str) -> None:
        address = f"{RULE}{instance}"
        drift, change = resource(DELETE, DENY, address=address), resource(CREATE, None, DENY, address=address)
        found = classified(
            [drift],
            [change],
            output_changes=output(unknown),
            configuration=made_of(f"{RULE}{instance}.id", f"{RULE}{instance}", RULE),
        )
        assert found.changed_outputs == ()

    @pytest.mark.parametrize("beside", [([CLICKED], [UNDONE]), ([GONE], [MADE_ANEW])], ids=["a click", "what is gone"])
    def test_of_nothing_is_not_told_where_it_is_not_known_yet_as_a_time_is(self, beside: Any) -> None:
        found = classified(*beside, output_changes=output(True), configuration=made_of())
        assert found.changed_outputs == ()

    @pytest.mark.parametrize(
        ("unknown", "configuration"),
        [
            pytest.param(False, made_of(), id="known, of nothing"),
            pytest.param(True, {"root_module": {"outputs": {}}}, id="not in the configuration"),
            pytest.param(True, {"root_module": {"outputs": {"a": {}}}}, id="without an expression"),
        ],
    )
    def test_is_told_where_it_is_no_functions(self, unknown: bool, configuration: Any) -> None:
        found = classified([CLICKED], [UNDONE], output_changes=output(unknown), configuration=configuration)
        assert found.changed_outputs == ("a",)

    @pytest.mark.parametrize(
        ("unknown", "references"),
        [
            pytest.param(False, [RULE], id="known"),
            pytest.param(True, [RULE, "data.a.b.name", "data.a.b"], id="also of a data source"),
            pytest.param(True, [RULE, "local.x"], id="also of a local value"),
            pytest.param(True, [RULE, "module.m.id", "module.m"], id="also of a module that is not told"),
            pytest.param(True, [RULE, "module.m"], id="also of a whole module"),
            pytest.param(True, ["azurerm_lb.a.id", "azurerm_lb.a"], id="of another resource"),
        ],
    )
    def test_is_told_beside_what_is_made_anew_where_it_is(self, unknown: bool, references: list[str]) -> None:
        found = classified([GONE], [MADE_ANEW], output_changes=output(unknown), configuration=made_of(*references))
        assert found.changed_outputs == ("a",)

    @pytest.mark.parametrize(
        ("inner", "told"),
        [
            pytest.param([f"{RULE}.id", RULE], (), id="of what is made anew in it"),
            pytest.param([], (), id="of nothing"),
            pytest.param([f"{RULE}.id", RULE, "var.name"], ("a",), id="also of what it was given"),
            pytest.param(["data.a.b.id", "data.a.b"], ("a",), id="of data in it"),
        ],
    )
    def test_of_a_module_is_what_that_module_makes_it_of(self, inner: list[str], told: tuple[str, ...]) -> None:
        address = f"module.m[0].{RULE}"
        drift, change = resource(DELETE, DENY, address=address), resource(CREATE, None, DENY, address=address)
        configuration = made_of("module.m[0].id", "module.m[0]", "module.m", "var.environment")
        module = {"outputs": {"id": {"expression": {"references": inner}}}}
        configuration["root_module"]["module_calls"] = {"m": {"module": module}}
        found = classified([drift], [change], output_changes=output(True), configuration=configuration)
        assert found.changed_outputs == told

    def test_is_told_where_another_instance_has_drifted_and_is_left_so(self) -> None:
        drift = [resource(DELETE, DENY, address=f"{RULE}[0]"), resource(UPDATE, DENY, ALLOW, address=f"{RULE}[1]")]
        change = resource(CREATE, None, DENY, address=f"{RULE}[0]")
        found = classified(drift, [change], output_changes=output(True), configuration=made_of(RULE))
        assert found.changed_outputs == ("a",)
