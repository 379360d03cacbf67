"""Deploys of the real Terraform, recorded as a pipeline does it: alone, side by side, by hand afterwards, and on disk."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.terraform.deploys import (
    IN_A_NEW_MARKET,
    MARKET,
    STACK,
    SUBSCRIPTION,
    Pipeline,
    Report,
    apply,
    apply_fails,
    deploy,
    deploy_to_a_file,
    fails_before_it_moves_the_state,
    moves_the_state_and_fails,
    pipeline_in,
    recording,
    vnet,
    with_a_module,
)
from tests.world.commands import AT_ONCE, CommandLine
from tests.world.terraform_backend import TerraformStack, TerraformWorld

pytestmark = pytest.mark.terraform

NAME = f"{MARKET}/{STACK}"
COMMIT = "4f1c0de5b2a94c0b8d1f4b7a9b6d5e3c2a1f0e9d"
GITHUB_ACTIONS = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REF_TYPE": "tag",
    "GITHUB_REF_NAME": "2026.11.3",
    "GITHUB_SHA": COMMIT,
    "GITHUB_RUN_ID": "81234",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "contoso/estate",
    "GITHUB_TRIGGERING_ACTOR": "alice",
}
AZURE_DEVOPS = {
    "TF_BUILD": "True",
    "BUILD_SOURCEBRANCH": "refs/tags/2026.11.3",
    "BUILD_SOURCEVERSION": COMMIT,
    "BUILD_BUILDNUMBER": "20261123.4",
    "BUILD_BUILDID": "81234",
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/contoso/",
    "SYSTEM_TEAMPROJECT": "Estate EMEA",
    "BUILD_REQUESTEDFOREMAIL": "alice@example.com",
}


@pytest.fixture
def pipeline(terraform_world: TerraformWorld) -> Iterator[Pipeline]:
    with pipeline_in(terraform_world) as opened:
        yield opened


@pytest.fixture
def deployed(pipeline: Pipeline, tmp_path: Path) -> TerraformStack:
    """A stack that was deployed once, and not recorded."""
    return deploy(pipeline.stack(tmp_path / "root"), vnet("10.0.0.0/16"))


def assert_healthy(report: Report, stack: TerraformStack) -> None:
    """All three records say what the state says."""
    assert (report.status, report.verdicts) == (0, {NAME: "healthy"})
    assert report.of()["tier"] == 1
    assert report.serials() == (stack.serial(),) * 3


class TestADeploy:
    def test_is_healthy_once_it_is_recorded_with_its_bundle_and_its_modules(
        self, pipeline: Pipeline, tmp_path: Path
    ) -> None:
        stack = pipeline.stack(tmp_path / "root")
        deploy(stack, with_a_module(stack.folder, vnet("10.0.0.0/16")))
        assert pipeline.reconciled().unregistered_states == [f"{NAME}.tfstate"]
        assert pipeline.record(stack)["recording"] == "recorded"
        report = pipeline.reconciled()
        assert_healthy(report, stack)
        assert report.unregistered_states == []
        state, records = stack.state_pull(), pipeline.records()
        assert (records.tracker["lineage"], records.tracker["serial"]) == (state["lineage"], state["serial"])
        assert records.tracker["state_md5"] == stack.blob.facts().content_md5
        assert records.tracker["terraform_version"] == state["terraform_version"]
        assert [(one["name"], one["source"]) for one in records.tracker["modules"]] == [("vault", "./modules/vault")]
        assert pipeline.bundles() == [records.tracker["bundle"]["blob"]]
        assert pipeline.has_its_bundle(records.tracker)
        assert records.entry["state"] == {"key": f"{NAME}.tfstate"}
        assert (records.entry["lineage"], records.entry["serial"]) == (state["lineage"], state["serial"])

    def test_that_changed_nothing_is_recorded_too(self, pipeline: Pipeline, deployed: TerraformStack) -> None:
        pipeline.record(deployed, "--release", "1")
        before = deployed.serial()
        deployed.apply()
        pipeline.record(deployed, "--release", "2")
        assert_healthy(pipeline.reconciled(), deployed)
        records = pipeline.records()
        assert (records.tracker["serial"], records.entry["serial"]) == (before, before)
        assert (records.tracker["release"], records.entry["release"]) == ("2", "2")

    def test_that_failed_and_moved_the_state_is_recorded_as_failed(
        self, pipeline: Pipeline, deployed: TerraformStack
    ) -> None:
        pipeline.record(deployed)
        before = deployed.serial()
        apply_fails(deployed, moves_the_state_and_fails("10.1.0.0/16"))
        assert deployed.serial() > before
        assert pipeline.reconciled().verdicts == {NAME: "pipeline_drift"}
        assert pipeline.record(deployed, "--outcome", "failed")["recording"] == "recorded"
        assert_healthy(pipeline.reconciled(), deployed)
        assert pipeline.tracker()["outcome"] == "failed"

    def test_that_failed_and_moved_nothing_is_not_recorded(self, pipeline: Pipeline, deployed: TerraformStack) -> None:
        pipeline.record(deployed, "--run-id", "good")
        before = pipeline.records(), pipeline.bundles(), pipeline.logged()
        apply_fails(deployed, fails_before_it_moves_the_state("10.1.0.0/16"))
        assert pipeline.record(deployed, "--outcome", "failed")["recording"] == "nothing_moved"
        assert (pipeline.records(), pipeline.bundles(), pipeline.logged()) == before
        assert_healthy(pipeline.reconciled(), deployed)

    def test_that_destroyed_the_stack_is_recorded_as_it_is(self, pipeline: Pipeline, deployed: TerraformStack) -> None:
        pipeline.record(deployed)
        deployed.destroy()
        assert deployed.state_pull()["resources"] == []
        pipeline.record(deployed)
        assert_healthy(pipeline.reconciled(), deployed)

    def test_of_another_workspace_is_found_from_the_folder(self, pipeline: Pipeline, tmp_path: Path) -> None:
        stack = deploy(pipeline.stack(tmp_path / "root", workspace="prod"), vnet("10.0.0.0/16"))
        assert pipeline.record(stack)["state"]["blob"] == f"{NAME}.tfstateenv:prod"
        assert_healthy(pipeline.reconciled(), stack)
        assert pipeline.records().entry["state"] == {"key": f"{NAME}.tfstate", "workspace": "prod"}

    @pytest.mark.parametrize(
        ("variables", "run_id", "run_url", "by"),
        [
            pytest.param(
                GITHUB_ACTIONS,
                "81234.2",
                "https://github.com/contoso/estate/actions/runs/81234/attempts/2",
                "alice",
                id="GitHub Actions",
            ),
            pytest.param(
                AZURE_DEVOPS,
                "20261123.4",
                "https://dev.azure.com/contoso/Estate%20EMEA/_build/results?buildId=81234",
                "alice@example.com",
                id="Azure DevOps",
            ),
        ],
    )
    def test_is_of_the_run_that_the_pipeline_s_variables_describe(
        self,
        variables: dict[str, str],
        run_id: str,
        run_url: str,
        by: str,
        pipeline: Pipeline,
        deployed: TerraformStack,
    ) -> None:
        pipeline.record(deployed, environment=variables | {"ARM_SUBSCRIPTION_ID": SUBSCRIPTION})
        tracker, registry = pipeline.tracker(), pipeline.registry()
        of_the_run = {"release": "2026.11.3", "commit": COMMIT, "run_id": run_id, "run_url": run_url}
        assert tracker | of_the_run == tracker
        assert (tracker["subscription_id"], registry["subscription_id"]) == (SUBSCRIPTION, SUBSCRIPTION)
        assert {(row["by"], row["run_id"]) for row in pipeline.logged()} == {(by, run_id)}


@pytest.mark.slow
class TestAtTheSameMoment:
    def test_twenty_processes_record_a_stack_each_and_all_are_there(self, pipeline: Pipeline, tmp_path: Path) -> None:
        names = [f"stack-{number:02d}" for number in range(20)]

        def deployed(name: str) -> TerraformStack:
            return deploy(pipeline.stack(tmp_path / name, name=name), vnet("10.0.0.0/16"))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            stacks = dict(zip(names, pool.map(deployed, names), strict=True))
        ended = pipeline.trueup.run_at_once(
            [recording(stack, *IN_A_NEW_MARKET, name=name) for name, stack in stacks.items()]
        )
        assert [one.status for one in ended] == [0] * len(names), [one.stderr for one in ended]
        assert sorted(pipeline.registry()["stacks"]) == names
        report = pipeline.reconciled()
        assert (report.status, report.verdicts) == (0, {f"{MARKET}/{name}": "healthy" for name in names})
        rows = pipeline.logged()
        registered = {row.get("stack") for row in rows if (row["kind"], row["status"]) == ("registry", "written")}
        assert registered >= set(names)
        assert [row for row in rows if row["status"] == "begun"] == []

    def test_processes_that_record_one_stack_leave_the_records_of_one_of_them(
        self, pipeline: Pipeline, deployed: TerraformStack
    ) -> None:
        runs = [str(number) for number in range(6)]
        ended = pipeline.trueup.run_at_once(
            [recording(deployed, *IN_A_NEW_MARKET, "--release", run, "--run-id", run) for run in runs]
        )
        assert [one.status for one in ended] == [0] * len(runs), [one.stderr for one in ended]
        assert_healthy(pipeline.reconciled(), deployed)
        records = pipeline.records()
        assert records.tracker["run_id"] in runs
        assert records.tracker["release"] == records.tracker["run_id"] == records.entry["release"]
        assert pipeline.has_its_bundle(records.tracker)
        assert [row for row in pipeline.logged() if row["status"] == "begun"] == []


class TestAnApplyByHand:
    def test_is_healthy_once_a_person_accepts_it(self, pipeline: Pipeline, deployed: TerraformStack) -> None:
        pipeline.record(deployed, "--release", "1", "--run-id", "7")
        recorded = pipeline.tracker()
        apply(deployed, vnet("10.9.0.0/16"))
        drift = pipeline.reconciled()
        assert (drift.status, drift.verdicts) == (2, {NAME: "pipeline_drift"})
        answer = pipeline.trueup.run(
            "accept", "--market", MARKET, "--stack", STACK, "--by", "alice@example.com", "--reason", "hotfix INC-4711"
        )
        assert (answer.status, answer.answer["verdict_after"]) == (0, "healthy")
        assert_healthy(pipeline.reconciled(), deployed)
        tracker = pipeline.tracker()
        (accepted,) = tracker["history"]
        assert (accepted["action"], accepted["by"], accepted["reason"]) == (
            "accept", "alice@example.com", "hotfix INC-4711",
        )  # fmt: skip
        said_before = {name: recorded[name] for name in ("lineage", "serial", "state_md5")}
        assert accepted | said_before == accepted
        untouched = {name: recorded[name] for name in ("release", "run_id", "deployed_at", "bundle")}
        assert tracker | untouched == tracker
        rows = {row["kind"]: row for row in pipeline.logged() if row["command"] == "accept"}
        assert {(kind, row["status"], row["by"], row["reason"]) for kind, row in rows.items()} == {
            (kind, "written", "alice@example.com", "hotfix INC-4711") for kind in ("tracker", "registry")
        }
        assert (json.loads(rows["tracker"]["before"]), json.loads(rows["tracker"]["after"])) == (recorded, tracker)
        assert json.loads(rows["registry"]["after"]) == pipeline.records().entry


class TestOnDisk:
    """The containers are folders, and Terraform's local backend writes its states among them."""

    def test_the_same_records_are_written_and_a_later_deploy_is_healthy(
        self, terraform_world: TerraformWorld, tmp_path: Path
    ) -> None:
        estate, state_file = tmp_path / "estate", tmp_path / f"estate/tfstate/{NAME}.tfstate"
        trueup = on_disk(estate)
        stack = deploy_to_a_file(terraform_world, tmp_path / "root", state_file, vnet("10.0.0.0/16"))
        assert trueup.run(*recording(stack, *IN_A_NEW_MARKET, "--release", "1")).status == 0
        apply(stack, vnet("10.1.0.0/16"))
        assert Report(trueup.run("reconcile")).verdicts == {NAME: "pipeline_drift"}
        assert trueup.run(*recording(stack, "--release", "2")).status == 0
        assert_healthy(Report(trueup.run("reconcile")), stack)
        tracker = json.loads((estate / f"trackers/{NAME}.json").read_bytes())
        entry = json.loads((estate / f"registry/{MARKET}/subscription.json").read_bytes())["stacks"][STACK]
        assert tracker["state_md5"] == hashlib.md5(state_file.read_bytes()).hexdigest()
        assert entry["state"] == tracker["state"] == {"key": f"{NAME}.tfstate"}
        assert entry["release"] == tracker["release"] == "2"
        bundle = (estate / "bundles" / tracker["bundle"]["blob"]).read_bytes()
        assert hashlib.sha256(bundle).hexdigest() == tracker["bundle"]["sha256"]

    @pytest.mark.slow
    def test_eight_processes_record_a_stack_each_and_all_are_there(
        self, terraform_world: TerraformWorld, tmp_path: Path
    ) -> None:
        estate = tmp_path / "estate"
        trueup = on_disk(estate)
        names = [f"stack-{number}" for number in range(8)]

        def deployed(name: str) -> TerraformStack:
            state_file = estate / f"tfstate/{MARKET}/{name}.tfstate"
            return deploy_to_a_file(terraform_world, tmp_path / name, state_file, vnet("10.0.0.0/16"))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            stacks = dict(zip(names, pool.map(deployed, names), strict=True))
        ended = trueup.run_at_once([recording(stack, *IN_A_NEW_MARKET, name=name) for name, stack in stacks.items()])
        assert [one.status for one in ended] == [0] * len(names), [one.stderr for one in ended]
        report = Report(trueup.run("reconcile"))
        assert (report.status, report.verdicts) == (0, {f"{MARKET}/{name}": "healthy" for name in names})
        rows = [json.loads(file.read_bytes()) for file in (estate / "tables/recordlog").rglob("[!.]*.json")]
        assert {row["stack"] for row in rows} == {*names, None}
        assert [row for row in rows if row["status"] == "begun"] == []


def on_disk(estate: Path) -> CommandLine:
    (estate / "tfstate" / MARKET).mkdir(parents=True)
    return CommandLine({"REREAD_DELAY_SECONDS": "0"}, options=("--estate", str(estate)))
