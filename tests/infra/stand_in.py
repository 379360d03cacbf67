"""Terraform on `infra/` with no Azure: the real Terraform, and the stand-in for azurerm with its real schema.

A module is copied without its lock file, which holds the hashes of the real provider; its state is kept on disk. `VARIABLES`
are what a user would put into `terraform.tfvars`; none of them is its default.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.world.commands import ROOT
from tests.world.terraform_backend import find_terraform

STAND_IN: Final = ROOT.parent / "shared/tools/azurerm-sim"
INFRA: Final = ROOT / "infra"

JsonObject = dict[str, Any]

MARKETS: Final[Mapping[str, JsonObject]] = {
    "de": {"subscription_id": "00000000-0000-0000-0000-000000000001", "heal": True},
    "emea/fr": {"subscription_id": "00000000-0000-0000-0000-000000000002"},
    "us": {
        "subscription_id": "00000000-0000-0000-0000-000000000003",
        "heal": True,
        "state_container_id": (
            "/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/rg-tf/providers/Microsoft.Storage"
            "/storageAccounts/tfus/blobServices/default/containers/tfstate"
        ),
    },
}
CANARY: Final = "canary/one"
RUNBOOK_URL: Final = "https://git.contoso.example/trueup/docs/runbook.md"
VARIABLES: Final[JsonObject] = {
    "subscription_id": "00000000-0000-0000-0000-0000000000aa",
    "location": "germanywestcentral",
    "name": "contoso",
    "time_zone": "Europe/Berlin",
    "http_allowed_ip_ranges": ["203.0.113.0/24"],
    "markets": MARKETS,
    "market_for_canary": CANARY,
    "heal_mode": "on",
    "plan_check_schedule": "0 45 */6 * * *",
    "subnet_id": (
        "/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg-net/providers/Microsoft.Network"
        "/virtualNetworks/vnet/subnets/trueup"
    ),
    "estate_network": {"ip_ranges": ["203.0.113.0/24"]},
    "settings": {"FLEET_PERCENT": "25"},
    "people": {
        "readers": ["00000000-0000-0000-0000-00000000ead1"],
        "operators": ["00000000-0000-0000-0000-000000000b01"],
    },
    "runbook_url": RUNBOOK_URL,
    "on_call": {"emails": {"platform": "on-call@contoso.example"}, "webhooks": {"pager": {}}},
    "on_call_webhook_urls": {"pager": "https://pager.contoso.example/in?key=of-the-pager"},
}

_UNKNOWN_FEATURE: Final = re.compile(r"\n    storage {\n.*?\n    }\n", re.DOTALL)
"""A feature of azurerm 4 (`storage_account_resource.go` asks for `DataPlaneAvailable`) that the stand-in's schema lacks."""
_AZ: Final = """#!/bin/sh
printf '%s\\n' "$*" >>"$AZ_LOG"
"""
"""There is no Azure CLI here that could do what Terraform has it do: what it was told is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A root module's copy, ready for `terraform plan`. ``cloud`` is the file that stands for Azure."""

    folder: Path
    cli_config: Path
    cloud: Path
    variables: Mapping[str, object] = field(default_factory=dict)

    def terraform(self, *arguments: str, succeeds: bool = True) -> str:
        """What it printed, on both outputs."""
        done = subprocess.run(
            [find_terraform(), *arguments],
            cwd=self.folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("TF_", "ARM_"))},
                "TF_CLI_CONFIG_FILE": str(self.cli_config),
                "TF_IN_AUTOMATION": "1",
                "CHECKPOINT_DISABLE": "1",
                "AZURERM_SIM_CLOUD": str(self.cloud),
                "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "AZ_LOG": str(self.folder / "az.log"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode == 0) is succeeds, done.stdout
        return done.stdout

    def apply(self) -> None:
        self.terraform("apply", "-auto-approve", "-input=false", "-no-color")

    def az_commands(self) -> list[str]:
        """What the Azure CLI was told, in order."""
        log = self.folder / "az.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def resources(self) -> list[JsonObject]:
        """Every managed resource of the state, those of its modules among them."""
        root: JsonObject = json.loads(self.terraform("show", "-json"))["values"]["root_module"]
        return _resources_of(root)


def copy_module(
    source: Path, folder: Path, *, cli_config: Path, variables: Mapping[str, object] | None = None
) -> Module:
    """``source`` in ``folder``, initialised against the stand-in."""
    shutil.copytree(
        source,
        folder,
        ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "terraform.tfvars", "*.auto.tfvars*", "canary"),
    )
    (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n', encoding="utf-8")
    _leave_out_what_the_stand_in_lacks(folder / "providers.tf")
    given = dict(variables or {})
    (folder / "test.auto.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
    (folder / "bin").mkdir()
    (folder / "bin/az").write_text(_AZ, encoding="utf-8")
    (folder / "bin/az").chmod(0o755)
    module = Module(folder=folder, cli_config=cli_config, cloud=folder / "cloud.json", variables=given)
    module.terraform("init", "-input=false", "-no-color")
    return module


def install_stand_in(folder: Path) -> Path:
    """A mirror with the stand-in alone; returns the CLI configuration that names it, so that nothing else is asked."""
    mirror = folder / "mirror"
    subprocess.run([STAND_IN / "install", mirror, sys.executable], check=True)
    cli_config = folder / "terraform.rc"
    cli_config.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n', encoding="utf-8"
    )
    return cli_config


def _leave_out_what_the_stand_in_lacks(providers: Path) -> None:
    if providers.exists():
        text = providers.read_text(encoding="utf-8")
        providers.write_text(_UNKNOWN_FEATURE.sub("\n", text), encoding="utf-8")


def _resources_of(module: JsonObject) -> list[JsonObject]:
    own = [resource for resource in module.get("resources", []) if resource["mode"] == "managed"]
    return own + [resource for child in module.get("child_modules", []) for resource in _resources_of(child)]
