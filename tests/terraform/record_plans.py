"""Records the golden plans: `python -m tests.terraform.record_plans [case …]`, all of them by default.

Every case is deployed, clicked in and planned by the real Terraform, with its azurerm backend in Azurite and the simulated
provider. What `terraform show -json` says goes to `tests/golden/plans/{case}.json`, what is to be found in it to
`tests/golden/plan_findings.json`. Nothing comes from anybody's Azure.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.terraform.plan_cases import CASES, Case
from tests.world.azsim.kinds import OLD_VERSION
from tests.world.sim_cloud import make_sim_cloud, using_azsim
from tests.world.terraform_backend import TerraformFailedError, TerraformStack, TerraformWorld, run_terraform_world

GOLDEN: Final = Path(__file__).parents[1] / "golden"
PLANS: Final = GOLDEN / "plans"
FINDINGS: Final = GOLDEN / "plan_findings.json"

_AT_ONCE: Final = 3
_CLIENT_SECRET: Final = "planted-client-secret"


def record_plan(world: TerraformWorld, folder: Path, case: Case) -> dict[str, Any]:
    """Return the plan's JSON. Raise TerraformFailedError where a command does not end as the case says it does."""
    cloud = make_sim_cloud(folder / "cloud")
    stack = world.stack(folder / "stack", key=f"{case.name}/network.tfstate", environment=cloud.environment)
    _write(stack, case.deployed)
    stack.init()
    stack.apply()
    case.click(cloud)
    if case.unfinished:
        _write(stack, case.unfinished)
        _fails(stack, "apply", "-auto-approve")
        cloud.recover()
    for command in case.commands:
        stack.run(*command)
    if case.planned or case.version != OLD_VERSION:
        _write(stack, case.planned or case.deployed, case.version)
    if case.version != OLD_VERSION:
        stack.run("init", "-upgrade")
    plan_file = folder / "plan"
    if case.fails:
        _fails(stack, "plan", "-lock=false", f"-out={plan_file}", *case.plan_options)
    else:
        stack.plan(*case.plan_options, lock=False, out=plan_file)
    return stack.show_plan(plan_file)


def record(cases: Iterable[Case]) -> None:
    PLANS.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        run_terraform_world(Path(made) / "world") as world,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        recorded = [(case, pool.submit(record_plan, world, Path(made) / case.name, case)) for case in cases]
        for case, plan in recorded:
            _put(PLANS / f"{case.name}.json", plan.result())
    _put(FINDINGS, {case.name: _expected(case) for case in CASES})


def _expected(case: Case) -> dict[str, Any]:
    return {
        "says": case.says,
        "inconclusive": case.inconclusive or None,
        "findings": dict(case.findings),
        "carried_along": list(case.carried_along),
    }


def _write(stack: TerraformStack, main_tf: str, version: str = OLD_VERSION) -> None:
    stack.write(using_azsim(version, client_secret=_CLIENT_SECRET) + main_tf)


def _fails(stack: TerraformStack, *arguments: str) -> None:
    try:
        stack.run(*arguments)
    except TerraformFailedError:
        return
    raise AssertionError(f"{arguments[0]} was to fail")


def _put(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    named = sys.argv[1:]
    record(case for case in CASES if not named or case.name in named)
