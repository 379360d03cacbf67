"""A cloud that a test can click in, and the provider through which the real Terraform manages it.

`make_sim_cloud(folder)` makes an empty cloud, a filesystem mirror that holds the provider, and the CLI configuration that
names the mirror. Stacks get `SimCloud.environment`, root modules start with `using_azsim()`. Every method that changes the
cloud is somebody in the portal, a policy of Azure's or a script: no record of ours knows of it.

A resource is named by its id, or by its type and its name in the cloud: `azsim_key_vault.kv-de`. `id_in_state` gives the id
of any address.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from zipfile import ZipFile, ZipInfo

from tests.world.azsim.cloud_file import CloudFile
from tests.world.azsim.kinds import DEFAULT_SUBSCRIPTION, EMPTY_CLOUD, KIND_OF, OLD_VERSION, JsonObject, new_secret
from tests.world.certificates import make_certificate

SOURCE: Final = "example.test/sim/azsim"
Operation = Literal["create", "read", "update", "delete"]

_ROOT: Final = Path(__file__).parents[2]
_POLL_SECONDS: Final = 0.02
_MACHINES: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}

# Without `site` and its .pth files the process is there a tenth sooner.
_LAUNCHER: Final = """#!{python} -IS
import sys
sys.path += {paths!r}
from pathlib import Path
from tests.world.azsim.serve import serve
serve({version!r}, default_cloud=Path({cloud!r}), certificate_file=Path({certificate!r}), key_file=Path({key!r}))
"""
_CLI_CONFIGURATION: Final = """provider_installation {{
  filesystem_mirror {{
    path    = {mirror}
    include = ["example.test/*/*"]
  }}
}}
"""


class NoSuchResourceError(LookupError):
    """No resource, or more than one, is what a test said it would click on."""


@dataclass(frozen=True, slots=True)
class SimCloud:
    """The cloud, and the folder with all that Terraform needs to reach it."""

    folder: Path
    file: CloudFile

    @property
    def cli_config_file(self) -> Path:
        return self.folder / "terraform.rc"

    @property
    def environment(self) -> dict[str, str]:
        """What Terraform needs beside its own environment. The mirrored provider knows where the cloud is."""
        return {"TF_CLI_CONFIG_FILE": str(self.cli_config_file)}

    def release(self, version: str, *, packed: bool = False) -> None:
        """Put one more version of the provider into the mirror; `init -upgrade` takes it where the constraint allows.

        Terraform links to what is in the mirror, and unpacks what is packed: only then is a plugin cache written to.
        """
        target = f"{platform.system().lower()}_{_MACHINES.get(platform.machine(), platform.machine())}"
        name = f"terraform-provider-azsim_v{version}"
        text = _LAUNCHER.format(
            python=sys.executable,
            paths=[str(_ROOT), *(path for path in sys.path if path.endswith("-packages"))],
            version=version,
            cloud=str(self.file.path),
            certificate=str(self.folder / "cert.pem"),
            key=str(self.folder / "key.pem"),
        )
        folder = self.folder / "mirror" / SOURCE
        if packed:
            folder.mkdir(parents=True, exist_ok=True)
            with ZipFile(folder / f"terraform-provider-azsim_{version}_{target}.zip", "w") as archive:
                entry = ZipInfo(name)
                entry.external_attr = 0o100755 << 16
                archive.writestr(entry, text)
        else:
            launcher = folder / version / target / name
            launcher.parent.mkdir(parents=True)
            launcher.write_text(text, encoding="utf-8")
            launcher.chmod(0o755)

    def bytes(self) -> bytes:
        """Return the file as it is, so that a test can say that not a byte changed."""
        return self.file.path.read_bytes()

    def snapshot(self) -> JsonObject:
        """Return every resource's attributes by id."""
        return {id_: resource["attributes"] for id_, resource in self.file.read()["resources"].items()}

    def attributes(self, resource: str) -> JsonObject:
        attributes: JsonObject = self.snapshot()[self.id_of(resource)]
        return attributes

    def id_of(self, resource: str) -> str:
        """Raise NoSuchResourceError where the resource is not there, or its name is not enough to tell it."""
        return _find(self.file.read(), resource)

    def change(self, resource: str, **attributes: Any) -> str:
        """Set attributes, blocks as lists of objects; return the id."""
        with self.file.edit() as cloud:
            found = _find(cloud, resource)
            _set(cloud["resources"][found], attributes)
        return found

    def delete(self, resource: str) -> str:
        with self.file.edit() as cloud:
            found = _find(cloud, resource)
            del cloud["resources"][found]
        return found

    def add(self, resource_type: str, /, *, subscription: str = DEFAULT_SUBSCRIPTION, **attributes: Any) -> str:
        """Make a resource that no state knows, as somebody would in the portal; return its id."""
        kind = KIND_OF[resource_type]
        _check_names(resource_type, attributes)
        made = {**dict.fromkeys(kind.names), **kind.defaults(OLD_VERSION), **attributes}
        made |= {name: make(made) for name, make in kind.computed.items()}
        added = kind.id_of(made, subscription)
        with self.file.edit() as cloud:
            assert added not in cloud["resources"], added
            cloud["resources"][added] = {"type": resource_type, "attributes": made}
        return added

    def tag_everything(self, tag: str, value: str = "set-by-policy") -> list[str]:
        """Set a tag on all that can have one, as a policy with the effect `modify` would; return the ids."""
        with self.file.edit() as cloud:
            tagged = [id_ for id_, found in cloud["resources"].items() if KIND_OF[found["type"]].has_tags]
            for id_ in tagged:
                tags = cloud["resources"][id_]["attributes"].get("tags") or {}
                _set(cloud["resources"][id_], {"tags": {**tags, tag: value}})
        return tagged

    def rotate_secret(self, resource: str) -> str:
        """Replace the resource's sensitive attribute (key, value or shared key) by a new one, and return that."""
        rotated = new_secret()
        with self.file.edit() as cloud:
            found = _find(cloud, resource)
            kind = KIND_OF[cloud["resources"][found]["type"]]
            (name,) = kind.sensitive
            _set(cloud["resources"][found], {name: rotated})
        return rotated

    def secrets(self) -> frozenset[str]:
        """Return all that is in a sensitive attribute now, so that a test can look for it where it must not be."""
        return frozenset(_secrets(self.file.read()["resources"].values()))

    def move_data_source(self, data_source: str, **attributes: str) -> None:
        with self.file.edit() as cloud:
            known = cloud["data_sources"][data_source]
            assert attributes.keys() <= known.keys(), attributes
            known.update(attributes)

    def fail(self, resource: str, operation: Operation, message: str) -> None:
        """Let every such operation on the resource end in an error with this message, until `recover`.

        A resource that is not there yet is named by its id.
        """
        with self.file.edit() as cloud:
            found = resource if resource.startswith("/") else _find(cloud, resource)
            cloud["faults"].setdefault(found, {})[operation] = message

    def recover(self) -> None:
        with self.file.edit() as cloud:
            cloud["faults"].clear()

    def provisioning(self) -> list[str]:
        """Return the ids of slow resources whose create or update is not over, or never will be."""
        resources = self.file.read()["resources"]
        return [id_ for id_, found in resources.items() if found.get("provisioning_state") == "Updating"]

    def wait_until_provisioning(self, limit_seconds: float = 30.0) -> str:
        """Wait for a slow create or update to begin: the moment to kill. Raise TimeoutError after the limit."""
        end = time.monotonic() + limit_seconds
        while time.monotonic() < end:
            if found := self.provisioning():
                return found[0]
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"nothing began within {limit_seconds} s")


def make_sim_cloud(folder: Path, *, packed: bool = False) -> SimCloud:
    """Make an empty cloud and a mirror with the provider's first version in `folder`, which is made if need be.

    The path of the Python that runs this is the provider's first line, and may have no spaces in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    make_certificate(folder)
    made = SimCloud(folder, CloudFile(folder / "cloud.json"))
    made.file.create(dict(EMPTY_CLOUD))
    made.release(OLD_VERSION, packed=packed)
    made.cli_config_file.write_text(
        _CLI_CONFIGURATION.format(mirror=json.dumps(str(folder / "mirror"))), encoding="utf-8"
    )
    return made


def using_azsim(version: str = OLD_VERSION, **configuration: str) -> str:
    """Return the blocks with which a root module uses the provider: `subscription_id`, `client_secret`, `cloud`."""
    settings = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in configuration.items())
    requirement = f'azsim = {{ source = "{SOURCE}", version = "{version}" }}'
    return f'terraform {{\n  required_providers {{\n    {requirement}\n  }}\n}}\nprovider "azsim" {{\n{settings}}}\n'


def id_in_state(state: Mapping[str, Any], address: str) -> str:
    """Return the id of a managed resource by its address; `state` is as `terraform state pull` gives it."""
    for resource in state["resources"]:
        for instance in resource["instances"]:
            if _address(resource, instance) == address:
                return str(instance["attributes"]["id"])
    raise NoSuchResourceError(address)


def _address(resource: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    prefix = f"{resource['module']}." if "module" in resource else ""
    index = f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
    data = "data." if resource["mode"] == "data" else ""
    return f"{prefix}{data}{resource['type']}.{resource['name']}{index}"


def _find(cloud: JsonObject, resource: str) -> str:
    resources: JsonObject = cloud["resources"]
    if resource in resources:
        return resource
    resource_type, _, name = resource.partition(".")
    found = [
        id_ for id_, one in resources.items() if (one["type"], one["attributes"].get("name")) == (resource_type, name)
    ]
    if len(found) != 1:
        raise NoSuchResourceError(f"{resource} is {found or 'not'} among {sorted(resources)}")
    return found[0]


def _set(resource: JsonObject, attributes: Mapping[str, Any]) -> None:
    """Change what depends on the attributes too: a secret with another value has another version."""
    _check_names(resource["type"], attributes)
    kind, now = KIND_OF[resource["type"]], resource["attributes"]
    now.update(attributes)
    for name in (name for changed in attributes for name in kind.recomputed.get(changed, ())):
        now[name] = kind.computed[name](now)


def _check_names(resource_type: str, attributes: Mapping[str, Any]) -> None:
    unknown = attributes.keys() - set(KIND_OF[resource_type].names)
    assert not unknown, f"{resource_type} has no {sorted(unknown)}"


def _secrets(resources: Iterable[JsonObject]) -> Iterator[str]:
    for resource in resources:
        kind, attributes = KIND_OF[resource["type"]], resource["attributes"]
        for name in kind.sensitive:
            value = attributes.get(name)
            yield from value.values() if isinstance(value, dict) else () if value is None else (value,)
        for block in kind.blocks:
            names = [attribute.name for attribute in block.attributes if attribute.sensitive]
            yield from (one[name] for one in attributes.get(block.name) or () for name in names)
