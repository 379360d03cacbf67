"""`trueup drift check` over stacks that were deployed and recorded, with the real Terraform on its azurerm backend.

All stacks are checked by one run, with the heal mode on and the queue open: each test says what has to come of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from adapters.table_names import HEALS_TABLE, PLAN_CHECK_RUNS_TABLE, PLAN_CHECKS_TABLE
from drift.decide import job_id
from tests.terraform.checked_estate import Checked, CheckedEstate, checked_estate, data, rule
from tests.terraform.deploys import JsonObject
from tests.world.state_blob import BlobFacts, LockInfo
from tests.world.terraform_backend import TerraformWorld

pytestmark = [pytest.mark.terraform, pytest.mark.azurite]

PLANTED: Final = "planted-in-the-error-of-the-cloud"
HEALING: Final = {"HEAL_MODE": "on"}
CLICKED: Final = "de/network"
MERGED: Final = "de/app"
PENDING: Final = "fr/network"
BY_LAPTOP: Final = "nl/network"
LOCKED: Final = "pl/network"
STATE_GONE: Final = "it/network"
WRONG_KEY: Final = "es/network"
TAMPERED: Final = "pt/network"
WITHOUT_A_BUNDLE: Final = "at/network"
REFUSED: Final = "dk/network"
MODULES: Final = {
    CLICKED: rule("ssh-de"),
    MERGED: data("deployed"),
    PENDING: data("deployed"),
    BY_LAPTOP: rule("ssh-nl"),
    LOCKED: rule("ssh-pl"),
    STATE_GONE: data("deployed"),
    WRONG_KEY: data("deployed"),
    TAMPERED: data("deployed"),
    WITHOUT_A_BUNDLE: data("deployed"),
    REFUSED: rule("ssh-dk"),
}
OF_THE_CLICK: Final = ("--queue", "--market", "de", "--stack", "network")
WITHOUT_A_LOOK: Final[dict[str, tuple[list[str], dict[str, str], str]]] = {
    "of a market that is not there": (["--market", "xx"], {}, "there are: at, de, dk, es, fr, it, nl, pl, pt"),
    "of a stack that is not there": (["--market", "de", "--stack", "xx"], {}, "there are: app, network"),
    "without a registry": ([], {"REGISTRY_CONTAINER": "nowhere"}, "nowhere"),
    "without Terraform": (["--market", "de"], {"TF_BINARY": "no-such-thing"}, "TF_BINARY"),
}


@dataclass(frozen=True)
class Run:
    """The estate, what the one run over it answered, what storage said of the states around it, and runs of parts after it."""

    estate: CheckedEstate
    checked: Checked
    others: dict[str, Checked]
    before: dict[str, BlobFacts]
    after: dict[str, BlobFacts]

    def of(self, path: str) -> JsonObject:
        return self.checked.of(path)

    def was_planned(self, path: str) -> bool:
        """Whether Terraform was started for it: its `init` names the state."""
        return any(f"key={path}.tfstate" in line for line in self.estate.terraform_commands())


@pytest.fixture(scope="module")
def run(terraform_world: TerraformWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with checked_estate(terraform_world, tmp_path_factory.mktemp("checked")) as estate:
        estate.deploy(MODULES)
        disturb(estate)
        before = estate.states()
        checked = estate.check("--queue", environment=HEALING)
        after = estate.states()
        others = estate.check_all(
            {
                "again": (OF_THE_CLICK, HEALING),
                "clean alone": (["--market", "de", "--stack", "app", "--no-save"], {}),
                **{name: (options, environment) for name, (options, environment, _) in WITHOUT_A_LOOK.items()},
            }
        )
        yield Run(estate, checked, others, before, after)


def disturb(estate: CheckedEstate) -> None:
    """Whatever has happened since the pipelines ended."""
    pipeline, stacks = estate.pipeline, estate.stacks
    estate.cloud.change("azsim_network_security_rule.ssh-de", access="Allow")
    # Merged to the repository's head, and not deployed.
    stacks[MERGED].write(data("merged"))
    stacks[PENDING].write(data("merged"))
    estate.record([PENDING])
    stacks[BY_LAPTOP].write(rule("ssh-nl", priority=200))
    stacks[BY_LAPTOP].apply()
    estate.cloud.change("azsim_network_security_rule.ssh-nl", access="Allow")
    estate.cloud.change("azsim_network_security_rule.ssh-pl", access="Allow")
    stacks[LOCKED].blob.take_lock(LockInfo.make(who="somebody@a-laptop"))
    pipeline.state("it").client.delete_blob()
    registry = pipeline.registry("es")
    registry["stacks"]["network"]["state"]["key"] = "es/netwrok.tfstate"
    pipeline.put(pipeline.containers.registry, "es/subscription.json", registry)
    bundle = pipeline.tracker(market="pt")["bundle"]["blob"]
    client = pipeline.world.blob_service.get_blob_client(pipeline.containers.bundles, bundle)
    content = client.download_blob().readall()
    client.upload_blob(content + b"\0", overwrite=True)
    tracker = pipeline.tracker(market="at")
    del tracker["bundle"]
    pipeline.put(pipeline.containers.trackers, "at/network.json", tracker)
    estate.cloud.fail("azsim_network_security_rule.ssh-dk", "read", f"AuthorizationFailed: {PLANTED}")


def decided(check: JsonObject) -> tuple[str, str | None]:
    return check["decision"], check["reason"]


def test_every_stack_of_the_estate_is_in_the_report_and_the_status_says_that_not_all_is_clean(run: Run) -> None:
    assert run.checked.status == 2
    report = run.checked.report
    keys = {"schema_version", "run_id", "started_at", "finished_at", "counts", "problems", "queued", "results"}
    assert set(report) == keys
    assert report["schema_version"] == 1
    assert run.checked.names == sorted(MODULES)
    assert report["counts"] == {"clean": 1, "heal": 1, "hold": 8}


def test_a_click_is_found_named_and_would_be_healed(run: Run) -> None:
    check = run.of(CLICKED)
    assert decided(check) == ("heal", None)
    assert (check["verdict"], check["diagnostics"]) == ("healthy", [])
    tracker = run.estate.pipeline.tracker(market="de")
    assert check["serial"] == tracker["serial"]
    assert check["bundle_sha256"] == tracker["bundle"]["sha256"]
    (finding,) = check["findings"]
    assert (finding["address"], finding["type"]) == ("azsim_network_security_rule.ssh", "azsim_network_security_rule")
    assert (finding["kind"], finding["actions"], finding["destructive"]) == ("portal_drift", ["update"], False)
    assert finding["attributes"] == [{"path": "access", "before": "Allow", "after": "Deny", "sensitive": False}]


def test_its_job_is_named_by_what_is_healed_and_on_what_ground(run: Run) -> None:
    check = run.of(CLICKED)
    state = run.estate.stacks[CLICKED].state_pull()
    assert check["job_id"] == job_id(
        market="de",
        stack="network",
        lineage=state["lineage"],
        serial=state["serial"],
        fingerprint=check["fingerprint"],
    )


def test_what_is_to_be_healed_and_nothing_else_is_in_queue_and_ledger(run: Run) -> None:
    check = run.of(CLICKED)
    (message,) = run.estate.messages()
    assert (message["schema_version"], message["job_id"]) == (1, check["job_id"])
    assert (message["market"], message["stack"]) == ("de", "network")
    assert (message["serial"], message["lineage"]) == (check["serial"], check["lineage"])
    assert (message["bundle_sha256"], message["fingerprint"]) == (check["bundle_sha256"], check["fingerprint"])
    assert message["addresses"] == ["azsim_network_security_rule.ssh"]
    assert message["queued_at"] < message["expires_at"]
    (row,) = run.estate.rows(HEALS_TABLE)
    assert (row["job_id"], row["step"]) == (check["job_id"], "queued")


def test_every_check_and_the_run_are_kept(run: Run) -> None:
    first = run.checked.report["run_id"]
    rows = run.estate.rows(PLAN_CHECKS_TABLE)
    assert len([row for row in rows if row["RowKey"].startswith("history:") and row["run_id"] == first]) == len(MODULES)
    latest = {row["PartitionKey"]: row for row in rows if row["RowKey"] == "latest:network"}
    assert {market: (row["decision"], row.get("reason")) for market, row in latest.items()} == {
        path.removesuffix("/network"): decided(run.of(path)) for path in MODULES if path.endswith("/network")
    }
    assert first in {row["run_id"] for row in run.estate.rows(PLAN_CHECK_RUNS_TABLE)}


def test_a_commit_that_is_merged_and_not_deployed_is_not_reported(run: Run) -> None:
    check = run.of(MERGED)
    assert decided(check) == ("clean", None)
    assert (check["findings"], check["job_id"], check["fingerprint"]) == ([], None, None)
    assert run.was_planned(MERGED)


def test_a_bundle_that_is_newer_than_the_apply_is_a_pending_change_and_no_drift(run: Run) -> None:
    check = run.of(PENDING)
    assert decided(check) == ("hold", "pending_change")
    assert [(one["address"], one["kind"]) for one in check["findings"]] == [("terraform_data.vnet", "pending_change")]


def test_an_apply_past_the_pipeline_is_never_healed_even_where_somebody_clicked_as_well(run: Run) -> None:
    check = run.of(BY_LAPTOP)
    assert decided(check) == ("hold", "records_disagree")
    assert check["verdict"] == "pipeline_drift"
    assert [one["address"] for one in check["findings"]] == ["azsim_network_security_rule.ssh"]


def test_a_locked_state_is_planned_and_held(run: Run) -> None:
    check = run.of(LOCKED)
    assert decided(check) == ("hold", "locked")
    assert "somebody@a-laptop" in check["why"]
    assert [one["kind"] for one in check["findings"]] == ["portal_drift"]


@pytest.mark.parametrize(
    ("path", "verdict", "says"),
    [
        pytest.param(STATE_GONE, "state_missing", "Terraform would write an empty one", id="a state that is gone"),
        pytest.param(WRONG_KEY, "state_missing", "Terraform would write an empty one", id="a key that is wrong"),
        pytest.param(TAMPERED, "healthy", "The bundle's sha256 is", id="a bundle that is not what its hash says"),
        pytest.param(WITHOUT_A_BUNDLE, "healthy", "trueup record --bundle", id="no bundle"),
    ],
)
def test_without_safe_ground_terraform_is_not_started(run: Run, path: str, verdict: str, says: str) -> None:
    check = run.of(path)
    assert decided(check) == ("hold", "inconclusive")
    assert (check["verdict"], check["findings"], check["job_id"]) == (verdict, [], None)
    assert says in " ".join(check["diagnostics"])
    assert not run.was_planned(path)


def test_a_plan_that_failed_is_inconclusive_with_terraforms_own_words_and_no_value(run: Run) -> None:
    check = run.of(REFUSED)
    assert decided(check) == ("hold", "inconclusive")
    assert run.was_planned(REFUSED)
    assert any("azsim_network_security_rule.ssh" in line for line in check["diagnostics"]), check["diagnostics"]
    assert any("AuthorizationFailed" in line for line in check["diagnostics"]), check["diagnostics"]
    assert PLANTED not in run.checked.ended.stdout + run.checked.ended.stderr


def test_a_check_moves_no_state_and_makes_none(run: Run) -> None:
    assert run.after == run.before
    assert run.before.keys() == {f"{path}.tfstate" for path in MODULES if path != STATE_GONE}


def test_a_second_run_of_one_stack_sends_no_second_message(run: Run) -> None:
    again = run.others["again"]
    assert (again.status, again.names) == (2, [CLICKED])
    assert decided(again.of(CLICKED)) == ("heal", None)
    assert again.of(CLICKED)["job_id"] == run.of(CLICKED)["job_id"]
    assert len(run.estate.messages()) == 1
    assert len(run.estate.rows(HEALS_TABLE)) == 1


def test_clean_alone_is_status_0(run: Run) -> None:
    one = run.others["clean alone"]
    assert (one.status, one.names, one.report["counts"]) == (0, [MERGED], {"clean": 1})


@pytest.mark.parametrize("name", WITHOUT_A_LOOK)
def test_a_run_that_cannot_look_fails_and_says_what_there_is(run: Run, name: str) -> None:
    failed, says = run.others[name], WITHOUT_A_LOOK[name][2]
    assert (failed.status, failed.ended.stdout) == (1, "")
    assert says in failed.ended.stderr
    assert "Traceback" not in failed.ended.stderr
