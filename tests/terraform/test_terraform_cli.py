"""What was deployed, planned and applied by the real Terraform; where Terraform must misbehave, a script stands in for it."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from adapters.bundle_zip import pack_bundle
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import AzureStates, FolderStates
from records.errors import BundleError, SettingsError
from records.registry import StateLocation
from records.terraform import Applied, Cause, DiagnosticSeverity, FailedApply, MadePlan, NoAnswer, Reach, Step
from records.tracker import Bundle
from tests.world.sim_cloud import SimCloud, make_sim_cloud, using_azsim
from tests.world.terraform_backend import TerraformStack, TerraformWorld

pytestmark = pytest.mark.terraform

SECRET = "hunter2-of-the-state"
CONTAINER = "terraformcli"
VALUE = 'variable "value" {{ default = "{}" }}\nresource "terraform_data" "a" {{ input = var.value }}\n'
BAD_ARGUMENT = f'resource "terraform_data" "a" {{ inputs = "{SECRET}" }}\n'
BAD_CONDITION = f"""
variable "n" {{ default = 1 }}
resource "terraform_data" "a" {{
  lifecycle {{
    precondition {{
      condition     = var.n > 2
      error_message = "{SECRET} is wrong"
    }}
  }}
}}
"""
SLOW = 'resource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "sleep 71"\n  }\n}\n'
VAULT = 'resource "azsim_key_vault" "main" {\n  name = "kv-de"\n  resource_group_name = "rg-de"\n}\n'
APPLIES_IN_A_PROCESS = """
import asyncio, json, sys
from pathlib import Path
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import FolderStates
from records.registry import StateLocation
from records.tracker import Bundle
async def main(told):
    planner = TerraformCli(TerraformOptions(
        states=FolderStates(root=Path(told["estate"]), container="tfstate"), work_folder=Path(told["work"])))
    bundle = Bundle(blob="b", sha256=told["sha256"])
    content = Path(told["content"]).read_bytes()
    async with planner.deployed(content=content, bundle=bundle, state=StateLocation(key="hub.tfstate")) as module:
        await module.apply(await module.plan(), lock_timeout_seconds=0)
asyncio.run(main(json.loads(sys.argv[1])))
"""


@dataclass(frozen=True)
class Packed:
    content: bytes
    bundle: Bundle


def packed(folder: Path, tree: Mapping[str, str] = MappingProxyType({})) -> Packed:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tree.items():
        (folder / name).write_text(text, encoding="utf-8")
    made = pack_bundle(folder, max_bytes=1024**2)
    return Packed(made.content, Bundle(blob="b", sha256=made.sha256, root=made.root))


@pytest.fixture
def work() -> Iterator[Path]:
    """Short enough for a provider's sockets, and empty in the end, whatever a test did."""
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    yield folder
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
def in_azure(terraform_world: TerraformWorld, monkeypatch: pytest.MonkeyPatch) -> TerraformWorld:
    """This process's environment is one in which Terraform reaches the world's storage."""
    for name, value in terraform_world.environment().items():
        if name.startswith(("ARM_", "SSL_", "HTTPS_")):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    return terraform_world


def planner(world: TerraformWorld, work: Path, **options: Any) -> TerraformCli:
    states = AzureStates(account_name=world.azurite.account.name, container=CONTAINER)
    return TerraformCli(TerraformOptions(states=states, work_folder=work, grace_seconds=10.0, **options))


def stand_in(folder: Path, text: str) -> str:
    path = folder / "terraform"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def deploy(
    world: TerraformWorld, folder: Path, main_tf: str, *, name: str, workspace: str = "default"
) -> TerraformStack:
    stack = world.stack(folder, key=f"de/{name}.tfstate", container=CONTAINER, workspace=workspace)
    stack.write(main_tf)
    stack.init()
    stack.apply()
    return stack


def deploy_on_disk(estate: Path, folder: Path, main_tf: str, *, name: str, **environment: str) -> Packed:
    """A state at ``tfstate/{name}`` of an estate on disk, and the bundle of what was deployed."""
    folder.mkdir()
    (folder / "main.tf").write_text(main_tf)
    (estate / "tfstate").mkdir(parents=True, exist_ok=True)
    backend = f'terraform {{\n  backend "local" {{\n    path = "{estate}/tfstate/{name}"\n  }}\n}}\n'
    (folder / "backend.tf").write_text(backend)
    for command in ("init -input=false", "apply -auto-approve -input=false"):
        done = os.spawnvpe(
            os.P_WAIT,
            "sh",
            ["sh", "-c", f"cd {folder} && terraform {command} > /dev/null"],
            dict(os.environ) | environment,
        )
        assert done == 0
    return packed(folder)


def at(name: str, **fields: str) -> StateLocation:
    return StateLocation(key=f"de/{name}.tfstate", **fields)


def shown(plan: MadePlan | NoAnswer) -> dict[str, Any]:
    assert isinstance(plan, MadePlan), plan
    loaded: dict[str, Any] = json.loads(plan.json_file.read_bytes())
    return loaded


async def test_without_changes_a_plan_says_so_and_moves_nothing(
    in_azure: TerraformWorld, tmp_path: Path, work: Path
) -> None:
    stack = deploy(in_azure, tmp_path / "deployed", VALUE.format("a"), name="same")
    made = packed(stack.folder)
    before = stack.blob.client.get_blob_properties()
    async with planner(in_azure, work).deployed(content=made.content, bundle=made.bundle, state=at("same")) as module:
        plan = await module.plan()
        assert shown(plan)["format_version"].startswith("1.")
        assert isinstance(plan, MadePlan)
        assert not plan.has_changes
        assert [stat.S_IMODE(mode) for mode in modes_in(work)] == [0o700]
    after = stack.blob.client.get_blob_properties()
    assert (after.etag, after.last_modified) == (before.etag, before.last_modified)
    assert not plan.json_file.exists()


async def test_a_change_in_a_workspace_is_planned_locked_applied_and_then_gone(
    in_azure: TerraformWorld, tmp_path: Path, work: Path
) -> None:
    stack = deploy(in_azure, tmp_path / "deployed", VALUE.format("old"), name="changed", workspace="prod")
    stack.write(VALUE.format("new") + 'output "at" { value = terraform.workspace }\n')
    made = packed(stack.folder)
    location = at("changed", workspace="prod")
    async with planner(in_azure, work).deployed(content=made.content, bundle=made.bundle, state=location) as module:
        plan = await module.plan(lock_timeout_seconds=1)
        assert isinstance(plan, MadePlan)
        assert plan.has_changes
        (change,) = shown(plan)["resource_changes"]
        assert (change["address"], change["change"]["actions"]) == ("terraform_data.a", ["update"])
        assert shown(plan)["planned_values"]["outputs"]["at"]["value"] == "prod"
        assert await module.apply(plan, lock_timeout_seconds=1) == Applied(most_writes=1)
        again = await module.plan()
        assert isinstance(again, MadePlan)
        assert not again.has_changes
        stale = await module.apply(plan, lock_timeout_seconds=1)
        assert isinstance(stale, FailedApply)
        assert (stale.reach, stale.changed) == (Reach.NOT_BEGUN, 0)
        assert (stale.failure.step, stale.failure.diagnostics[0].summary) == (Step.APPLY, "Saved plan is stale")
    assert json.loads(stack.blob.client.download_blob().readall())["serial"] == 3


async def test_a_locked_state_holds_an_apply_and_a_locked_plan_up_and_no_other(
    in_azure: TerraformWorld, tmp_path: Path, work: Path
) -> None:
    stack = deploy(in_azure, tmp_path / "deployed", VALUE.format("a"), name="locked")
    made = packed(stack.folder)
    lease = stack.blob.client.acquire_lease()
    async with planner(in_azure, work).deployed(content=made.content, bundle=made.bundle, state=at("locked")) as module:
        plan = await module.plan()
        assert isinstance(plan, MadePlan)
        held = await module.plan(lock_timeout_seconds=0)
        apply = await module.apply(plan, lock_timeout_seconds=0)
    lease.break_lease(0)
    assert isinstance(apply, FailedApply)
    assert apply.reach is Reach.NO_LOCK
    assert isinstance(held, NoAnswer)
    assert (held.step, held.cause) == (Step.PLAN, Cause.FAILED)
    assert held.diagnostics[0].summary == "Error acquiring the state lock"


async def test_a_missing_state_is_written_by_terraform_itself_so_the_caller_looks_first(
    in_azure: TerraformWorld, tmp_path: Path, work: Path
) -> None:
    """hashicorp/terraform `internal/backend/remote-state/azure/backend_state.go`, `StateMgr`."""
    made = packed(tmp_path / "root", {"main.tf": VALUE.format("a")})
    in_azure.create_containers(CONTAINER)
    async with planner(in_azure, work).deployed(
        content=made.content, bundle=made.bundle, state=at("missing")
    ) as module:
        plan = await module.plan()
    assert isinstance(plan, MadePlan)
    assert plan.has_changes
    assert in_azure.state_blob("de/missing.tfstate", container=CONTAINER).client.exists()


@pytest.mark.parametrize(
    ("main_tf", "step", "summary"),
    [
        pytest.param('resource "terraform_data" {', Step.INIT, "Missing name for resource", id="a file that cannot be read"),
        pytest.param(BAD_ARGUMENT, Step.PLAN, "Unsupported argument", id="an argument"),
        pytest.param(BAD_CONDITION, Step.PLAN, "Resource precondition failed", id="a condition of its own"),
        pytest.param(
            'terraform {\n  required_providers {\n    x = { source = "example.invalid/a/b" }\n  }\n}',
            Step.INIT,
            "Failed to query available provider packages",
            id="a provider that is nowhere",
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_planned_is_inconclusive_with_terraforms_own_words_and_no_value(
    tmp_path: Path, work: Path, main_tf: str, step: Step, summary: str
) -> None:
    made = packed(tmp_path / "root", {"main.tf": main_tf})
    terraform = TerraformCli(
        TerraformOptions(states=FolderStates(root=tmp_path, container="tfstate"), work_folder=work)
    )
    async with terraform.deployed(content=made.content, bundle=made.bundle, state=at("broken")) as module:
        plan = await module.plan()
    assert isinstance(plan, NoAnswer)
    assert (plan.step, plan.cause) == (step, Cause.FAILED)
    said = [one for one in plan.diagnostics if one.summary == summary]
    assert [one.severity for one in said] == [DiagnosticSeverity.ERROR], plan.diagnostics
    assert said[0].file in {"main.tf", None}
    assert SECRET not in repr(plan)


@pytest.mark.parametrize("workspace", ["default", "prod"])
async def test_an_estate_on_disk_is_planned_and_applied_in_its_own_files(
    tmp_path: Path, work: Path, workspace: str
) -> None:
    main_tf = 'resource "terraform_data" "a" { input = "%s" }\noutput "at" { value = terraform.workspace }\n'
    location = StateLocation(key="hub.tfstate", workspace=workspace)
    deploy_on_disk(tmp_path, tmp_path / "deployed", main_tf % "old", name=location.blob)
    made = packed(tmp_path / "deployed", {"main.tf": main_tf % "new"})
    file = tmp_path / "tfstate" / location.blob
    before = file.read_bytes()
    terraform = TerraformCli(
        TerraformOptions(states=FolderStates(root=tmp_path, container="tfstate"), work_folder=work)
    )
    async with terraform.deployed(content=made.content, bundle=made.bundle, state=location) as module:
        plan = await module.plan()
        assert shown(plan)["planned_values"]["outputs"]["at"]["value"] == workspace
        assert [one["change"]["actions"] for one in shown(plan)["resource_changes"]] == [["update"]]
        assert file.read_bytes() == before
        assert isinstance(plan, MadePlan)
        assert await module.apply(plan, lock_timeout_seconds=0) == Applied(most_writes=2)
    assert json.loads(file.read_bytes())["serial"] == json.loads(before)["serial"] + 2


async def test_where_the_state_is_a_bundle_has_no_say_in(tmp_path: Path, work: Path) -> None:
    """Neither a block of its own, nor an override, nor what an earlier `init` left."""
    deploy_on_disk(tmp_path, tmp_path / "deployed", VALUE.format("a"), name="de.tfstate")
    elsewhere = 'terraform {\n  backend "local" {\n    path = "/tmp/elsewhere.tfstate"\n  }\n}\n'
    made = packed(tmp_path / "deployed", {"backend.tf": elsewhere, "zz_override.tf": elsewhere})
    terraform = TerraformCli(
        TerraformOptions(states=FolderStates(root=tmp_path, container="tfstate"), work_folder=work)
    )
    location = StateLocation(key="de.tfstate")
    async with terraform.deployed(content=made.content, bundle=made.bundle, state=location) as module:
        plan = await module.plan()
    assert isinstance(plan, MadePlan)
    assert not plan.has_changes
    late = packed(tmp_path / "deployed", {"~~_override.tf": elsewhere})
    with pytest.raises(BundleError, match="comes after"):
        async with terraform.deployed(content=late.content, bundle=late.bundle, state=location):
            pass


async def test_a_bundle_of_another_hash_is_refused_before_anything_runs(tmp_path: Path, work: Path) -> None:
    made = packed(tmp_path / "root", {"main.tf": ""})
    binary = stand_in(tmp_path, f"touch {tmp_path}/ran")
    terraform = TerraformCli(
        TerraformOptions(states=FolderStates(root=tmp_path, container="c"), work_folder=work, binary=binary)
    )
    for content, root in ((made.content + b" ", None), (made.content, "../out"), (made.content, "nowhere")):
        bundle = made.bundle.model_copy(update={"root": root})
        with pytest.raises(BundleError):
            async with terraform.deployed(content=content, bundle=bundle, state=at("x")) as module:
                await module.plan()
    assert not (tmp_path / "ran").exists()


async def test_an_apply_over_its_limit_saves_its_state_and_gives_its_lock_back(
    in_azure: TerraformWorld, tmp_path: Path, work: Path
) -> None:
    stack = deploy(in_azure, tmp_path / "deployed", "", name="slow")
    stack.write(SLOW)
    made = packed(stack.folder)
    terraform = planner(in_azure, work, command_limit_seconds=3.0)
    async with terraform.deployed(content=made.content, bundle=made.bundle, state=at("slow")) as module:
        plan = await module.plan()
        assert isinstance(plan, MadePlan)
        done = await module.apply(plan, lock_timeout_seconds=0)
    assert isinstance(done, FailedApply)
    assert (done.failure.step, done.failure.cause) == (Step.APPLY, Cause.TIME_LIMIT)
    assert (done.reach, done.changed) == (Reach.BEGUN, 0)
    assert stack.blob.client.get_blob_properties().lease.state == "available"
    (resource,) = json.loads(stack.blob.client.download_blob().readall())["resources"]
    assert resource["instances"][0]["status"] == "tainted"
    assert not runs_with("sleep\x0071")


def runs_with(argument: str) -> bool:
    """Whether any process has this among its arguments."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if argument.encode() in (process / "cmdline").read_bytes():
                return True
    return False


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


def modes_in(folder: Path) -> list[int]:
    return [path.stat().st_mode for path in folder.iterdir()]


def test_an_apply_whose_process_is_killed_is_ended_in_good_order_from_outside(tmp_path: Path, work: Path) -> None:
    deploy_on_disk(tmp_path, tmp_path / "deployed", f'variable "p" {{ default = "{SECRET}" }}\n', name="hub.tfstate")
    slow = SLOW.replace("sleep 71", f"touch {tmp_path}/ready; sleep 79")
    made = packed(tmp_path / "deployed", {"main.tf": slow})
    (tmp_path / "content").write_bytes(made.content)
    told = {
        "estate": str(tmp_path), "work": str(work), "content": str(tmp_path / "content"), "sha256": made.bundle.sha256
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", APPLIES_IN_A_PROCESS, json.dumps(told)]) as maker:
        wait_for(tmp_path / "ready")
        maker.kill()
    while modes_in(work):
        time.sleep(0.02)
    (resource,) = json.loads((tmp_path / "tfstate/hub.tfstate").read_bytes())["resources"]
    assert resource["instances"][0]["status"] == "tainted"
    assert not list((tmp_path / "tfstate").glob("*.lock.info"))
    assert not runs_with("sleep\x0079")


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("exit 3", Cause.UNKNOWN_STATUS),
        ("kill -KILL $$", Cause.KILLED),
        ("trap '' INT; sleep 60", Cause.TIME_LIMIT),
        ("while :; do head -c 100000 /dev/zero; sleep 0.01; done", Cause.OUTPUT_LIMIT),
        ("exit 0", Cause.OTHER_BACKEND),
        (f"echo '{SECRET}' >&2; echo 'Error: {SECRET}' >&2; exit 1", Cause.FAILED),
    ],
)
async def test_whatever_else_a_command_does_is_named(tmp_path: Path, work: Path, script: str, cause: Cause) -> None:
    made = packed(tmp_path / "root", {"main.tf": ""})
    options = TerraformOptions(
        states=FolderStates(root=tmp_path, container="tfstate"),
        work_folder=work,
        binary=stand_in(tmp_path, script),
        command_limit_seconds=1.0,
        grace_seconds=0.2,
        output_max_bytes=1024**2,
    )
    async with TerraformCli(options).deployed(content=made.content, bundle=made.bundle, state=at("x")) as module:
        plan = await module.plan()
    assert isinstance(plan, NoAnswer)
    assert (plan.step, plan.cause) == (Step.INIT, cause)
    assert SECRET not in repr(plan)
    assert SECRET not in repr(module)


@pytest.mark.parametrize(
    ("push", "cause"), [("cp errored.tfstate {}/pushed", Cause.FAILED), ("exit 1", Cause.STATE_LOST)]
)
async def test_a_state_that_an_apply_could_not_write_is_pushed_before_its_folder_goes(
    tmp_path: Path, work: Path, push: str, cause: Cause
) -> None:
    """hashicorp/terraform `internal/backend/local/backend_apply.go`, `backupStateForError`."""
    real, saves = shutil.which("terraform"), "echo state > errored.tfstate; exit 1"
    script = f'case $1 in apply) {saves};; state) {push.format(tmp_path)};; *) exec {real} "$@";; esac'
    made = packed(tmp_path / "root", {"main.tf": VALUE.format("a")})
    options = TerraformOptions(
        states=FolderStates(root=tmp_path, container="c"), work_folder=work, binary=stand_in(tmp_path, script)
    )
    async with TerraformCli(options).deployed(content=made.content, bundle=made.bundle, state=at("x")) as module:
        plan = await module.plan()
        assert isinstance(plan, MadePlan)
        failed = await module.apply(plan, lock_timeout_seconds=0)
    assert isinstance(failed, FailedApply)
    assert (failed.failure.step, failed.failure.cause) == (Step.APPLY, cause)
    assert (tmp_path / "pushed").exists() == (cause is Cause.FAILED)


async def test_a_plan_of_another_module_is_not_applied(tmp_path: Path, work: Path) -> None:
    made = packed(tmp_path / "root", {"main.tf": ""})
    terraform = TerraformCli(TerraformOptions(states=FolderStates(root=tmp_path, container="c"), work_folder=work))
    foreign = MadePlan(file=tmp_path / "p", json_file=tmp_path / "j", has_changes=True)
    async with terraform.deployed(content=made.content, bundle=made.bundle, state=at("x")) as module:
        with pytest.raises(ValueError, match="another module"):
            await module.apply(foreign, lock_timeout_seconds=0)


async def test_a_cancelled_check_leaves_neither_a_process_nor_a_folder(tmp_path: Path, work: Path) -> None:
    made = packed(tmp_path / "root", {"main.tf": ""})
    binary = stand_in(tmp_path, f"(sleep 73) & echo $! > {tmp_path}/child; touch {tmp_path}/ready; sleep 73")
    options = TerraformOptions(
        states=FolderStates(root=tmp_path, container="c"), work_folder=work, binary=binary, grace_seconds=1
    )

    async def check() -> None:
        async with TerraformCli(options).deployed(content=made.content, bundle=made.bundle, state=at("x")) as module:
            await module.plan()

    task = asyncio.create_task(check())
    await asyncio.to_thread(wait_for, tmp_path / "ready")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert modes_in(work) == []
    assert not runs_with("sleep\x0073")


async def test_terraform_sees_nothing_of_the_app(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ESTATE_CONNECTION_STRING", "AzureWebJobsStorage", "APPLICATIONINSIGHTS_CONNECTION_STRING", "TF_LOG"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("ARM_TENANT_ID", "tenant")
    made = packed(tmp_path / "root", {"main.tf": ""})
    binary = stand_in(tmp_path, f"env > {tmp_path}/seen; exit 1")
    options = TerraformOptions(states=FolderStates(root=tmp_path, container="c"), work_folder=work, binary=binary)
    terraform = TerraformCli(options)
    async with terraform.deployed(
        content=made.content, bundle=made.bundle, state=at("x", workspace="prod"), subscription_id="of-the-market"
    ) as module:
        await module.plan()
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert SECRET not in seen.values()
    assert (seen["ARM_TENANT_ID"], seen["ARM_SUBSCRIPTION_ID"], seen["TF_WORKSPACE"]) == (
        "tenant",
        "of-the-market",
        "prod",
    )
    assert seen["HOME"].startswith(str(work))
    assert set(seen) <= {
        "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID", "TF_WORKSPACE", "HOME", "TMPDIR", "PATH", "TF_PLUGIN_CACHE_DIR", "TF_INPUT",
        "TF_IN_AUTOMATION", "CHECKPOINT_DISABLE", "TF_CLI_CONFIG_FILE", "AZURE_CONFIG_DIR", "PWD", "OLDPWD", "_", "SHLVL",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"binary": "no-such-terraform"}, "TF_BINARY"),
        ({"work_folder": Path("/tmp") / ("long" * 20)}, "shorter"),
        ({"work_folder": Path("/nowhere")}, "work folder"),
    ],
    ids=["no program", "a path too long for sockets", "a folder that is not there"],
)
async def test_settings_that_cannot_work_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    made = packed(tmp_path / "root", {"main.tf": ""})
    terraform = TerraformCli(TerraformOptions(states=FolderStates(root=tmp_path, container="c"), **options))
    with pytest.raises(SettingsError, match=said):
        async with terraform.deployed(content=made.content, bundle=made.bundle, state=at("x")):
            pass


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimCloud:
    made = make_sim_cloud(tmp_path / "cloud")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(made.cli_config_file))
    return made


async def test_a_click_in_the_portal_is_in_the_plan_and_no_secret_is_left(
    cloud: SimCloud, tmp_path: Path, work: Path
) -> None:
    made = deploy_on_disk(tmp_path, tmp_path / "deployed", using_azsim() + VAULT, name="hub.tfstate")
    cloud.change("azsim_key_vault.kv-de", tags={"env": "clicked"})
    terraform = TerraformCli(
        TerraformOptions(states=FolderStates(root=tmp_path, container="tfstate"), work_folder=work)
    )
    async with terraform.deployed(
        content=made.content, bundle=made.bundle, state=StateLocation(key="hub.tfstate")
    ) as module:
        plan = await module.plan()
        assert [one["address"] for one in shown(plan)["resource_drift"]] == ["azsim_key_vault.main"]
    assert modes_in(work) == []
    assert not runs_with(str(work))
