"""What the runbook and docs/canary.md have on-call type, held against `infra/` and the names of the code."""

from __future__ import annotations

import re
import subprocess
import textwrap
from typing import Final

import pytest

from adapters.table_names import HEALS_TABLE, PLAN_CHECKS_TABLE, RECORD_LOG_TABLE
from drift.service.starting import INSTANCES
from reconcile.service.identity import daily_run
from records.heals import POISON_QUEUE
from records.locks import LOCK_METADATA_KEY
from tests.infra.canary import CANARY
from tests.infra.kql_rows import NOW
from tests.infra.stand_in import INFRA
from tests.world.commands import ROOT


def blocks(document: str) -> str:
    found = re.findall(r"^( *)```sh\n(.*?)^ *```", document, re.MULTILINE | re.DOTALL)
    return "\n".join(textwrap.dedent(text) for _, text in found)


DOCUMENTS: Final = {name: (ROOT / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("runbook", "canary")}
RUNBOOK: Final = blocks(DOCUMENTS["runbook"])
CANARY_BLOCKS: Final = blocks(DOCUMENTS["canary"])


def infra(name: str) -> str:
    return (INFRA / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [RUNBOOK, CANARY_BLOCKS], ids=["runbook", "canary"])
def test_every_shell_block_is_shell(text: str) -> None:
    assert text
    checked = subprocess.run(["bash", "-n"], input=text, encoding="utf-8", capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_command_on_storage_signs_in_as_a_person() -> None:
    commands = re.findall(r"az storage (?:[^\n]|(?<=\\)\n)+", RUNBOOK)
    assert len(commands) > 8
    assert [command for command in commands if "--auth-mode login" not in command] == []


def test_names_are_those_of_infra() -> None:
    assert re.findall(r"^name=(\w+)", RUNBOOK, re.MULTILINE) == ["contosotf"]
    assert set(re.findall(r"\$\{name\}(\w+)", RUNBOOK)) == {"estate"}
    assert '"${var.name}estate"' in infra("estate.tf")
    assert set(re.findall(r'"\$name-(\w+)"', RUNBOOK)) <= {"reconcile", "plan", "apply"}
    assert '"log-${var.name}"' in infra("observability.tf")
    assert "workspace `log-contosotf`" in " ".join(DOCUMENTS["runbook"].split())
    functions = set(re.findall(r"--function-name (\w+)", RUNBOOK))
    assert functions == {"get_run", "start_run"}
    assert all(f'"{function}"' in infra("duties.tf") for function in functions)
    assert set(re.findall(r"--table-name (\w+)", RUNBOOK)) == {HEALS_TABLE, PLAN_CHECKS_TABLE, RECORD_LOG_TABLE}
    assert set(re.findall(r"--queue-name ([\w-]+)", RUNBOOK)) == {POISON_QUEUE}
    assert f"lock:metadata.{LOCK_METADATA_KEY}" in RUNBOOK


def test_the_days_run_is_named_as_the_service_names_it() -> None:
    (prefix,) = re.findall(r"/runs/([a-z-]+)\$\(", RUNBOOK)
    assert daily_run(NOW.date(), started_at=NOW).run_id == f"{prefix}{NOW:%Y-%m-%d}"


def test_a_run_that_hangs_is_named_as_the_service_names_it() -> None:
    section = DOCUMENTS["runbook"].partition("\n### A run that hangs\n")[2].partition("\n## ")[0]
    assert re.findall(r"`(plan-checks[\w-]*)`", section) == list(INSTANCES)
    assert f"/durabletask/instances/{INSTANCES[0]}" in section


def test_the_planter_and_its_rule_are_where_the_modules_make_them() -> None:
    stack, planter = ((CANARY / name / "variables.tf").read_text(encoding="utf-8") for name in ("stack", "planter"))
    group, workflow = re.findall(r"of_canary/([\w-]+)/providers/Microsoft.Logic/workflows/([\w-]+)/runs", RUNBOOK)[0]
    assert f'"{group}"' in planter
    assert f'"{workflow}"' in planter
    of_rule = re.findall(r"rule=([\w-]+)/providers/\S+/networkSecurityGroups/([\w-]+)/securityRules/(\w+)", RUNBOOK)[0]
    assert all(f'"{name}"' in stack for name in of_rule[:2])
    assert f'"name": "{of_rule[2]}"' in (CANARY / "stack/rule.json").read_text(encoding="utf-8")


def test_the_planters_state_is_given_all_that_its_backend_needs_beside_infras() -> None:
    (init,) = re.findall(r"terraform init (?:[^\n]|(?<=\\)\n)+", CANARY_BLOCKS)
    deploying = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    of_infra = dict(re.findall(r"-backend-config=(\w+)=(\S+)", deploying))
    given = dict(re.findall(r"-backend-config=(\w+)=(\S+)", init))
    assert given == {**of_infra, "key": "canary-planter.tfstate"}
    assert given["key"] != of_infra["key"]


def test_the_provider_that_the_package_must_hold_is_the_one_that_the_canary_locks() -> None:
    (said,) = re.findall(r"azurerm (\d+\.\d+\.\d+)", DOCUMENTS["canary"])
    lock = (CANARY / "stack/.terraform.lock.hcl").read_text(encoding="utf-8")
    assert re.findall(r'^  version += "(.+)"$', lock, re.MULTILINE) == [said]
