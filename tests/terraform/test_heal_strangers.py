"""A pipeline that deploys between the judgement of a heal and its apply, and records a moment later, as pipelines do."""

from __future__ import annotations

import shlex
from typing import Final

import pytest

from tests.terraform.checked_estate import rule
from tests.terraform.healed_estate import STACK, HealedEstate, healed_estate
from tests.world.terraform_backend import find_terraform

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(300)]

MARKET: Final = "de"
SSH: Final = f"azsim_network_security_rule.ssh-{MARKET}"
DEPLOYED: Final = rule(f"ssh-{MARKET}")
OUTPUT: Final = 'output "release" { value = "next" }\n'
DEPLOYS: Final = {
    "adopts the click": DEPLOYED.replace('"Deny"', '"Allow"'),
    "undoes the click, and more": DEPLOYED + OUTPUT,
}
DEPLOY: Final = (
    '#!/bin/sh\nif [ "$1" = apply ] && mkdir {once}; then (cd {module}; {environment} {terraform} {apply}); fi\n'
)


def deploy_before_the_next_apply(estate: HealedEstate) -> None:
    script = estate.disk.folder / "terraform"
    variables = {**estate.cloud.environment, **estate.provider}
    deploy = DEPLOY.format(
        once=estate.disk.folder / "once",
        module=estate.disk.module(f"{MARKET}/{STACK}"),
        environment=" ".join(["env", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())]),
        terraform=find_terraform(),
        apply="apply -auto-approve -input=false > /dev/null 2>&1",
    )
    script.write_text(script.read_text("utf-8").replace("#!/bin/sh\n", deploy), encoding="utf-8")


@pytest.mark.parametrize("case", DEPLOYS)
def test_a_deploy_between_the_judgement_and_the_apply_is_the_pipelines_to_record_and_stays(case: str) -> None:
    with healed_estate() as estate:
        estate.deploy({MARKET: DEPLOYED})
        estate.cloud.change(SSH, access="Allow")
        assert estate.check()[MARKET]["decision"] == "heal"
        (estate.disk.module(f"{MARKET}/{STACK}") / "main.tf").write_text(DEPLOYS[case], encoding="utf-8")
        deploy_before_the_next_apply(estate)
        before = estate.tracker(MARKET), estate.entry(MARKET)

        job = estate.heal()[MARKET]

        assert (job["step"], job["reason"]) == ("held", "records_disagree")
        assert "Saved plan is stale" in job["events"][-2]["note"]
        assert (estate.tracker(MARKET), estate.entry(MARKET)) == before
        assert estate.state(MARKET)["serial"] > before[0]["serial"]
        assert estate.verdicts()[MARKET] == "pipeline_drift"
        deployed = estate.cloud.snapshot(), estate.state(MARKET)["outputs"]

        estate.record(MARKET)
        assert estate.verdicts()[MARKET] == "healthy"
        assert estate.check()[MARKET]["decision"] == "clean"
        assert (estate.cloud.snapshot(), estate.state(MARKET)["outputs"]) == deployed
