"""What the pipelines of docs/pipelines say, and what their README says of them."""

import re
import shlex
import subprocess

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs would be one more dependency, for this one call

from tests.unit.pipeline_agent import (
    AFTER_APPLY,
    AZURE_DEVOPS,
    BASH,
    FILES,
    GITHUB,
    PIPELINES,
    document,
    environment_of,
    job,
    on_agents_only,
    steps,
    wrong_usage,
)

MOST_INLINE_CHARACTERS = 5000
"""What the editor of AzureCLI@2 takes (its ``task.json``)."""

SCRIPTS = [
    pytest.param(file, name, id=f"{file} {name}") for file in FILES for name in steps(file) if name != "checkout"
]

pytestmark = on_agents_only


def documented_commands() -> list[list[str]]:
    text = (PIPELINES / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("trueup ")]


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
        "group": "deploy:${{ inputs.market }}:${{ inputs.stack }}",
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


@pytest.mark.parametrize("name", ["check", "install-trueup", "plan", "apply", "wait"])
def test_both_services_do_the_same(name: str) -> None:
    """So that what is tried of one is tried of the other."""
    own = r"\$AGENT_TEMPDIRECTORY|\$RUNNER_TEMP|##vso\S+ type=error\]|::error title=|^export ARM_.*\n|[:\s]+|-"
    said = [re.sub(own, "", steps(file)[name].script, flags=re.MULTILINE).casefold() for file in FILES]
    assert said[0] == said[1]


@pytest.mark.parametrize("file", FILES)
def test_the_serial_is_read_in_one_way_and_the_second_time_only_when_the_end_is_marked(file: str) -> None:
    apply = steps(file)["apply"].script
    assert apply.count("terraform state pull") == 1
    assert apply.index('touch "$work/apply.ended"') < apply.index("if serial >")


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
