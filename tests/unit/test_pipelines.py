"""The pipelines of docs/pipelines, read as YAML and their scripts run for real, with stand-ins for what they call."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]  # its stubs would be one more dependency, for these two calls

import cli

PIPELINES = Path(__file__).parents[2] / "docs" / "pipelines"
AZURE_DEVOPS, GITHUB = "azure-devops.yml", "github-actions.yml"
FILES = [AZURE_DEVOPS, GITHUB]
BASH = shutil.which("bash") or ""
AFTER_APPLY = ["wait", "record", "explain", "remove"]
MOST_INLINE_CHARACTERS = 5000
"""What the editor of AzureCLI@2 takes (its ``task.json``)."""

USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
"""Of the click that Typer brings, which it does not export."""

pytestmark = pytest.mark.skipif(
    not BASH or sys.platform != "linux", reason="the scripts are for bash on Linux, as the agents are"
)


@dataclass(frozen=True)
class Step:
    """One step of either service; ``name`` is in GitHub's spelling, with dashes."""

    name: str
    script: str
    condition: str | None
    raw: dict[str, Any]


def document(file: str) -> dict[Any, Any]:
    loaded = yaml.safe_load((PIPELINES / file).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def job(file: str) -> dict[str, Any]:
    content: dict[str, Any] = (
        document(file)["stages"][0]["jobs"][0] if file == AZURE_DEVOPS else document(file)["jobs"]["deploy"]
    )
    return content


def steps(file: str) -> dict[str, Step]:
    content = job(file)
    raw = content["strategy"]["runOnce"]["deploy"]["steps"] if file == AZURE_DEVOPS else content["steps"]
    found = [
        Step(
            name=re.sub(
                r"([A-Z])", lambda match: f"-{match[1].lower()}", step.get("id") or step.get("name", "checkout")
            ),
            script=step.get("run") or step.get("bash") or step.get("inputs", {}).get("inlineScript", ""),
            condition=step.get("if") or step.get("condition"),
            raw=step,
        )
        for step in raw
    ]
    return {step.name if step.script else "checkout": step for step in found}


SCRIPTS = [
    pytest.param(file, name, id=f"{file} {name}") for file in FILES for name in steps(file) if name != "checkout"
]


def environment_of(file: str) -> dict[str, Any]:
    content = job(file)
    variables: dict[str, Any] = content["variables"] if file == AZURE_DEVOPS else content["env"]
    return variables


def wrong_usage(tokens: list[str]) -> list[str]:
    """What the real command line says of ``trueup`` and these arguments; nothing where it would run them."""
    commands: dict[str, Any] = getattr(typer.main.get_command(cli.app), "commands", {})
    if not tokens or tokens[0] not in commands:
        return [f"no command {tokens[:1]}; there are {sorted(commands)}"]
    try:
        commands[tokens[0]].make_context(tokens[0], tokens[1:])
    except USAGE_ERROR as error:
        return [f"{shlex.join(tokens)}: {error}"]
    return []


def documented_commands() -> list[list[str]]:
    text = (PIPELINES / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("trueup ")]


# What the files say.


@pytest.mark.parametrize("file", FILES)
def test_the_steps_come_in_an_order_in_which_nothing_can_fail_between_apply_and_record(file: str) -> None:
    assert list(steps(file)) == [
        "checkout",
        "check",
        "install-terraform",
        "install-trueup",
        "plan",
        "apply",
        *AFTER_APPLY,
    ]


@pytest.mark.parametrize(("file", "name"), SCRIPTS)
def test_a_script_is_bash_that_stops_at_the_first_error(file: str, name: str) -> None:
    script = steps(file)[name].script
    assert script.startswith("set -euo pipefail\n")
    assert len(script) < MOST_INLINE_CHARACTERS
    checked = subprocess.run([BASH, "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(("file", "name"), SCRIPTS)
def test_nothing_is_written_into_a_script_by_the_service(file: str, name: str) -> None:
    script = steps(file)[name].script
    assert "${{" not in script
    assert not re.search(r"\$\(\s*[\w.-]+\s*\)", script), "Azure Pipelines expands this before bash sees it"
    assert "eval" not in script


@pytest.mark.parametrize(("file", "name"), SCRIPTS)
def test_a_script_knows_every_variable_that_it_uses(file: str, name: str) -> None:
    step = steps(file)[name]
    used = set(re.findall(r"\$\{?#?([A-Z][A-Z_0-9]+)", step.script))
    given = set(environment_of(file)) | set(step.raw.get("env", {}))
    of_the_service = r"GITHUB_\w+|RUNNER_TEMP|ACTIONS_ID_TOKEN_REQUEST_\w+"
    if file == AZURE_DEVOPS:
        of_the_service = r"AGENT_TEMPDIRECTORY|BUILD_\w+|SYSTEM_\w+|AZURESUBSCRIPTION_\w+"
    assert {variable for variable in used - given if not re.fullmatch(of_the_service, variable)} == set()


@pytest.mark.parametrize("file", FILES)
def test_every_parameter_is_used_and_every_used_one_is_declared(file: str) -> None:
    text = (PIPELINES / file).read_text(encoding="utf-8")
    if file == AZURE_DEVOPS:
        declared = {parameter["name"] for parameter in document(file)["parameters"]}
        used = set(re.findall(r"\bparameters\.(\w+)", text))
    else:
        declared = set(document(file)[True]["workflow_call"]["inputs"])  # YAML 1.1 reads the key `on` as true
        used = set(re.findall(r"\binputs\.([\w-]+)", text))
    assert used == declared


@pytest.mark.parametrize(("file", "key"), [(AZURE_DEVOPS, "parameters"), (GITHUB, "with")])
def test_the_examples_give_what_is_required_and_nothing_else(file: str, key: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (PIPELINES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    example = yaml.safe_load(blocks[FILES.index(file)])
    caller = example["stages"][0] if file == AZURE_DEVOPS else example["jobs"]["de-network"]
    if file == AZURE_DEVOPS:
        declared = {parameter["name"]: "default" not in parameter for parameter in document(file)["parameters"]}
    else:
        inputs = document(file)[True]["workflow_call"]["inputs"]
        declared = {name: bool(described.get("required")) for name, described in inputs.items()}
        assert caller["permissions"] == job(file)["permissions"]
    given = set(caller[key])
    assert given <= set(declared)
    assert {name for name, required in declared.items() if required} <= given


@pytest.mark.parametrize("file", FILES)
def test_no_secret_is_named(file: str) -> None:
    text = (PIPELINES / file).read_text(encoding="utf-8")
    assert not re.search(
        r"secrets\.|CLIENT_SECRET|ACCESS_KEY|SAS_TOKEN|CONNECTION_STRING|password", text, re.IGNORECASE
    )


def test_the_workflow_may_read_the_code_and_ask_for_a_token() -> None:
    assert document(GITHUB)["permissions"] == {}
    assert job(GITHUB)["permissions"] == {"contents": "read", "id-token": "write"}


def test_every_action_is_pinned_by_its_commit() -> None:
    uses = re.findall(r"uses: (\S+)", (PIPELINES / GITHUB).read_text(encoding="utf-8"))
    assert [re.sub(r"@[0-9a-f]{40}$", "", name) for name in uses] == ["actions/checkout"]
    assert steps(GITHUB)["checkout"].raw["with"] == {"persist-credentials": False}


def test_one_run_of_a_stack_at_a_time() -> None:
    assert job(GITHUB)["concurrency"] == {
        "group": "deploy-${{ inputs.market }}-${{ inputs.stack }}",
        "cancel-in-progress": False,
    }
    assert document(AZURE_DEVOPS)["stages"][0]["lockBehavior"] == "sequential"
    assert job(AZURE_DEVOPS)["environment"] == "${{ parameters.environment }}"


def test_a_pull_request_deploys_nothing() -> None:
    assert "ne(variables['Build.Reason'], 'PullRequest')" in document(AZURE_DEVOPS)["stages"][0]["condition"]
    assert "github.event_name != 'pull_request' && github.event_name != 'pull_request_target'" in job(GITHUB)["if"]


@pytest.mark.parametrize("name", AFTER_APPLY)
def test_what_follows_the_apply_runs_however_it_ended(name: str) -> None:
    assert steps(AZURE_DEVOPS)[name].condition == "always()"
    expected = "${{ always() }}" if name == "remove" else "${{ always() && steps.apply.outcome != 'skipped' }}"
    assert steps(GITHUB)[name].condition == expected


@pytest.mark.parametrize("file", FILES)
def test_what_comes_before_needs_all_before_it_to_have_succeeded(file: str) -> None:
    before = list(steps(file))[: -len(AFTER_APPLY)]
    assert [steps(file)[name].condition for name in before] == [None] * len(before)


@pytest.mark.parametrize("file", FILES)
def test_no_step_is_retried_or_forgiven_by_the_service(file: str) -> None:
    assert not re.search(
        r"retryCount|continueOnError|continue-on-error", (PIPELINES / file).read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("file", FILES)
def test_only_one_step_applies_and_it_applies_the_saved_plan(file: str) -> None:
    applying = [name for name, step in steps(file).items() if "terraform apply" in step.script]
    assert applying == ["apply"]
    assert '"$work/plan"' in steps(file)["apply"].script
    assert "-auto-approve" not in steps(file)["apply"].script


def test_terraform_signs_in_to_azure_devops_for_as_long_as_it_needs() -> None:
    for name in ("plan", "apply"):
        raw = steps(AZURE_DEVOPS)[name].raw
        assert raw["inputs"]["azureSubscription"] == "${{ parameters.serviceConnection }}"
        assert raw["env"]["SYSTEM_ACCESSTOKEN"] == "$(System.AccessToken)"
        assert "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID" in raw["inputs"]["inlineScript"]


@pytest.mark.parametrize("file", FILES)
def test_trueup_signs_in_as_the_pipeline_and_not_as_its_machine(file: str) -> None:
    chosen = {AZURE_DEVOPS: "AzureCliCredential", GITHUB: "WorkloadIdentityCredential"}
    assert steps(file)["record"].raw["env"] == {"AZURE_TOKEN_CREDENTIALS": chosen[file]}


def test_the_documents_commands_are_those_of_the_command_line() -> None:
    commands = documented_commands()
    assert commands
    assert [wrong for tokens in commands for wrong in wrong_usage(tokens)] == []


@pytest.mark.parametrize(
    "tokens",
    [["destroy"], ["reconcile", "--markt", "de"], ["reconcile", "--format", "pdf"], ["reconcile", "--market"]],
    ids=["a command", "an option", "a choice", "a value that is missing"],
)
def test_a_command_line_that_is_wrong_is_found(tokens: list[str]) -> None:
    assert wrong_usage(tokens)


# What the scripts do.

STANDING_IN = {
    "terraform": r"""
printf '%s\037' "$@" >>"$CALLS/terraform"; echo >>"$CALLS/terraform"
if [[ "$1" == state && -n "${STATE-yes}" ]]; then
  [[ "${STATE:-}" != unreadable ]] || exit 1
  echo '{"version": 4, "serial": 41, "outputs": {"serial": {"value": 7}}}'
fi
if [[ "$1" == apply && -n "${HANGS:-}" ]]; then
  trap 'echo interrupted >>"$CALLS/interrupts"; [[ "$HANGS" == forever ]] || exit 1' INT
  echo 'Applying...'
  while :; do "$REAL_SLEEP" 0.05; done
fi
if [[ "$1" == apply ]]; then
  echo 'Apply says something.'
  exit "${APPLY_STATUS:-0}"
fi
""",
    "trueup": r"""
printf '%s\037' "$@" >>"$CALLS/trueup"; echo >>"$CALLS/trueup"
if [[ -n "${AZURE_FEDERATED_TOKEN_FILE:-}" ]]; then
  cat -- "$AZURE_FEDERATED_TOKEN_FILE" >>"$CALLS/tokens"; echo >>"$CALLS/tokens"
fi
mapfile -t calls <"$CALLS/trueup"
[[ "${#calls[@]}" -gt "${FAILURES:-0}" ]]
""",
    "sleep": r"""
echo "$1" >>"$CALLS/sleep"
exec "$REAL_SLEEP" 0.01
""",
    "curl": r"""
read -r header
printf '%s\037' "$@" "$header" >>"$CALLS/curl"; echo >>"$CALLS/curl"
mapfile -t calls <"$CALLS/curl"
[[ "${#calls[@]}" -gt "${SIGN_IN_FAILURES:-0}" ]] || exit 22
echo "{\"value\": \"token-${#calls[@]}\"}"
""",
}


class Agent:
    """A machine on which a run's steps are run one by one, in the folders and with the variables of its service."""

    def __init__(self, file: str, root: Path) -> None:
        self.file = file
        self.calls, self.workspace, self.temp = root / "calls", root / "workspace", root / "temp"
        self.summary = root / "summary.md" if file == GITHUB else self.temp / "not-recorded.md"
        tools = root / "tools"
        self.module = self.workspace / "stacks" / "net work"
        for folder in (self.calls, self.module, self.temp, tools):
            folder.mkdir(parents=True)
        (self.module / "de.tfvars").touch()
        (self.module / "a b.tfvars").touch()
        for name, script in STANDING_IN.items():
            (tools / name).write_text(f"#!{BASH}\nset -euo pipefail\n{script}", encoding="utf-8")
            (tools / name).chmod(0o755)
        (tools / "python3").symlink_to(sys.executable)
        self.environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(root),
            "CALLS": str(self.calls),
            "REAL_SLEEP": shutil.which("sleep") or "",
            **{name: value for name, value in environment_of(file).items() if "${{" not in value},
            "DEPLOY_MARKET": "emea/fr",
            "DEPLOY_STACK": "network",
            "DEPLOY_DIRECTORY": "stacks/net work",
            "DEPLOY_BACKEND_CONFIG": "",
            "DEPLOY_VAR_FILES": "de.tfvars;a b.tfvars",
            "DEPLOY_RELEASE": "2026.11.3",
            "ESTATE_ACCOUNT_URL": "https://contosotf.blob.core.windows.net",
            "RESULTS_ACCOUNT_URL": "",
            "ARM_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001",
            "ARM_CLIENT_ID": "client",
            "ARM_TENANT_ID": "tenant",
            "TERRAFORM_VERSION": "1.11.4",
            "TERRAFORM_SHA256": "1" * 64,
            "TRUEUP_REPOSITORY": "https://git.example.com/trueup",
            "TRUEUP_COMMIT": "2" * 40,
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "contoso/landing-zones",
            "GITHUB_SHA": "3" * 40,
            "GITHUB_RUN_ID": "77",
            "GITHUB_RUN_ATTEMPT": "1",
            "ACTIONS_ID_TOKEN_REQUEST_URL": "https://pipelines.example.com/token?api=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
            "AGENT_TEMPDIRECTORY": str(self.temp),
            "AZURESUBSCRIPTION_CLIENT_ID": "client",
            "AZURESUBSCRIPTION_TENANT_ID": "tenant",
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "connection",
            "SYSTEM_COLLECTIONURI": "https://dev.azure.com/contoso/",
            "SYSTEM_TEAMPROJECTID": "project",
            "BUILD_BUILDID": "77",
            "BUILD_BUILDNUMBER": "20261123.4",
            "BUILD_SOURCEVERSION": "3" * 40,
        }

    def start(self, name: str, **changed: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BASH, "-c", steps(self.file)[name].script],
            cwd=self.workspace,
            env=self.environment | changed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, name: str, **changed: str) -> tuple[int, str]:
        process = self.start(name, **changed)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def called(self, name: str) -> list[list[str]]:
        file = self.calls / name
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [line.split("\037")[:-1] if "\037" in line else [line] for line in lines]

    def deploy(self, **changed: str) -> dict[str, tuple[int, str]]:
        """All steps from the check on but the installing ones, as a run takes them; what each came to."""
        came_to = {name: self.run(name, **changed) for name in ("check", "plan", "apply")}
        return came_to | {name: self.run(name, **changed) for name in AFTER_APPLY if name != "remove"}


@pytest.fixture(params=FILES)
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    made = Agent(request.param, tmp_path)
    yield made
    pid = made.temp / "trueup" / "apply.pid"
    if pid.exists() and not (made.temp / "trueup" / "apply.ended").exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text(encoding="utf-8")), signal.SIGKILL)


PLAN = ["plan", "-input=false", "-no-color", "-lock-timeout=5m"]
EXPECTED_RECORD = [
    *("record", "--market", "emea/fr", "--stack", "network", "--bundle", "."),
    *("--subscription-id", "00000000-0000-0000-0000-000000000001", "--release", "2026.11.3"),
    *("--var-file", "de.tfvars", "--var-file", "a b.tfvars", "--serial-before", "41", "--outcome"),
]


def test_a_deploy_is_planned_applied_and_recorded(agent: Agent) -> None:
    came_to = agent.deploy()
    assert {name: status for name, (status, _) in came_to.items()} == dict.fromkeys(came_to, 0)
    assert "Apply says something." in came_to["apply"][1]
    plan = str(agent.temp / "trueup" / "plan")
    assert agent.called("terraform") == [
        ["init", "-input=false", "-no-color", "-lockfile=readonly"],
        [*PLAN, f"-out={plan}", "-var-file=de.tfvars", "-var-file=a b.tfvars"],
        ["state", "pull"],
        ["apply", "-input=false", "-no-color", "-lock-timeout=5m", plan],
    ]
    assert agent.called("trueup") == [[*EXPECTED_RECORD, "succeeded"]]
    assert not agent.summary.exists()


def test_the_command_line_knows_what_the_pipelines_ask_of_it(agent: Agent) -> None:
    agent.deploy(FAILURES="9", RESULTS_ACCOUNT_URL="https://contosotf.table.core.windows.net")
    by_hand = shlex.split(command_in(agent.summary))
    assert [wrong for tokens in agent.called("trueup") for wrong in wrong_usage(tokens)] == []
    assert wrong_usage(by_hand[by_hand.index("trueup") + 1 :]) == []


def test_little_is_asked_for_where_little_is_given(agent: Agent) -> None:
    agent.deploy(DEPLOY_RELEASE="", DEPLOY_VAR_FILES="", DEPLOY_BACKEND_CONFIG="prod.tfbackend")
    assert agent.called("terraform")[0][-1] == "-backend-config=prod.tfbackend"
    assert agent.called("trueup") == [[*EXPECTED_RECORD[:9], *EXPECTED_RECORD[-3:], "succeeded"]]


def test_a_first_deploy_has_no_serial_before(agent: Agent) -> None:
    agent.deploy(STATE="")
    assert "--serial-before" not in agent.called("trueup")[0]
    assert agent.called("trueup")[0][-2:] == ["--outcome", "succeeded"]


def test_a_state_that_cannot_be_read_stops_the_deploy_before_the_apply(agent: Agent) -> None:
    came_to = agent.deploy(STATE="unreadable")
    assert came_to["apply"][0] == 1
    assert [call[0] for call in agent.called("terraform")] == ["init", "plan", "state"]
    assert agent.called("trueup") == []
    assert came_to["explain"] == (0, "")


def test_a_failed_apply_is_recorded_as_failed_and_stays_failed(agent: Agent) -> None:
    came_to = agent.deploy(APPLY_STATUS="3")
    assert came_to["apply"][0] == 3
    assert "Apply says something." in came_to["apply"][1]
    assert came_to["record"][0] == 0
    assert agent.called("trueup") == [[*EXPECTED_RECORD, "failed"]]
    assert came_to["explain"][0] == 0


@pytest.mark.parametrize("before", [[], ["check"], ["check", "plan"]], ids=["nothing ran", "checked", "planned"])
def test_where_no_apply_was_started_nothing_is_recorded(agent: Agent, before: list[str]) -> None:
    for name in before:
        assert agent.run(name)[0] == 0
    assert agent.run("wait") == (0, "")
    assert agent.run("record") == (0, "No apply was started: there is nothing to record.\n")
    assert agent.run("explain") == (0, "")
    assert agent.called("trueup") == []
    assert agent.run("remove") == (0, "")


@pytest.mark.parametrize("failures", [1, 3])
def test_a_record_that_fails_is_tried_again_and_the_apply_is_not(agent: Agent, failures: int) -> None:
    came_to = agent.deploy(FAILURES=str(failures))
    assert (came_to["record"][0], came_to["explain"][0]) == (0, 0)
    assert came_to["record"][1].count("This try to record the deploy failed.") == failures
    assert len(agent.called("trueup")) == failures + 1
    assert agent.called("sleep") == [["0"], ["15"], ["45"], ["90"]][: failures + 1]
    assert [call[0] for call in agent.called("terraform")] == ["init", "plan", "state", "apply"]


def test_a_record_that_always_fails_fails_the_run_and_says_what_to_do(agent: Agent) -> None:
    came_to = agent.deploy(FAILURES="99")
    assert (came_to["record"][0], came_to["explain"][0]) == (1, 1)
    assert len(agent.called("trueup")) == 4
    assert [call[0] for call in agent.called("terraform")] == ["init", "plan", "state", "apply"]
    error = "::error title=Not recorded::" if agent.file == GITHUB else "##vso[task.logissue type=error]Not recorded: "
    told = f"{error}The apply of emea/fr/network (succeeded) is not on record: its state is now ahead of its records"
    assert told in came_to["explain"][1]
    summary = agent.summary.read_text(encoding="utf-8")
    assert "`pipeline_drift`" in summary
    assert "not portal drift" in summary
    assert "Never apply" in summary
    assert summary in came_to["explain"][1]
    run_id, url = ("77.1", "https://github.com/contoso/landing-zones/actions/runs/77")
    if agent.file == AZURE_DEVOPS:
        run_id, url = "20261123.4", "https://dev.azure.com/contoso/project/_build/results?buildId=77"
        assert came_to["explain"][1].endswith(f"##vso[task.uploadsummary]{agent.summary}\n")
    assert shlex.split(command_in(agent.summary)) == [
        *("env", "ESTATE_ACCOUNT_URL=https://contosotf.blob.core.windows.net", "trueup"),
        *EXPECTED_RECORD,
        *("succeeded", "--commit", "3" * 40, "--run-id", run_id, "--run-url", url),
    ]


def test_a_record_step_that_never_ran_is_explained_too(agent: Agent) -> None:
    for name in ("check", "plan", "apply", "wait"):
        assert agent.run(name)[0] == 0
    assert agent.run("explain")[0] == 1
    assert "--outcome succeeded" in command_in(agent.summary)
    assert agent.run("remove") == (0, "")
    assert agent.summary.exists()


def test_the_command_by_hand_survives_what_a_shell_would_read_otherwise(agent: Agent) -> None:
    agent.deploy(FAILURES="99", DEPLOY_RELEASE="$(id) `id` 'x' \"y\"; rm -rf ~")
    by_hand = shlex.split(command_in(agent.summary))
    assert by_hand[by_hand.index("--release") + 1] == "$(id) `id` 'x' \"y\"; rm -rf ~"
    assert agent.called("trueup")[0][10] == "$(id) `id` 'x' \"y\"; rm -rf ~"


def test_each_try_on_github_asks_for_a_token_of_its_own_and_leaves_none(tmp_path: Path) -> None:
    agent = Agent(GITHUB, tmp_path)
    came_to = agent.deploy(FAILURES="1", SIGN_IN_FAILURES="1")
    assert came_to["record"][0] == 0
    assert agent.called("tokens") == [["token-2"], ["token-3"]]
    assert agent.called("curl")[0][-2:] == [
        "https://pipelines.example.com/token?api=1&audience=api://AzureADTokenExchange",
        "Authorization: bearer request-token",
    ]
    assert not (agent.temp / "trueup" / "token").exists()
    assert "request-token" not in json.dumps(came_to)


def test_what_is_kept_of_a_run_is_for_its_own_account_and_goes(agent: Agent) -> None:
    agent.deploy()
    work = agent.temp / "trueup"
    assert work.stat().st_mode & 0o077 == 0
    assert (work / "apply.log").stat().st_mode & 0o077 == 0
    assert agent.run("remove") == (0, "")
    assert not work.exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEPLOY_MARKET", "DE"),
        ("DEPLOY_MARKET", "de/"),
        ("DEPLOY_MARKET", "de\nfr"),
        ("DEPLOY_STACK", "net/work"),
        ("DEPLOY_STACK", ""),
        ("DEPLOY_RELEASE", "x" * 257),
        ("DEPLOY_RELEASE", "1\x1b[0m"),
        ("DEPLOY_DIRECTORY", "stacks/other"),
        ("DEPLOY_VAR_FILES", "de.tfvars;fr.tfvars"),
        ("ARM_SUBSCRIPTION_ID", ""),
        ("ESTATE_ACCOUNT_URL", "contosotf"),
        ("TERRAFORM_VERSION", "latest"),
        ("TERRAFORM_VERSION", "1.11.4/../x"),
        ("TERRAFORM_SHA256", ""),
        ("TRUEUP_REPOSITORY", "--upload-pack=id"),
        ("TRUEUP_COMMIT", "main"),
        ("TRUEUP_COMMIT", "2" * 39),
    ],
)
def test_what_the_record_would_trip_over_is_refused_before_the_apply(agent: Agent, variable: str, value: str) -> None:
    status, output = agent.run("check", **{variable: value})
    assert status == 1
    assert "Not deployed" in output


# Cancelling.


def started(agent: Agent, **changed: str) -> subprocess.Popen[str]:
    """The apply's script with a Terraform in it that has begun and would go on for ever."""
    for name in ("check", "plan"):
        assert agent.run(name)[0] == 0
    process = agent.start("apply", **changed)
    log = agent.temp / "trueup" / "apply.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and "Applying" in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_a_cancelled_apply_ends_in_peace_and_is_recorded_as_failed(agent: Agent) -> None:
    process = started(agent, HANGS="yes")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    status, output = agent.run("wait")
    assert status == 0
    assert "Applying..." in output
    assert agent.called("interrupts") == [["interrupted"]]
    assert agent.run("record")[0] == 0
    assert agent.called("trueup") == [[*EXPECTED_RECORD, "failed"]]


def test_an_apply_whose_script_was_killed_is_told_to_stop_before_it_is_recorded(agent: Agent) -> None:
    process = started(agent, HANGS="yes")
    process.kill()
    assert agent.called("interrupts") == []
    assert agent.run("wait")[0] == 0
    assert agent.called("interrupts") == [["interrupted"]]
    assert agent.run("record")[0] == 0
    assert agent.called("trueup") == [[*EXPECTED_RECORD, "failed"]]
    process.communicate(timeout=20)


def test_an_apply_that_does_not_stop_is_told_once_and_not_recorded(agent: Agent) -> None:
    process = started(agent, HANGS="forever")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    status, output = agent.run("wait")
    assert status == 1
    assert "Terraform still runs" in output
    assert agent.called("interrupts") == [["interrupted"]]
    assert agent.run("record") == (1, "The apply still runs: what it will have done cannot be recorded yet.\n")
    assert agent.called("trueup") == []
    assert agent.run("explain")[0] == 1


TERRAFORM = shutil.which("terraform")


@pytest.mark.terraform
@pytest.mark.skipif(TERRAFORM is None, reason="Terraform is not on the PATH")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["told to stop", "killed"])
def test_the_real_terraform_saves_its_state_when_its_step_is_cancelled(agent: Agent, end: signal.Signals) -> None:
    (agent.calls.parent / "tools" / "terraform").unlink()
    (agent.module / "main.tf").write_text(
        'resource "terraform_data" "quick" {}\n'
        'resource "terraform_data" "slow" {\n'
        "  depends_on = [terraform_data.quick]\n"
        '  provisioner "local-exec" {\n    command = "echo Applying; exec sleep 60"\n  }\n}\n',
        encoding="utf-8",
    )
    agent.environment["DEPLOY_VAR_FILES"] = ""
    (agent.calls.parent / "tools" / "sleep").unlink()
    process = started(agent)
    process.send_signal(end)
    status, output = agent.run("wait")
    process.communicate(timeout=20)
    assert status == 0
    assert output.count("Interrupt received.") == 1
    assert "Two interrupts received" not in output
    state = json.loads((agent.module / "terraform.tfstate").read_text(encoding="utf-8"))
    assert "quick" in {resource["name"] for resource in state["resources"]}
    assert agent.run("record")[0] == 0
    assert agent.called("trueup")[0][-2:] == ["--outcome", "failed"]


def command_in(summary: Path) -> str:
    return summary.read_text(encoding="utf-8").split("```sh\n")[1].split("\n```")[0]
