"""Builds the estate of examples/estate anew: real states, and the records that a pipeline would have written of them.

    python examples/build_estate.py [DIR] [--replace]

Terraform 1.11 must be on the PATH; only its builtin `terraform_data` resource is used, so nothing is downloaded. Two runs
differ in what Terraform draws at random: lineages, resource ids and lock ids. Needs a POSIX system.
"""

import argparse
import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

CONTAINERS = ("registry", "trackers", "tfstate", "tfstate-br", "tfstate-it")
COMMAND_LIMIT_SECONDS = 60
RUNS = "https://dev.azure.com/contoso/platform/_build/results?buildId="
MODULES = "git::https://dev.azure.com/contoso/platform/_git/modules?ref="
STACKS: Mapping[str, Mapping[str, str]] = {
    "network": {
        "vnet": "avm-res-network-virtualnetwork/v0.17.1",
        "nsg": "avm-res-network-networksecuritygroup/v0.5.1",
    },
    "dns": {"private_zones": "avm-res-network-privatednszone/v0.4.2"},
    "identity": {"deployer": "avm-res-managedidentity-userassignedidentity/v0.3.4"},
    "keyvault": {"keyvault": "avm-res-keyvault-vault/v0.10.2"},
    "data": {
        "postgres": "avm-res-dbforpostgresql-flexibleserver/v0.1.5",
        "storage": "avm-res-storage-storageaccount/v0.6.4",
    },
    "app": {"plan": "avm-res-web-serverfarm/v1.0.0", "site": "avm-res-web-site/v0.19.1"},
    "monitoring": {
        "workspace": "avm-res-operationalinsights-workspace/v0.5.1",
        "insights": "avm-res-insights-component/v0.2.0",
    },
    "backup": {"vault": "avm-res-recoveryservices-vault/v0.3.2"},
}
"""The module calls of each kind of stack, in the order in which a market's pipeline deploys them."""


@dataclass(frozen=True)
class Release:
    """A release of the platform's modules, the day of its rollout (UTC), and the build that began it."""

    name: str
    day: str
    build: int


RELEASES = (
    Release("2026.09.2", "2026-09-22", 79510),
    Release("2026.10.1", "2026-10-08", 80120),
    Release("2026.11.1", "2026-11-05", 81010),
    Release("2026.11.3", "2026-11-19", 81640),
)
OLD_RELEASES = (Release("2025.01.1", "2025-01-21", 60140), Release("2025.03.2", "2025-03-11", 61980))
LAST, ONE_BEFORE = -1, -2


@dataclass(frozen=True)
class Deploy:
    """One deploy by the pipeline: when it ended (UTC), and the state as Terraform had written it then."""

    release: Release
    at: datetime
    build: int
    state: bytes

    def described(self) -> dict[str, Any]:
        head = json.loads(self.state)
        commit = hashlib.sha1(self.release.name.encode(), usedforsecurity=False).hexdigest()
        return {
            "lineage": head["lineage"],
            "serial": head["serial"],
            "release": self.release.name,
            "commit": commit,
            "deployed_at": written(self.at),
        }


class RootModule:
    """A stack's root module in a folder of its own, where Terraform keeps its state and, while it runs, its lock."""

    def __init__(self, home: Path, market: str, stack: str, workspace: str) -> None:
        self._home = home
        self._market = market
        self._stack = stack
        self._folder = home / market / stack
        self._folder.mkdir(parents=True)
        self._write("none", blocking=False)
        self._run("init", f"-backend-config=path={stack}.tfstate")
        self.state_file = self._folder / f"{stack}.tfstate"
        if workspace != "default":
            self._run("workspace", "new", workspace)
            self.state_file = self._folder / "terraform.tfstate.d" / workspace / "terraform.tfstate"

    def apply(self, release: str) -> None:
        self._write(release, blocking=False)
        self._run("apply", "-auto-approve", "-parallelism=1")

    def move(self, source: str, target: str) -> None:
        self._run("state", "mv", f"terraform_data.{source}", f"terraform_data.{target}")

    def apply_and_die(self, release: str) -> None:
        """Leaves what an apply has on disk while its last resource is being made: a part of the changes, and the lock."""
        self._write(release, blocking=True)
        self._kill("apply", "-auto-approve", "-parallelism=1", when=(self._folder / "blocked").exists)

    def await_approval_and_die(self, release: str) -> None:
        """Leaves the lock of an apply that nobody approved."""
        self._write(release, blocking=False)
        self._kill("apply", when=lambda: self.lock() is not None)

    def lock(self) -> dict[str, Any] | None:
        """What Terraform's local backend says beside the state of who holds it; None while it says nothing."""
        file = self.state_file.with_name(f".{self.state_file.name}.lock.info")
        try:
            described: dict[str, Any] = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return described

    def _write(self, release: str, *, blocking: bool) -> None:
        lines = ['terraform {\n  backend "local" {}\n}']
        for name, ref in STACKS[self._stack].items():
            values = f'{{ market = "{self._market}", release = "{release}", module = "{ref}" }}'
            lines.append(f'resource "terraform_data" "{name}" {{\n  input = {values}\n}}')
            lines.append(f'output "{name}_id" {{\n  value = terraform_data.{name}.id\n}}')
        if blocking:
            others = ", ".join(f"terraform_data.{name}" for name in STACKS[self._stack])
            command = f'    command = "touch blocked && sleep {COMMAND_LIMIT_SECONDS}"'
            lines.append(f'resource "terraform_data" "smoke_test" {{\n  depends_on = [{others}]')
            lines.append(f'  provisioner "local-exec" {{\n{command}\n  }}\n}}')
        (self._folder / "main.tf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            ["terraform", *arguments],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=COMMAND_LIMIT_SECONDS,
            check=True,
        )

    def _kill(self, *arguments: str, when: Callable[[], bool]) -> None:
        process = subprocess.Popen(
            ["terraform", *arguments],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + COMMAND_LIMIT_SECONDS
        try:
            while not when():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"terraform {' '.join(arguments)} never came to where it is killed")
                time.sleep(0.05)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _environment(self) -> dict[str, str]:
        """All that Terraform gets to see: none of the caller's own settings and credentials."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._home),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_ARGS": "-no-color",
        }


@dataclass(frozen=True, kw_only=True)
class Story:
    """What became of a stack: as it stands here, the pipeline deployed it and nobody has touched it since.

    ``tracker``, ``registry`` and ``state`` say of which deploy each is, None that it is not there; ``afterwards`` is what
    was done outside the pipeline. ``since`` names a snapshot of the state, which says when (UTC) its content was there
    already; ``lock`` replaces what Terraform's lock says of the machine and the moment of the build.
    """

    tracker: int | None = LAST
    registry: int | None = LAST
    state: int | None = LAST
    tracker_lacks: tuple[str, ...] = ()
    registry_lacks: tuple[str, ...] = ()
    tracker_is_cut_off: bool = False
    workspace: str = "default"
    encrypted: bool = False
    deployed_again_after: timedelta | None = None
    afterwards: Callable[[RootModule], None] | None = None
    since: str | None = None
    lock: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Market:
    """A market subscription, and the stories of those of its stacks that have one of their own.

    ``window`` is the time of day (UTC) at which its deploys begin. A market without a registry record has no ``name``.
    """

    key: str
    name: str | None
    team: str = "emea"
    time_zone: str = "Etc/UTC"
    window: str = "04:30"
    releases: tuple[Release, ...] = RELEASES
    container: str | None = None
    stacks: tuple[str, ...] = tuple(STACKS)
    usual: Story = Story()
    stories: Mapping[str, Story] = field(default_factory=dict)
    stacks_are_a_list: bool = False

    @property
    def subscription_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.key}.contoso.example"))


class Builder:
    """Lives each market's stories through with Terraform, and writes what trueup reads of them."""

    def __init__(self, root: Path, home: Path) -> None:
        self._root = root
        self._home = home

    def build(self, market: Market) -> None:
        entries = {name: self._stack(market, name, market.stories.get(name, market.usual)) for name in market.stacks}
        registered = {name: entry for name, entry in entries.items() if entry is not None}
        if market.name is None:
            return
        stacks = [{"name": name, **entry} for name, entry in registered.items()]
        record = {
            "schema_version": 1,
            "market": market.key,
            "subscription_id": market.subscription_id,
            "name": market.name,
            "owner": f"platform-{market.team}@contoso.example",
            "time_zone": market.time_zone,
            "stacks": stacks if market.stacks_are_a_list else registered,
        }
        self._write(f"registry/{market.key}/subscription.json", as_json(record))

    def _stack(self, market: Market, name: str, story: Story) -> dict[str, Any] | None:
        """Lives one stack's story through; its registry entry is returned, None where it has none."""
        module = RootModule(self._home, market.key, name, story.workspace)
        deploys = [self._deployed(market, name, release, module, story) for release in market.releases]
        if story.deployed_again_after:
            again = self._deployed(market, name, market.releases[LAST], module, story)
            assert again.state == deploys[LAST].state, "a deploy that changes nothing leaves the state as it is"
            deploys.append(replace(again, at=again.at + story.deployed_again_after))
        if story.tracker is not None:
            tracker = as_json(tracker_of(market, name, deploys[story.tracker], story.tracker_lacks))
            whole = len(tracker) // 3 if story.tracker_is_cut_off else len(tracker)
            self._write(f"trackers/{market.key}/{name}.json", tracker[:whole])
        if story.state is not None:
            module.state_file.write_bytes(deploys[story.state].state)
            if story.afterwards:
                story.afterwards(module)
            self._publish_state(market, name, story, module)
        if story.registry is None:
            return None
        return registry_entry_of(market, name, deploys[story.registry], story)

    def _deployed(self, market: Market, name: str, release: Release, module: RootModule, story: Story) -> Deploy:
        module.apply(release.name)
        nth = market.stacks.index(name)
        begun_at = datetime.fromisoformat(f"{release.day}T{market.window}").replace(tzinfo=UTC)
        state = module.state_file.read_bytes()
        return Deploy(
            release=release,
            at=begun_at + timedelta(minutes=4 * nth, seconds=7 * nth),
            build=release.build + 10 * MARKETS.index(market) + nth,
            state=encrypt_as_opentofu_does(state) if story.encrypted else state,
        )

    def _publish_state(self, market: Market, name: str, story: Story, module: RootModule) -> None:
        container = market.container or "tfstate"
        blob = f"{market.key}/{name}.tfstate"
        if story.workspace != "default":
            blob += f"env:{story.workspace}"
        state = module.state_file.read_bytes()
        self._write(f"{container}/{blob}", state)
        if story.since:
            self._write(f"{container}/.snapshots/{blob}@{story.since}", state)
        if story.lock:
            left = module.lock()
            assert left, "a Terraform that is killed leaves its lock"
            lock = left | {"Path": f"{name}.tfstate"} | dict(story.lock)
            self._write(f"{container}/{market.key}/.{name}.tfstate.lock.info", compact_json(lock))

    def _write(self, name: str, content: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def tracker_of(market: Market, stack: str, deploy: Deploy, lacks: tuple[str, ...]) -> dict[str, Any]:
    record = {
        "schema_version": 1,
        "market": market.key,
        "stack": stack,
        "subscription_id": market.subscription_id,
        **deploy.described(),
        "state_md5": hashlib.md5(deploy.state, usedforsecurity=False).hexdigest(),
        "run_id": f"{deploy.at:%Y%m%d}.{1 + market.stacks.index(stack)}",
        "run_url": f"{RUNS}{deploy.build}",
        "deployed_by": "pipeline",
        "terraform_version": json.loads(deploy.state).get("terraform_version"),
        "modules": [{"name": name, "source": MODULES + ref} for name, ref in STACKS[stack].items()],
    }
    return {name: value for name, value in record.items() if value is not None and name not in lacks}


def registry_entry_of(market: Market, stack: str, deploy: Deploy, story: Story) -> dict[str, Any]:
    location = {
        "key": f"{market.key}/{stack}.tfstate",
        "workspace": story.workspace,
        "container": market.container,
        "account_url": None,
    }
    described = {name: value for name, value in deploy.described().items() if name not in story.registry_lacks}
    return {"state": location, **described}


def encrypt_as_opentofu_does(state: bytes) -> bytes:
    """The state as OpenTofu's `aes_gcm` method with a `pbkdf2` key provider of its default settings would store it.

    Source: opentofu/opentofu, ``internal/encryption/base.go``, ``state.go``, ``keyprovider/pbkdf2`` and ``method/aesgcm``.
    Salt and nonce are drawn from the state where OpenTofu draws them at random, so that the same state gives the same
    bytes; with a passphrase that is in print, nothing is lost by it.
    """
    salt = hashlib.sha256(b"salt" + state).digest()
    nonce = hashlib.sha256(b"nonce" + state).digest()[:12]
    key = PBKDF2HMAC(hashes.SHA512(), length=32, salt=salt, iterations=600_000).derive(b"an example and no secret")
    head = json.loads(state)
    meta = {"salt": in_base64(salt), "iterations": 600_000, "hash_function": "sha512", "key_length": 32}
    stored = {
        "serial": head["serial"],
        "lineage": head["lineage"],
        "meta": {"key_provider.pbkdf2.platform": in_base64(compact_json(meta))},
        "encrypted_data": in_base64(nonce + AESGCM(key).encrypt(nonce, state, None)),
        "encryption_version": "v0",
    }
    return compact_json(stored)


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def compact_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def as_json(record: object) -> bytes:
    return (json.dumps(record, indent=2) + "\n").encode()


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def move_and_apply(module: RootModule) -> None:
    module.move("keyvault", "vault")
    module.apply("2026.11.3")


def apply_hotfix(module: RootModule) -> None:
    module.apply("2026.11.3-hotfix")


def make_anew(module: RootModule) -> None:
    module.state_file.unlink()
    module.apply("2026.11.3")


HAS_TIME_ALONE = ("serial", "lineage")
HAS_NO_DEPLOY = ("serial", "lineage", "deployed_at")
EARLY_TRACKER = ("serial", "lineage", "state_md5")
MARKETS = (
    Market(
        key="br",
        name="Brazil production",
        team="americas",
        time_zone="America/Sao_Paulo",
        window="07:30",
        container="tfstate-br",
        stories={
            "network": Story(afterwards=make_anew),
            "app": Story(state=None),
            "data": Story(registry=ONE_BEFORE, afterwards=apply_hotfix, since="2026-11-23T11:18:00Z"),
            "backup": Story(
                tracker=None, state=None, registry_lacks=("serial", "lineage", "release", "commit", "deployed_at")
            ),
        },
    ),
    Market(
        key="de",
        name="Germany production",
        time_zone="Europe/Berlin",
        stories={
            "keyvault": Story(afterwards=move_and_apply, since="2026-11-21T22:47:00Z"),
            "app": Story(
                afterwards=lambda module: module.apply_and_die("2026.11.4"),
                since="2026-11-24T05:49:00Z",
                lock={"Who": "AzDevOps@agent-7", "Created": "2026-11-24T05:48:21.407315926Z"},
            ),
        },
    ),
    Market(
        key="emea/es",
        name="Spain production",
        time_zone="Europe/Madrid",
        stories={
            "app": Story(workspace="prod"),
            "data": Story(state=ONE_BEFORE, afterwards=apply_hotfix, since="2026-11-22T09:31:00Z"),
            "monitoring": Story(registry_lacks=("serial",)),
        },
    ),
    Market(
        key="emea/fr",
        name="France production",
        time_zone="Europe/Paris",
        stories={
            "keyvault": Story(encrypted=True),
            "app": Story(state=ONE_BEFORE, since="2026-11-20T16:05:00Z"),
            "monitoring": Story(tracker_is_cut_off=True),
        },
    ),
    Market(
        key="emea/it",
        name="Italy production",
        time_zone="Europe/Rome",
        container="tfstate-it",
        stacks=("network", "keyvault", "app"),
        stacks_are_a_list=True,
    ),
    Market(
        key="in",
        name="India production",
        team="apac",
        time_zone="Asia/Kolkata",
        window="21:30",
        usual=Story(tracker=None),
        stories={
            "keyvault": Story(tracker_lacks=EARLY_TRACKER),
            "app": Story(tracker=None, afterwards=apply_hotfix, since="2026-11-20T08:55:00Z"),
            "data": Story(tracker=None, state=ONE_BEFORE, since="2026-11-23T02:10:00Z"),
        },
    ),
    Market(
        key="pt",
        name=None,
        stacks=("network",),
        releases=RELEASES[:-1],
        usual=Story(registry=None),
    ),
    Market(
        key="uk",
        name="United Kingdom production",
        time_zone="Europe/London",
        stories={
            "network": Story(tracker=ONE_BEFORE),
            "dns": Story(tracker=None, registry=None),
            "keyvault": Story(tracker=ONE_BEFORE, state=ONE_BEFORE),
            "data": Story(registry=ONE_BEFORE),
            "app": Story(registry=ONE_BEFORE, state=ONE_BEFORE),
            "monitoring": Story(
                afterwards=lambda module: module.await_approval_and_die("2026.11.4"),
                lock={"Who": "AzDevOps@agent-3", "Created": "2026-11-22T17:40:02.118204773Z"},
            ),
        },
    ),
    Market(
        key="za",
        name="South Africa production",
        team="apac",
        time_zone="Africa/Johannesburg",
        releases=OLD_RELEASES,
        stacks=("network", "identity", "keyvault", "data", "app"),
        stories={
            "network": Story(tracker=None, registry_lacks=HAS_TIME_ALONE, since="2025-03-11T04:29:12Z"),
            "identity": Story(tracker_lacks=EARLY_TRACKER, registry_lacks=HAS_NO_DEPLOY, since="2025-03-11T04:33:40Z"),
            "keyvault": Story(tracker=None, registry_lacks=HAS_NO_DEPLOY),
            "data": Story(
                tracker=None,
                registry_lacks=HAS_TIME_ALONE,
                deployed_again_after=timedelta(days=29),
                since="2025-03-11T04:41:55Z",
            ),
            "app": Story(
                tracker=None,
                registry_lacks=HAS_TIME_ALONE,
                afterwards=lambda module: module.apply("2025.03.2-hotfix"),
                since="2025-04-21T13:26:00Z",
            ),
        },
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds an estate on disk with the real Terraform.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "estate", metavar="DIR")
    parser.add_argument("--replace", action="store_true", help="delete the containers that are in DIR, and build anew")
    arguments = parser.parse_args()
    root: Path = arguments.folder
    present = [root / name for name in (*CONTAINERS, "tables") if (root / name).exists()]
    if present and not arguments.replace:
        parser.error(f"{', '.join(map(str, present))} would be overwritten; --replace builds them anew")
    for folder in present:
        shutil.rmtree(folder)
    with tempfile.TemporaryDirectory() as home:
        builder = Builder(root, Path(home))
        for market in MARKETS:
            builder.build(market)


if __name__ == "__main__":
    main()
