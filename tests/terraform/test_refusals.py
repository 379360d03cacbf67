"""What the real Terraform says of a provider that refuses, with secrets of letters alone where nobody lists them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from adapters.bundle_zip import pack_bundle
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import FolderStates
from records.registry import StateLocation
from records.terraform import NoAnswer, Step
from records.tracker import Bundle
from tests.terraform.disk_estate import DiskEstate, disk_estate
from tests.world.sim_cloud import using_azsim

pytestmark = pytest.mark.terraform

LETTERS: Final = ("Sesamoeffnedich", "Sesamschliessdich", "Abrakadabrasimsalabim")
VAULT: Final = 'resource "azsim_key_vault" "main" {\n  name = "kv-de"\n  resource_group_name = "rg-de"\n}\n'
DEPLOYED: Final = using_azsim(client_secret=LETTERS[1]) + VAULT


@pytest.fixture
def estate(monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskEstate]:
    with disk_estate() as made:
        for name, value in made.cloud.environment.items():
            monkeypatch.setenv(name, value)
        made.deploy({"de/hub": DEPLOYED})
        yield made


async def refused(estate: DiskEstate, files: dict[str, str]) -> NoAnswer:
    module = estate.module("de/hub")
    for name, text in files.items():
        (module / name).write_text(text, encoding="utf-8")
    made = pack_bundle(module, max_bytes=1024**2)
    with tempfile.TemporaryDirectory(prefix="w-") as work:
        terraform = TerraformCli(
            TerraformOptions(states=FolderStates(root=estate.root, container="tfstate"), work_folder=Path(work))
        )
        async with terraform.deployed(
            content=made.content,
            bundle=Bundle(blob="b", sha256=made.sha256, root=made.root),
            state=StateLocation(key="de/hub.tfstate"),
        ) as deployed:
            plan = await deployed.plan()
    assert isinstance(plan, NoAnswer)
    assert not [secret for secret in LETTERS if secret.lower() in repr(plan).lower()]
    return plan


async def test_a_refused_read_says_what_was_being_done_and_why(estate: DiskEstate) -> None:
    message = f"creating Login: AuthorizationFailed: password {LETTERS[0]} does not meet the policy, status 403"
    estate.cloud.fail("azsim_key_vault.kv-de", "read", message)
    plan = await refused(estate, {})
    assert [str(one) for one in plan.diagnostics] == [
        "error: read of … failed; AuthorizationFailed; HTTP 403; azsim_key_vault.main; main.tf:9"
    ]


@pytest.mark.parametrize(
    ("files", "summary"),
    [
        pytest.param(
            {
                "main.tf": DEPLOYED
                + f'check "a" {{\n  assert {{\n    condition = {LETTERS[2]}\n    error_message = "no"\n  }}\n}}\n'
            },
            "Invalid reference",
            id="a name that is none",
        ),
        pytest.param(
            {
                "main.tf": DEPLOYED + 'variable "a" {\n  type = number\n}\n',
                "terraform.tfvars": f"a = <<EOT\n{LETTERS[2]}\nEOT\n",
            },
            "Invalid value for input variable",
            id="a heredoc in a variable file",
        ),
        pytest.param(
            {
                "main.tf": DEPLOYED
                + f'variable "a" {{\n  default = "{LETTERS[2]}"\n  validation {{\n    condition = var.a == ""\n'
                '    error_message = "${var.a} is wrong"\n  }\n}\n'
            },
            "Invalid value for variable",
            id="a default that is refused",
        ),
    ],
)
async def test_what_terraform_itself_refuses_is_said_in_its_own_words(
    estate: DiskEstate, files: dict[str, str], summary: str
) -> None:
    plan = await refused(estate, files)
    assert plan.step in {Step.INIT, Step.PLAN}
    assert summary in {one.summary for one in plan.diagnostics}, plan.diagnostics
