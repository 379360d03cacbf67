"""The canary's two root modules, as delivered, in a cloud that is a file: deployed, recorded, planted in, checked and healed.

Terraform, the commands and the workflow's request are the real ones. The provider is the stand-in with azurerm's schema; where
its ids are not Azure's, a resource is looked for by group and name.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.infra.stand_in import INFRA, Module
from tests.terraform.forked_commands import Commands, forked_commands

CANARY: Final = INFRA / "canary"
MARKET: Final = "canary"
STACK: Final = "canary"
SUBSCRIPTION: Final = "00000000-0000-0000-0000-0000000000ca"
_GROUP: Final = "azurerm_network_security_group"
_RULE_URI: Final = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/Microsoft\.Network"
    r"/networkSecurityGroups/(?P<name>[^/]+)/securityRules/(?P<rule>[^/]+)"
)
_TIME: Final = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CanaryModules:
    """Copies of both, initialised against the stand-in, with one cloud and a state on disk each."""

    folder: Path
    stack: Module
    planter: Module

    def request(self, network_security_group_id: str) -> JsonObject:
        """The request that the planter's workflow makes, as Terraform plans it."""
        self.planter.terraform(
            *("plan", "-input=false", "-out=plan", "-var=location=westeurope"),
            f"-var=network_security_group_id={network_security_group_id}",
        )
        plan = json.loads(self.planter.terraform("show", "-json", "plan"))
        (action,) = [one for one in plan["resource_changes"] if one["type"] == "azurerm_logic_app_action_custom"]
        body: JsonObject = json.loads(action["change"]["after"]["body"])
        assert body["type"] == "Http"
        request: JsonObject = body["inputs"]
        return request


@contextmanager
def canary_modules(cli_config: Path) -> Iterator[CanaryModules]:
    """In a folder whose path is short enough for the sockets of providers."""
    with tempfile.TemporaryDirectory(prefix="c-") as made:
        folder = Path(made)
        states = {
            "stack": folder / "estate/tfstate" / MARKET / f"{STACK}.tfstate",
            "planter": folder / "planter.tfstate",
        }
        modules = {name: _copied(name, folder, state, cli_config) for name, state in states.items()}
        for module in modules.values():
            module.terraform("init", "-input=false")
        yield CanaryModules(folder, **modules)


def _copied(name: str, folder: Path, state: Path, cli_config: Path) -> Module:
    copy = folder / "modules" / name
    shutil.copytree(CANARY / name, copy, ignore=shutil.ignore_patterns(".terraform*"))
    state.parent.mkdir(parents=True, exist_ok=True)
    backend = f'terraform {{\n  backend "local" {{\n    path = "{state}"\n  }}\n}}\n'
    (copy / "backend.tf").write_text(backend, encoding="utf-8")
    return Module(folder=copy, cli_config=cli_config, cloud=folder / "cloud.json")


@dataclass(frozen=True, slots=True)
class CanaryMarket:
    """The stack, deployed and on record in an estate on disk."""

    modules: CanaryModules
    commands: Commands

    @property
    def estate(self) -> Path:
        return self.modules.folder / "estate"

    @property
    def _cloud(self) -> Path:
        return self.modules.stack.cloud

    @property
    def registry(self) -> JsonObject:
        return _json(self.estate / "registry" / MARKET / "subscription.json")

    @property
    def tracker(self) -> JsonObject:
        return _json(self.estate / "trackers" / MARKET / f"{STACK}.json")

    def deploy(self) -> None:
        """As the pipelines do it, with the example's values."""
        stack = self.modules.stack
        variables = stack.folder / "canary.tfvars"
        shutil.copy(stack.folder / "terraform.tfvars.example", variables)
        stack.terraform("apply", "-input=false", "-auto-approve", f"-var-file={variables.name}")
        ended = self.commands.run(
            *("record", "--market", MARKET, "--stack", STACK, "--subscription-id", SUBSCRIPTION),
            *("--bundle", str(stack.folder), "--var-file", str(variables)),
            *("--state-key", f"{MARKET}/{STACK}.tfstate"),
        )
        assert ended.status == 0, ended.stderr

    def decides(self, policy: str) -> None:
        file = self.estate / "config/policy.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(policy, encoding="utf-8")

    def rules(self) -> list[JsonObject]:
        (group,) = [one for one in _json(self._cloud).values() if one["type"] == _GROUP]
        rules: list[JsonObject] = group["values"]["security_rule"]
        return rules

    def put(self, request: JsonObject) -> None:
        """What Azure does with the request: the whole rule is then what the body says, and nothing else is touched."""
        where = urlsplit(request["uri"])
        target = _RULE_URI.fullmatch(where.path)
        assert (request["method"], where.netloc) == ("PUT", "management.azure.com")
        assert target
        assert target["subscription"] == SUBSCRIPTION
        cloud = _json(self._cloud)
        (group,) = [
            one["values"]
            for one in cloud.values()
            if (one["type"], one["values"]["name"], one["values"].get("resource_group_name"))
            == (_GROUP, target["name"], target["group"])
        ]
        (there,) = [rule for rule in group["security_rule"] if rule["name"] == target["rule"]]
        said = {_in_terraforms_words(name): value for name, value in request["body"]["properties"].items()}
        assert said.keys() <= there.keys()
        there.update({name: said.get(name) for name in there if name != "name"})
        self._cloud.write_text(json.dumps(cloud), encoding="utf-8")

    def check(self) -> JsonObject:
        report = self.commands.answer("drift", "check", "--queue")
        assert report["problems"] == []
        (check,) = report["results"]
        found: JsonObject = check
        return found

    def heal(self) -> Sequence[JsonObject]:
        answer = self.commands.answer("drift", "heal")
        assert (answer["refused"], answer["problems"]) == ([], [])
        jobs: list[JsonObject] = answer["jobs"]
        return jobs

    def verdict(self) -> str:
        (result,) = self.commands.answer("reconcile")["results"]
        return str(result["verdict"])

    def a_day_passes(self) -> None:
        """All that is on record was a day earlier than it was."""
        for file in (self.estate / "tables").rglob("*.json"):
            file.write_text(_TIME.sub(_a_day_earlier, file.read_text(encoding="utf-8")), encoding="utf-8")


@contextmanager
def canary_market(modules: CanaryModules) -> Iterator[CanaryMarket]:
    work_folder = modules.folder / "w"
    work_folder.mkdir()
    own = {
        "TF_CLI_CONFIG_FILE": str(modules.stack.cli_config),
        "AZURERM_SIM_CLOUD": str(modules.stack.cloud),
        "TF_PASSED_VARIABLES": "AZURERM_SIM_CLOUD",
        "PLAN_WORK_FOLDER": str(work_folder),
        "REREAD_DELAY_SECONDS": "0",
    }
    with forked_commands(own, "--estate", str(modules.folder / "estate")) as commands:
        yield CanaryMarket(modules, commands)


def _json(file: Path) -> JsonObject:
    content: JsonObject = json.loads(file.read_text(encoding="utf-8"))
    return content


def _in_terraforms_words(name: str) -> str:
    """`sourceAddressPrefix` is azurerm's `source_address_prefix`."""
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def _a_day_earlier(time: re.Match[str]) -> str:
    moment = datetime.fromisoformat(time[0]) - timedelta(days=1)
    return moment.isoformat().replace("+00:00", "Z")
