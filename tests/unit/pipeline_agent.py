"""The pipelines of docs/pipelines as YAML, and a machine that runs their scripts with stand-ins for what they call."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
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
USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
"""Of the click that Typer brings, which it does not export."""

on_agents_only = pytest.mark.skipif(
    not BASH or sys.platform != "linux", reason="the scripts are for bash on Linux, as the agents are"
)


@dataclass(frozen=True)
class Step:
    """One step of either service; ``name`` is in GitHub's spelling, with dashes."""

    name: str
    script: str
    condition: str | None
    raw: dict[str, Any]


@cache
def document(file: str) -> dict[Any, Any]:
    loaded = yaml.safe_load((PIPELINES / file).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def job(file: str) -> dict[str, Any]:
    content: dict[str, Any] = (
        document(file)["stages"][0]["jobs"][0] if file == AZURE_DEVOPS else document(file)["jobs"]["deploy"]
    )
    return content


@cache
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


STANDING_IN = {
    "terraform": r"""
printf '%s\037' "$@" >>"$CALLS/terraform"; echo >>"$CALLS/terraform"
if [[ "$1" == state ]]; then
  serial="${BEFORE-41}"
  if [[ -e "$CALLS/applied" ]]; then serial="${AFTER-42}"; fi
  if [[ "$serial" == hangs ]]; then
    touch "$CALLS/hanging"
    until [[ -e "$CALLS/go on" ]]; do "$REAL_SLEEP" 0.05; done
  fi
  if [[ "$serial" == 'cut off' ]]; then echo '{"version": 4, '; fi
  [[ "$serial" =~ ^[0-9]*$ ]] || exit 1
  if [[ -n "$serial" ]]; then echo "{\"version\": 4, \"serial\": $serial, \"outputs\": {\"serial\": {\"value\": 7}}}"; fi
  exit 0
fi
if [[ "$1" == apply ]]; then touch "$CALLS/applied"; fi
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
            "TF_WORKSPACE": "",
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

    def recorded(self) -> list[list[str]]:
        """What was asked of ``trueup``."""
        return [timeless(call) for call in self.called("trueup")]

    def deploy(self, **changed: str) -> dict[str, tuple[int, str]]:
        """All steps from the check on but the installing ones, as a run takes them; what each came to."""
        came_to = {name: self.run(name, **changed) for name in ("check", "plan", "apply")}
        return came_to | {name: self.run(name, **changed) for name in AFTER_APPLY if name != "remove"}


TIME = "the time at which the apply ended"


def timeless(tokens: list[str]) -> list[str]:
    """With TIME for what is a time as ``--deployed-at`` takes it: to the second, in UTC."""
    return [TIME if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", token) else token for token in tokens]


def record_of(
    outcome: str,
    *,
    chosen: tuple[str, ...] = ("--release", "2026.11.3", "--var-file", "de.tfvars", "--var-file", "a b.tfvars"),
    before: str | None = "41",
    after: str | None = "42",
) -> list[str]:
    """What ``trueup`` is asked to record of a deploy by the agent's own settings."""
    return [
        *("record", "--market", "emea/fr", "--stack", "network", "--bundle", "."),
        *("--subscription-id", "00000000-0000-0000-0000-000000000001", *chosen),
        *(("--serial-before", before) if before else ()),
        *("--deployed-at", TIME),
        *(("--serial-after", after) if after else ()),
        *("--outcome", outcome),
    ]


def command_in(summary: Path) -> list[str]:
    """What the summary says to run by hand."""
    return shlex.split(summary.read_text(encoding="utf-8").split("```sh\n")[1].split("\n```")[0])
