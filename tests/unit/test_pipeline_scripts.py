"""The scripts of docs/pipelines, run for real."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.pipeline_agent import (
    AZURE_DEVOPS,
    FILES,
    GITHUB,
    Agent,
    command_in,
    on_agents_only,
    record_of,
    timeless,
    wrong_usage,
)

pytestmark = on_agents_only


@pytest.fixture(params=FILES)
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    made = Agent(request.param, tmp_path)
    yield made
    pid = made.temp / "trueup" / "apply.pid"
    if pid.exists() and not (made.temp / "trueup" / "apply.ended").exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text(encoding="utf-8")), signal.SIGKILL)


DEPLOYING = ["init", "plan", "state", "apply", "state"]
PLAN = ["plan", "-input=false", "-no-color", "-lock-timeout=5m"]


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
        ["state", "pull"],
    ]
    assert agent.recorded() == [record_of("succeeded")]
    assert not agent.summary.exists()


def test_the_command_line_knows_what_the_pipelines_ask_of_it(agent: Agent) -> None:
    agent.deploy(FAILURES="9", RESULTS_ACCOUNT_URL="https://contosotf.table.core.windows.net")
    by_hand = command_in(agent.summary)
    assert [wrong for tokens in agent.called("trueup") for wrong in wrong_usage(tokens)] == []
    assert wrong_usage(by_hand[by_hand.index("trueup") + 1 :]) == []


def test_little_is_asked_for_where_little_is_given(agent: Agent) -> None:
    agent.deploy(DEPLOY_RELEASE="", DEPLOY_VAR_FILES="", DEPLOY_BACKEND_CONFIG="prod.tfbackend")
    assert agent.called("terraform")[0][-1] == "-backend-config=prod.tfbackend"
    assert agent.recorded() == [record_of("succeeded", chosen=())]


def test_a_first_deploy_has_no_serial_before(agent: Agent) -> None:
    agent.deploy(BEFORE="", AFTER="1")
    assert agent.recorded() == [record_of("succeeded", before=None, after="1")]


@pytest.mark.parametrize(("after", "status"), [("", 3), ("unreadable", 0), ("cut off", 3)])
def test_a_state_that_cannot_be_read_after_the_apply_changes_nothing(agent: Agent, after: str, status: int) -> None:
    came_to = agent.deploy(AFTER=after, APPLY_STATUS=str(status))
    assert [came_to[name][0] for name in ("apply", "record", "explain")] == [status, 0, 0]
    assert agent.recorded() == [record_of("failed" if status else "succeeded", after=None)]


def test_the_time_is_that_at_which_the_apply_ended(agent: Agent) -> None:
    agent.deploy(FAILURES="1")
    first, second = agent.called("trueup")
    assert first == second
    said = datetime.fromisoformat(first[first.index("--deployed-at") + 1])
    assert timedelta(seconds=-1) < datetime.now(UTC) - said < timedelta(seconds=30)


def test_a_state_that_cannot_be_read_stops_the_deploy_before_the_apply(agent: Agent) -> None:
    came_to = agent.deploy(BEFORE="unreadable")
    assert came_to["apply"][0] == 1
    assert [call[0] for call in agent.called("terraform")] == ["init", "plan", "state"]
    assert agent.called("trueup") == []
    assert came_to["explain"] == (0, "")


def test_a_failed_apply_is_recorded_as_failed_and_stays_failed(agent: Agent) -> None:
    came_to = agent.deploy(APPLY_STATUS="3")
    assert came_to["apply"][0] == 3
    assert "Apply says something." in came_to["apply"][1]
    assert came_to["record"][0] == 0
    assert agent.recorded() == [record_of("failed")]
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
    assert [call[0] for call in agent.called("terraform")] == DEPLOYING


def test_a_record_that_always_fails_fails_the_run_and_says_what_to_do(agent: Agent) -> None:
    came_to = agent.deploy(FAILURES="99")
    assert (came_to["record"][0], came_to["explain"][0]) == (1, 1)
    assert len(agent.called("trueup")) == 4
    assert [call[0] for call in agent.called("terraform")] == DEPLOYING
    error = "::error title=Not recorded::" if agent.file == GITHUB else "##vso[task.logissue type=error]Not recorded: "
    told = f"{error}The apply of emea/fr/network (succeeded) is not on record: its state is now ahead of its records"
    assert told in came_to["explain"][1]
    summary = agent.summary.read_text(encoding="utf-8")
    assert "`pipeline_drift`" in summary
    assert "`registry_behind`" in summary
    assert "tracker_behind" not in summary, "the tracker is written before the registry"
    assert "`trueup repair --market emea/fr --stack network`" in summary
    assert wrong_usage(["repair", "--market", "emea/fr", "--stack", "network", "--yes"]) == []
    assert "not portal drift" in summary
    assert "Never apply" in summary
    assert summary in came_to["explain"][1]
    run_id, url = ("77.1", "https://github.com/contoso/landing-zones/actions/runs/77")
    if agent.file == AZURE_DEVOPS:
        run_id, url = "20261123.4", "https://dev.azure.com/contoso/project/_build/results?buildId=77"
        assert came_to["explain"][1].endswith(f"##vso[task.uploadsummary]{agent.summary}\n")
    by_hand = command_in(agent.summary)
    assert timeless(by_hand) == [
        *("env", "ESTATE_ACCOUNT_URL=https://contosotf.blob.core.windows.net", "trueup"),
        *record_of("succeeded"),
        *("--commit", "3" * 40, "--run-id", run_id, "--run-url", url),
    ]
    assert by_hand[3 : 3 + len(record_of("succeeded"))] == agent.called("trueup")[0]


def test_the_command_by_hand_has_the_workspace(agent: Agent) -> None:
    agent.deploy(FAILURES="99", TF_WORKSPACE="west")
    assert "TF_WORKSPACE=west" in command_in(agent.summary)


def test_a_record_step_that_never_ran_is_explained_too(agent: Agent) -> None:
    for name in ("check", "plan", "apply", "wait"):
        assert agent.run(name)[0] == 0
    assert agent.run("explain")[0] == 1
    assert "--outcome succeeded" in " ".join(command_in(agent.summary))
    assert agent.run("remove") == (0, "")
    assert agent.summary.exists()


def test_the_command_by_hand_survives_what_a_shell_would_read_otherwise(agent: Agent) -> None:
    agent.deploy(FAILURES="99", DEPLOY_RELEASE="$(id) `id` 'x' \"y\"; rm -rf ~")
    by_hand = command_in(agent.summary)
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
    log, pid = (agent.temp / "trueup" / name for name in ("apply.log", "apply.pid"))
    says = re.compile(
        r"^(.*\(local-exec\): )?Applying", re.MULTILINE
    )  # Terraform's own words come before the command runs
    wait_until(lambda: pid.exists() and says.search(log.read_text(encoding="utf-8")) is not None)
    return process


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
    assert agent.recorded() == [record_of("failed", after=None)]


def test_an_apply_whose_script_was_killed_is_told_to_stop_before_it_is_recorded(agent: Agent) -> None:
    with started(agent, HANGS="yes") as process:
        process.kill()
    assert agent.called("interrupts") == []
    assert agent.run("wait")[0] == 0
    assert agent.called("interrupts") == [["interrupted"]]
    assert agent.run("record")[0] == 0
    assert agent.recorded() == [record_of("failed", after=None)]


def test_an_apply_that_does_not_stop_is_told_once_and_not_recorded(agent: Agent) -> None:
    with started(agent, HANGS="forever") as process:  # at the end of which nobody listens to the script
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    status, output = agent.run("wait")
    assert status == 1
    assert "Terraform still runs" in output
    assert agent.called("interrupts") == [["interrupted"]]
    assert agent.run("record") == (1, "The apply still runs: what it will have done cannot be recorded yet.\n")
    assert agent.called("trueup") == []
    status, output = agent.run("explain")
    assert status == 1
    summary = agent.summary.read_text(encoding="utf-8")
    assert summary in output
    assert "may still run" in summary
    assert "`stale_lock`" in summary
    assert not re.search(r"trueup record|```|pipeline_drift", summary)


def test_a_run_that_is_cancelled_after_its_apply_has_ended_is_recorded_as_it_ended(agent: Agent) -> None:
    for name in ("check", "plan"):
        assert agent.run(name)[0] == 0
    with agent.start("apply", AFTER="hangs") as process:
        wait_until((agent.calls / "hanging").exists)
        process.kill()
    (agent.calls / "go on").touch()
    assert agent.run("wait") == (0, "")
    assert agent.run("record")[0] == 0
    assert agent.recorded() == [record_of("succeeded", after=None)]


TERRAFORM = shutil.which("terraform")


@pytest.mark.terraform
@pytest.mark.skipif(TERRAFORM is None, reason="Terraform is not on the PATH")
def test_the_real_terraform_saves_its_state_when_its_step_is_cancelled(agent: Agent) -> None:
    end = signal.SIGINT if agent.file == GITHUB else signal.SIGKILL
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
    with started(agent) as process:
        process.send_signal(end)
    status, output = agent.run("wait")
    assert status == 0
    assert output.count("Interrupt received.") == 1
    assert "Two interrupts received" not in output
    state = json.loads((agent.module / "terraform.tfstate").read_text(encoding="utf-8"))
    assert "quick" in {resource["name"] for resource in state["resources"]}
    assert agent.run("record")[0] == 0
    assert agent.called("trueup")[0][-2:] == ["--outcome", "failed"]
