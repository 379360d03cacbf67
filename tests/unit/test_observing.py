"""What is seen of one stack: the records' word, the plan of its bundle, and why there is no plan where there is none."""

import json
import re
from typing import Any, Final

import pytest

from drift.checks import check_of
from records.errors import (
    AccessDeniedError,
    BundleError,
    ContainerMissingError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
)
from records.findings import FindingKind
from records.plan_checks import Decision, HoldReason, StackCheck, StackObservation
from records.terraform import Cause, Diagnostic, DiagnosticSeverity, Step
from records.verdicts import Verdict
from tests.estates import CONTAINERS, LINEAGE, SERIAL, entry, put_registry, put_state
from tests.unit.observation_samples import brakes
from tests.unit.plan_samples import plan_bytes, resource
from tests.unit.planner_fake import (
    BUNDLE,
    CLICK,
    NOW,
    PLANS,
    REGISTRY,
    STATE,
    TRACKER,
    Breaks,
    Change,
    DriftEstate,
    Hangs,
    all_of,
    bundle_bytes,
    bundle_of,
    inconclusive,
)

RULE: Final = "azsim_network_security_rule.ssh"
OTHER_LINEAGE: Final = "00000000-7116-be1f-264c-8eebc32084c8"
FORBIDDEN: Final = AccessDeniedError("there", "403 AuthorizationPermissionMismatch")
DOWN: Final = StoreUnavailableError("there", "503 ServerBusy")


@pytest.fixture
def world() -> DriftEstate:
    """One healthy stack, in which somebody has opened a rule."""
    made = DriftEstate()
    made.deploy()
    return made


def decided(seen: StackObservation) -> StackCheck:
    """What follows where healing is on and nothing else stands in the way."""
    return check_of(seen, brakes(), now=NOW)


def assert_no_plan(seen: StackObservation, saying: str) -> None:
    assert seen.plan is None
    assert saying in " ".join(seen.diagnostics)
    assert all("\n" not in line and line for line in seen.diagnostics)
    assert decided(seen).reason is HoldReason.INCONCLUSIVE
    assert decided(seen).job_id is None


async def test_a_click_on_a_healthy_stack_is_seen_and_would_be_healed(world: DriftEstate) -> None:
    seen = await world.observe()
    assert (seen.market, seen.stack, seen.verdict) == ("de", "network", Verdict.HEALTHY)
    assert (seen.subscription_id, seen.lineage, seen.serial) == ("s-de", LINEAGE, SERIAL)
    assert (seen.bundle_sha256, seen.lock, seen.diagnostics) == (bundle_of("de", "network")["sha256"], None, ())
    assert seen.checked_at > NOW
    assert seen.plan
    assert [(found.address, found.kind) for found in seen.plan.findings] == [(RULE, FindingKind.PORTAL_DRIFT)]
    assert seen.plan.managed_resources == 1
    assert decided(seen).decision is Decision.HEAL


async def test_the_planner_gets_the_bundle_the_state_and_the_markets_subscription(world: DriftEstate) -> None:
    await world.observe()
    [asked] = world.planner.asked
    assert asked.content == bundle_bytes("de", "network")
    assert asked.bundle.sha256 == bundle_of("de", "network")["sha256"]
    assert asked.state.key == "de/network.tfstate"
    assert asked.subscription_id == "s-de"


async def test_nothing_of_a_plan_is_left_on_disk(world: DriftEstate) -> None:
    await world.observe()
    [folder] = world.planner.folders
    assert not folder.exists()


def no_serials(world: DriftEstate, **tracker: Any) -> None:
    world.register(serial=None, lineage=None)
    world.track(serial=None, lineage=None, **tracker)


DISAGREEING: Final[dict[Verdict, Change]] = {
    Verdict.LINEAGE_MISMATCH: lambda world: put_state(world.estate, "de", "network", lineage=OTHER_LINEAGE),
    Verdict.STATE_FORKED: lambda world: world.track(state_md5="0" * 32),
    Verdict.PIPELINE_DRIFT: lambda world: put_state(world.estate, "de", "network", SERIAL + 1),
    Verdict.STATE_ROLLED_BACK: lambda world: put_state(world.estate, "de", "network", SERIAL - 1),
    Verdict.TRACKER_BEHIND: lambda world: world.track(serial=SERIAL - 1),
    Verdict.TRACKER_AHEAD: lambda world: world.track(serial=SERIAL + 1),
    Verdict.REGISTRY_BEHIND: lambda world: world.register(serial=SERIAL - 1),
    Verdict.REGISTRY_AHEAD: lambda world: world.register(serial=SERIAL + 1),
    Verdict.RECORDS_SPLIT: all_of(lambda world: world.register(serial=1), lambda world: world.track(serial=2)),
    Verdict.UNVERIFIABLE: no_serials,
    Verdict.IN_FLIGHT: all_of(lambda world: put_state(world.estate, "de", "network", SERIAL + 1), DriftEstate.lock),
}
UNPLANNED: Final[dict[Verdict, Change]] = {
    Verdict.UNREADABLE: lambda world: world.estate.put(CONTAINERS.trackers, "de/network.json", b"{"),
    Verdict.UNREGISTERED: lambda world: world.blobs.delete(REGISTRY),
    Verdict.STATE_MISSING: lambda world: world.blobs.delete(STATE),
}


def test_every_verdict_is_looked_at_here() -> None:
    assert {*DISAGREEING, *UNPLANNED, Verdict.HEALTHY, Verdict.NOT_DEPLOYED} == set(Verdict)


@pytest.mark.parametrize("verdict", DISAGREEING)
async def test_where_the_records_disagree_a_stack_is_planned_and_held(world: DriftEstate, verdict: Verdict) -> None:
    DISAGREEING[verdict](world)
    seen = await world.observe()
    assert seen.verdict is verdict
    assert seen.plan
    assert [found.address for found in seen.plan.findings] == [RULE]
    assert (decided(seen).decision, decided(seen).reason) == (Decision.HOLD, HoldReason.RECORDS_DISAGREE)


@pytest.mark.parametrize("verdict", UNPLANNED)
async def test_where_a_record_is_not_there_nothing_is_planned(world: DriftEstate, verdict: Verdict) -> None:
    UNPLANNED[verdict](world)
    seen = await world.observe()
    assert seen.verdict is verdict
    assert world.planner.asked == []
    assert_no_plan(
        seen, "See the stack's verdict." if verdict is not Verdict.UNREADABLE else "`trueup record --bundle`"
    )


async def test_what_was_never_deployed_is_clean_without_a_plan(world: DriftEstate) -> None:
    world.register(serial=None)
    world.blobs.delete(TRACKER)
    world.blobs.delete(STATE)
    seen = await world.observe()
    assert seen.verdict is Verdict.NOT_DEPLOYED
    assert world.planner.asked == []
    assert decided(seen).decision is Decision.CLEAN


NO_GROUND: Final[dict[str, tuple[Change, str]]] = {
    "there is no tracker": (lambda world: world.blobs.delete(TRACKER), "Record the next deploy with"),
    "the tracker names no bundle": (lambda world: world.track(bundle=None), "Record the next deploy with"),
    "the tracker may not be read": (lambda world: world.blobs.refuse(TRACKER, FORBIDDEN), "Record the next deploy"),
    "the tracker was copied": (lambda world: world.track(subscription_id="another"), "Record the next deploy with"),
    "the state is empty": (lambda world: world.estate.put(STATE.container, STATE.name, b""), "would write an empty"),
    "the state is no state": (lambda world: world.estate.put(STATE.container, STATE.name, b"{}"), "would write an"),
    "the state may not be read": (lambda world: world.blobs.refuse(STATE, FORBIDDEN), "would write an empty one"),
    "the registry is gone": (lambda world: world.blobs.delete(REGISTRY), "No registry entry that can be read"),
    "the registry does not name it": (
        lambda world: put_registry(world.estate, "de", {"app": entry("de", "app")}),
        "No registry entry that can be read",
    ),
    "its registry entry is wrong": (
        lambda world: put_registry(world.estate, "de", {"network": {"serial": SERIAL}}),
        "No registry entry that can be read",
    ),
    "the registry cannot be read": (lambda world: world.blobs.refuse(REGISTRY, DOWN), "storage did not give or take"),
    "the registry is garbled": (lambda world: world.estate.put(REGISTRY.container, REGISTRY.name, b"["), "JSON"),
    "the trackers cannot be listed": (
        lambda world: world.blobs.refuse("trackers/de/", FORBIDDEN),
        "access was denied",
    ),
}


@pytest.mark.parametrize("case", NO_GROUND)
async def test_nothing_is_planned_where(world: DriftEstate, case: str) -> None:
    change, saying = NO_GROUND[case]
    change(world)
    seen = await world.observe()
    assert world.planner.asked == []
    assert_no_plan(seen, saying)


async def test_a_stack_that_no_record_names_any_more_is_inconclusive(world: DriftEstate) -> None:
    assert_no_plan(await world.observe(stack="gone"), "No record names de/gone any more.")
    assert_no_plan(await world.observe(market="nowhere"), "there is no record of this market")
    assert world.planner.asked == []


OTHERS_BUNDLES: Final = {
    "another stack's": bundle_of("de", "app")["blob"],
    "another market's": bundle_of("fr", "network")["blob"],
    "one of another hash": bundle_of("de", "network", b"another")["blob"],
    "one under no stack": "network.zip",
}


@pytest.mark.parametrize("case", OTHERS_BUNDLES)
async def test_nothing_is_planned_where_the_tracker_names_as_its_bundle(world: DriftEstate, case: str) -> None:
    blob = OTHERS_BUNDLES[case]
    world.estate.put(CONTAINERS.bundles, blob, bundle_bytes("de", "network"))
    world.track(bundle={**bundle_of("de", "network"), "blob": blob})
    seen = await world.observe()
    assert world.planner.asked == []
    assert_no_plan(seen, "The tracker names another stack's bundle. Record the next deploy with")


BAD_BUNDLES: Final[dict[str, tuple[Change, str]]] = {
    "it is missing": (lambda world: world.blobs.delete(BUNDLE), "Restore the blob's last version"),
    "it is too large": (
        lambda world: world.estate.put(BUNDLE.container, BUNDLE.name, b"." * 101),
        "Raise BUNDLE_MAX_MIB",
    ),
    "it may not be read": (lambda world: world.blobs.refuse(BUNDLE, FORBIDDEN), "Give trueup's identity the role"),
    "storage is down": (lambda world: world.blobs.refuse(BUNDLE, DOWN), "then run again"),
    "there is no container": (
        lambda world: world.blobs.refuse(BUNDLE, ContainerMissingError("bundles", "404")),
        "Create the container",
    ),
    "it has another hash": (
        lambda world: world.estate.put(BUNDLE.container, BUNDLE.name, b"something else"),
        "Deploy the stack again",
    ),
}


@pytest.mark.parametrize("case", BAD_BUNDLES)
async def test_a_bundle_gives_no_plan_where(world: DriftEstate, case: str) -> None:
    change, saying = BAD_BUNDLES[case]
    change(world)
    assert_no_plan(await world.observe(), saying)
    assert world.planner.folders == []


@pytest.mark.parametrize("cause", Cause)
async def test_a_plan_that_gives_no_answer_is_no_plan(world: DriftEstate, cause: Cause) -> None:
    said = Diagnostic(
        severity=DiagnosticSeverity.ERROR, summary="Invalid … key", codes=("HTTP 403",), file="main.tf", line=3
    )
    world.planner.usual = inconclusive(cause, step=Step.INIT, diagnostics=(said,))
    seen = await world.observe()
    assert_no_plan(seen, f"Terraform gave no plan ({cause}). Do something.")
    assert seen.diagnostics[1:] == ("error: Invalid … key; HTTP 403; main.tf:3",)
    assert seen.verdict is Verdict.HEALTHY


async def test_a_plan_that_takes_too_long_is_stopped(world: DriftEstate) -> None:
    world.planner.usual = Hangs()
    assert_no_plan(await world.observe(plan_limit_seconds=0.05), "Raise PLAN_LIMIT_SECONDS")
    assert world.planner.stopped == 1
    assert not world.planner.folders[0].exists()


@pytest.mark.parametrize(
    ("plan", "saying"),
    [
        pytest.param("errored_plan", "Plan what was deployed by hand", id="it errored"),
        pytest.param("targeted_plan", "Deploy the whole stack", id="it is of some resources alone"),
        pytest.param(b"", "Check again", id="it is empty"),
        pytest.param(b'{"format_version": "2.0"}', "or upgrade trueup", id="its format is of tomorrow"),
        pytest.param(
            plan_bytes(changes=[resource(), resource()]), "names one object twice", id="it says a thing twice"
        ),
    ],
)
async def test_a_plan_is_not_judged_where(world: DriftEstate, plan: str | bytes, saying: str) -> None:
    world.planner.usual = plan
    assert_no_plan(await world.observe(), saying)


@pytest.mark.parametrize(
    "error", [BundleError("it is no zip. Deploy again."), FORBIDDEN], ids=["the bundle", "the store"]
)
async def test_what_a_planner_says_of(world: DriftEstate, error: BundleError | StoreError) -> None:
    world.planner.usual = Breaks(error)
    assert_no_plan(await world.observe(), str(error))


async def test_a_setting_that_is_wrong_is_no_stacks_fault(world: DriftEstate) -> None:
    world.planner.usual = Breaks(SettingsError("terraform: there is no such program"))
    with pytest.raises(SettingsError, match="no such program"):
        await world.observe()


@pytest.mark.parametrize("plan", sorted(path.stem for path in PLANS.glob("*.json")))
async def test_a_fingerprint_is_there_exactly_where_an_apply_would_change_something(
    world: DriftEstate, plan: str
) -> None:
    world.planner.usual = plan
    seen = await world.observe()
    assert seen.plan or plan in {"errored_plan", "targeted_plan"}
    if seen.plan is None:
        return
    touched = [found for found in seen.plan.findings if found.kind is not FindingKind.STALE_STATE]
    assert bool(seen.plan.fingerprint) is bool(touched)
    assert bool(seen.plan.fleet_fingerprints) is bool(touched)
    assert len(seen.plan.fleet_fingerprints) <= len(touched)
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in seen.plan.fleet_fingerprints)
    assert (decided(seen).decision is Decision.CLEAN) is not bool(touched)


@pytest.mark.parametrize(
    ("plan", "along"),
    [
        pytest.param("moved_block", ("azsim_network_security_rule.renamed",), id="move"),
        pytest.param("import_block", ("azsim_storage_account.main",), id="import"),
    ],
)
async def test_what_an_apply_would_carry_along_is_told(world: DriftEstate, plan: str, along: tuple[str, ...]) -> None:
    world.planner.usual = plan
    seen = await world.observe()
    assert seen.plan
    assert (seen.plan.findings, seen.plan.carried_along) == ((), along)


async def test_a_click_beside_an_import_is_held(world: DriftEstate) -> None:
    click, imported = (json.loads((PLANS / f"{name}.json").read_bytes()) for name in (CLICK, "import_block"))
    click["resource_changes"] += imported["resource_changes"]
    world.planner.usual = json.dumps(click).encode()
    assert decided(await world.observe()).reason is HoldReason.MIXED


async def test_a_secret_of_a_plan_is_nowhere_in_what_was_seen(world: DriftEstate) -> None:
    world.planner.usual = "sensitive_attribute_drifted"
    plan = (PLANS / "sensitive_attribute_drifted.json").read_text()
    seen = await world.observe()
    for secret in ("planted-password", "BR6N9t7Ng87DUMdAi5dYQNzfNTxzzRe1xGJZGLhUTMwOUkkDkS8yM45eXyX"):
        assert secret in plan
        assert secret not in seen.model_dump_json()
        assert secret not in decided(seen).model_dump_json()


async def test_one_event_in_two_markets_has_one_fleet_fingerprint_and_two_of_its_own(world: DriftEstate) -> None:
    world.deploy("emea/fr", name="France production")
    deleted = (PLANS / "deleted_outside.json").read_text()
    world.planner.usual = deleted.encode()
    renamed = deleted.replace("-de", "-emea-fr").replace("00000000-0000-0000-0000-000000000001", f"{7:032x}")
    renamed = renamed.replace(f"{7:032x}", "0f000000-0000-0000-0000-000000000007")
    world.planner.outcomes["emea/fr/network.tfstate"] = renamed.encode()
    german, french = await world.observe(), await world.observe("emea/fr")
    assert german.plan
    assert french.plan
    assert german.plan.fleet_fingerprints == french.plan.fleet_fingerprints != ()
    assert german.plan.fingerprint != french.plan.fingerprint
