"""What Terraform leaves in a folder, and what of it may be shown."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from adapters.module_pins import read_modules
from adapters.terraform_backend import AzurermBackend, LocalBackend, OtherBackend, read_backend
from adapters.terraform_modules import installed_modules, manifest_of
from adapters.terraform_secrets import is_state_or_plan
from records.errors import BundleError
from records.module_sources import holds_credential, masked_source
from records.tracker import ModulePin

SECRET = "s3cr3t"

ROOT = {"Key": "", "Source": "", "Dir": "."}
STATE = {"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "a", "outputs": {}, "resources": []}
PLAN = {"format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {}, "resource_changes": []}


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def put_modules(folder: Path, *records: dict[str, str]) -> None:
    put(folder / ".terraform/modules/modules.json", {"Modules": list(records)})


def put_backend(folder: Path, backend: object) -> None:
    put(folder / ".terraform/terraform.tfstate", {"version": 3, "serial": 1, "lineage": "b", "backend": backend})


def zip_with(member: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(member, "x")
    return packed.getvalue()


def test_a_folder_that_was_never_initialised_has_no_modules_and_no_backend(tmp_path: Path) -> None:
    assert (read_modules(tmp_path), read_backend(tmp_path)) == ((), None)


def test_modules_are_by_name_with_a_version_where_a_registry_gave_one(tmp_path: Path) -> None:
    put_modules(
        tmp_path,
        {"Key": "vault.roles", "Source": "./roles", "Dir": "modules/vault/roles"},
        ROOT,
        {"Key": "hub", "Source": "registry.terraform.io/a/b/azurerm", "Version": "1.2.3", "Dir": ".terraform/modules/hub"},
        {"Key": "vault", "Source": "./modules/vault", "Dir": "modules/vault"},
    )  # fmt: skip
    assert read_modules(tmp_path) == (
        ModulePin(name="hub", source="registry.terraform.io/a/b/azurerm", version="1.2.3"),
        ModulePin(name="vault", source="./modules/vault"),
        ModulePin(name="vault.roles", source="./roles"),
    )


def test_the_manifest_is_the_same_in_whatever_order_terraform_wrote_it(tmp_path: Path) -> None:
    records = [
        ROOT,
        {"Key": "a", "Source": "./a", "Dir": "a"},
        {"Key": "b", "Source": "x/y/z", "Version": "1.0.0", "Dir": "b"},
    ]
    written = set()
    for order in (records, records[::-1]):
        put_modules(tmp_path, *order)
        written.add(manifest_of(installed_modules(tmp_path)))
    (manifest,) = written
    assert json.loads(manifest) == {"Modules": records}


def test_a_local_module_behind_an_absolute_link_is_named_from_the_root_module(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    put_modules(tmp_path / "root", {"Key": "a", "Source": "./a", "Dir": str(tmp_path / "shared/a")})
    (module,) = installed_modules(tmp_path / "root")
    assert module.folder == "../shared/a"


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"Modules": [{"Key": 1}]}', '{"Modules": [{"Key": "a", "Source": "' + SECRET + '"}]}'],
    ids=["cut off", "no object", "a key of another type", "a record without a folder"],
)
def test_a_manifest_that_cannot_be_read_says_what_to_run_and_shows_nothing_of_it(content: str, tmp_path: Path) -> None:
    put(tmp_path / ".terraform/modules/modules.json", content)
    with pytest.raises(BundleError, match=r"modules\.json: .*terraform init") as raised:
        read_modules(tmp_path)
    assert SECRET not in str(raised.value)


def test_a_manifest_that_is_a_pipe_is_an_error_and_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / ".terraform/modules").mkdir(parents=True)
    os.mkfifo(tmp_path / ".terraform/modules/modules.json")
    with pytest.raises(BundleError, match=r"modules\.json: it is a pipe"):
        read_modules(tmp_path)


def test_a_name_too_long_for_a_tracker_is_an_error_that_shows_no_source(tmp_path: Path) -> None:
    put_modules(tmp_path, {"Key": "a" * 5000, "Source": f"git::https://{SECRET}@h/r", "Dir": "a"})
    with pytest.raises(BundleError, match="longer than a tracker holds") as raised:
        read_modules(tmp_path)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "masked"),
    [
        pytest.param(f"git::https://{SECRET}@h/r.git", "git::https://***@h/r.git", id="a token as the user"),
        pytest.param(f"https://u:{SECRET}@h/m.zip", "https://***@h/m.zip", id="a user and a password"),
        pytest.param(f"git::https://:{SECRET}@h/r", "git::https://***@h/r", id="a password alone"),
        pytest.param(f"git::https://git:{SECRET}@h/r", "git::https://***@h/r", id="the user git with a password"),
        pytest.param(f"git::ssh://git:{SECRET}@h/r", "git::ssh://***@h/r", id="ssh with a password"),
        pytest.param(f"git::HTTPS://a@b:{SECRET}@h/r", "git::HTTPS://***@h/r", id="an at sign in the user"),
        pytest.param(
            f"git::ssh://git@h/r//s?ref=v1&sshkey={SECRET}&depth=1",
            "git::ssh://git@h/r//s?ref=v1&sshkey=***&depth=1",
            id="a key in the query",
        ),
        pytest.param(
            f"s3::https://h/m.zip?aws_access_key_secret={SECRET}&version=3",
            "s3::https://h/m.zip?aws_access_key_secret=***&version=3",
            id="an access key in the query",
        ),
        pytest.param(f"https://h/m.zip?sv=1&sig={SECRET}", "https://h/m.zip?sv=***&sig=***", id="a signed URL"),
        pytest.param(f"https://h/m.zip?{SECRET}", "https://h/m.zip?***", id="a query that is only a token"),
        pytest.param(f"https://h/m.zip?ref={SECRET}", "https://h/m.zip?ref=***", id="a ref of no repository"),
        pytest.param(
            f"git::https://u:p/{SECRET}@h/r?ref=v1", "git::https://***@h/r?ref=v1", id="a slash in the password"
        ),
        pytest.param(f"git::https://u:p?{SECRET}@h/r", "git::https://***@h/r", id="a question mark in the password"),
        pytest.param(f"git::https://u:{SECRET}/r", "git::https://u:***/r", id="a password before no host"),
        pytest.param(f"git::https:/u:{SECRET}@h/r", "git::https:/***@h/r", id="a slash that is missing"),
        pytest.param(f"https:u:{SECRET}@h/r", "https:***@h/r", id="both slashes missing"),
        pytest.param(f"u:{SECRET}@github.com/o/r", "***@github.com/o/r", id="no scheme"),
        pytest.param(f"git::{SECRET}@github.com:o/r", "git::***@github.com:o/r", id="a token as the user of scp"),
        pytest.param(
            f"git::ssh://{SECRET}@github.com/o/r", "git::ssh://***@github.com/o/r", id="a token as the user of ssh"
        ),
        pytest.param(f"git::http://h//u:{SECRET}@x", "git::http://***@x", id="behind a subfolder's mark"),
        pytest.param(f"github.com/o/r#{SECRET}?ref=v1", "github.com/o/r#***", id="a fragment"),
        pytest.param(
            f"git::https://h/r?ref=kv/v1.2.3;token={SECRET}",
            "git::https://h/r?ref=***",
            id="another argument in the ref",
        ),
        pytest.param(
            f"git::https://h/r?ref=kv/v1%3Btoken%3D{SECRET}",
            "git::https://h/r?ref=***",
            id="one that is percent-encoded",
        ),
    ],
)
def test_a_credential_in_a_source_is_masked(source: str, masked: str) -> None:
    assert masked_source(source) == masked
    assert SECRET not in masked


@pytest.mark.parametrize(
    "source",
    [
        "./modules/vault",
        "../../modules/vault",
        "registry.terraform.io/Azure/avm-res-keyvault-vault/azurerm//modules/key",
        "git@github.com:a/b.git",
        "git::ssh://git@github.com/a/b.git//sub?ref=v1.0.0",
        "git::ssh://org@vs-ssh.visualstudio.com/v3/org/p/r?depth=1",
        "git::https://org@dev.azure.com/org/p/_git/r?ref=v1",
        "git::https://github.com/a/b.git?ref=user@example.com",
        "git::org@vs-ssh.visualstudio.com:v3/Org/p/r",
        "git::ssh://git@ssh.dev.azure.com:v3/org/p/r",
        "git::https://h/r?ref=kv@v1.2.3-rc.1%2Bbuild",
        "gcs::https://www.googleapis.com/storage/v1/b/m.zip#1234",
        "b.s3.amazonaws.com/m.zip?version=a_b.c",
        "oci://h/r?tag=1.2.3",
        "oci://h/r?digest=sha256:00",
        "https://example.com/m.zip?archive=zip&checksum=md5:00&filename=m",
        "hg::https://example.com/m?rev=3",
        "file:///srv/modules/a",
    ],
)
def test_a_source_without_a_credential_is_as_it_was_written(source: str) -> None:
    assert masked_source(source) == source


@pytest.mark.parametrize(
    ("workspace", "expected"),
    [(None, None), ("default", None), ("", None), ("prod\n", "prod")],
    ids=["never selected", "the default one", "an empty file", "another one"],
)
def test_the_backend_is_the_account_the_container_the_key_and_the_workspace(
    workspace: str | None, expected: str | None, tmp_path: Path
) -> None:
    config = {
        "storage_account_name": "acct",
        "container_name": "tfstate",
        "key": "de/network.tfstate",
        "access_key": SECRET,
        "sas_token": None,
    }
    put_backend(tmp_path, {"type": "azurerm", "config": config, "hash": 1})
    if workspace is not None:
        put(tmp_path / ".terraform/environment", workspace)
    backend = read_backend(tmp_path)
    assert backend == AzurermBackend(
        storage_account_name="acct", container="tfstate", key="de/network.tfstate", workspace=expected
    )
    assert SECRET not in repr(backend)


def test_a_folder_without_a_backend_says_nothing(tmp_path: Path) -> None:
    put_backend(tmp_path, None)
    assert read_backend(tmp_path) is None


def test_a_backend_of_another_type_is_named(tmp_path: Path) -> None:
    put_backend(tmp_path, {"type": "s3", "config": {}})
    assert read_backend(tmp_path) == OtherBackend(type="s3")


def test_the_workspace_that_the_environment_names_goes_before_the_selected_one(tmp_path: Path) -> None:
    put_backend(tmp_path, {"type": "azurerm", "config": {"container_name": "tfstate", "key": "k"}})
    put(tmp_path / ".terraform/environment", "dev")
    backend = read_backend(tmp_path, workspace="prod")
    assert isinstance(backend, AzurermBackend)
    assert backend.workspace == "prod"
    default = read_backend(tmp_path, workspace="default")
    assert isinstance(default, AzurermBackend)
    assert default.workspace is None


@pytest.mark.parametrize(
    "content",
    [
        '{"backend": {"type": "azurerm", "config": {"access_key": "' + SECRET + '"',
        '{"backend": {"type": "azurerm", "config": {"access_key": "' + SECRET + '"}}}',
        '{"backend": {"config": {"access_key": "' + SECRET + '"}}}',
    ],
    ids=["cut off", "without a container", "without a type"],
)
def test_a_backend_that_cannot_be_read_says_what_to_run_and_shows_no_key(content: str, tmp_path: Path) -> None:
    put(tmp_path / ".terraform/terraform.tfstate", content)
    with pytest.raises(BundleError, match=r"terraform\.tfstate: .*terraform init") as raised:
        read_backend(tmp_path)
    assert SECRET not in str(raised.value)


def test_a_file_in_the_way_of_the_manifest_is_an_error_and_not_its_absence(tmp_path: Path) -> None:
    (tmp_path / ".terraform/modules/modules.json").mkdir(parents=True)
    with pytest.raises(BundleError, match="cannot be read"):
        read_modules(tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(json.dumps(STATE).encode(), True, id="a state"),
        pytest.param(json.dumps(STATE, indent=2, sort_keys=True).encode(), True, id="a state sorted by jq"),
        pytest.param(json.dumps(STATE).encode()[:90], True, id="a state that was cut off"),
        pytest.param(json.dumps(PLAN).encode(), True, id="a plan's JSON"),
        pytest.param(json.dumps(PLAN).encode("utf-16"), True, id="a plan's JSON as PowerShell redirects it"),
        pytest.param(b"\xef\xbb\xbf\n" + json.dumps(PLAN).encode(), True, id="a plan's JSON behind a byte-order mark"),
        pytest.param(b'{"format_version": "1.0", "terraform_version": "1.11.4", "values": {}}', True, id="a state as JSON"),
        pytest.param(b'{"encrypted_data": "x", "encryption_version": "v0"}', True, id="a state that OpenTofu encrypted"),
        pytest.param(zip_with("tfplan"), True, id="a plan file"),
        pytest.param(zip_with("main.py"), False, id="a zip of something else"),
        pytest.param(b"PK\x03\x04 and no more", False, id="a zip that is none"),
        pytest.param(b'{"format_version": "1.0", "valid": true}', False, id="what validate says"),
        pytest.param(b'{"version": 4, "serial": 1}', False, id="JSON with some of the keys"),
        pytest.param(json.dumps({"a": STATE}).encode(), False, id="JSON with the keys further in"),
        pytest.param(b'{"a": ' * 5000, False, id="JSON that is nested too deep"),
        pytest.param(b'resource "a" "b" {}', False, id="configuration"),
        pytest.param(b"", False, id="nothing"),
    ],
)  # fmt: skip
def test_a_state_or_plan_is_known_by_what_it_holds(content: bytes, expected: bool, tmp_path: Path) -> None:
    path = tmp_path / "any.name"
    path.write_bytes(content)
    assert is_state_or_plan(path) is expected


@pytest.mark.parametrize(
    ("config", "workspace", "path"),
    [
        pytest.param({"path": None}, "default", "terraform.tfstate", id="its default"),
        pytest.param({"path": "../states/de/app.tfstate"}, "", "../states/de/app.tfstate", id="a path"),
        pytest.param({"path": "x.tfstate"}, "dev", "terraform.tfstate.d/dev/terraform.tfstate", id="a workspace"),
        pytest.param({"workspace_dir": "ws"}, "dev", "ws/dev/terraform.tfstate", id="a workspace in a folder"),
    ],
)
def test_a_local_backend_s_state_is_where_terraform_puts_it(
    config: dict[str, Any], workspace: str, path: str, tmp_path: Path
) -> None:
    put_backend(tmp_path, {"type": "local", "config": config})
    put(tmp_path / ".terraform/environment", workspace)
    assert read_backend(tmp_path) == LocalBackend(path=tmp_path / path)


def test_the_constraint_of_a_registrys_module_is_what_its_caller_asks_for(tmp_path: Path) -> None:
    put(tmp_path / "main.tf", 'module "kv" {\n  source = "Azure/kv/azurerm"\n  version = "1.0.0"\n}\n')
    put(tmp_path / "override.tf", 'module "kv" {\n  version = "~> 1.0"\n}\n')
    put(
        tmp_path / ".terraform/modules/kv/main.tf.json",
        '{"module": {"roles": {"source": "Azure/roles/azurerm", "version": ">= 2.0"}, "none": {"source": "Azure/x/azurerm"}}}',
    )
    registry = "registry.terraform.io/Azure"
    put_modules(
        tmp_path,
        {"Key": "kv", "Source": f"{registry}/kv/azurerm", "Version": "1.4.0", "Dir": ".terraform/modules/kv"},
        {
            "Key": "kv.roles",
            "Source": f"{registry}/roles/azurerm",
            "Version": "2.1.0",
            "Dir": ".terraform/modules/kv.roles",
        },
        {"Key": "kv.none", "Source": f"{registry}/x/azurerm", "Version": "3.0.0", "Dir": ".terraform/modules/kv.none"},
    )
    assert {pin.name: (pin.version, pin.constraint) for pin in read_modules(tmp_path)} == {
        "kv": ("1.4.0", "~> 1.0"),
        "kv.roles": ("2.1.0", ">= 2.0"),
        "kv.none": ("3.0.0", None),
    }


def test_a_caller_that_cannot_be_read_costs_the_constraint_alone(tmp_path: Path) -> None:
    put(tmp_path / "main.tf", 'module "kv" {')
    put_modules(
        tmp_path,
        {"Key": "kv", "Source": "registry.terraform.io/a/b/c", "Version": "1.4.0", "Dir": ".terraform/modules/kv"},
    )
    (pin,) = read_modules(tmp_path)
    assert (pin.version, pin.constraint) == ("1.4.0", None)


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("git::ssh://deploy@gerrit.example.com:29418/platform/modules?ref=v1.2.3", False),
        ("svc-terraform@gitea.example.com:platform/modules.git?ref=v1.2.3", False),
        ("git::ssh://git@ssh.dev.azure.com/v3/contoso/platform/modules?ref=v1.2.3", False),
        ("git::ssh://deploy:word@gerrit.example.com/platform/modules?ref=v1.2.3", True),
        ("git::ssh://ghp_0123456789abcdefghijABCDEFGHIJ012345@github.com/o/r?ref=v1.2.3", True),
        ("git::https://deploy@gitea.example.com/platform/modules?ref=v1.2.3", True),
        ("git::https://user:word@gitea.example.com/platform/modules?ref=v1.2.3", True),
    ],
)
def test_a_user_of_ssh_is_no_credential(source: str, holds: bool) -> None:
    assert holds_credential(source) is holds
