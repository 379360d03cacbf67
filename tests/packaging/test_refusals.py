"""What is not exactly what was pinned is refused by name, and nothing half-made is left."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from adapters.provider_locks import LOCK_FILE
from scripts.package.build import Order
from scripts.package.errors import PackageError
from scripts.package.provider_locks import locks_in, locks_of_estate, parse_lock
from scripts.package.terraform_release import Pin, read_pin, terraform_program
from tests.packaging.packages import (
    DEPENDENCY,
    commit_all,
    lock_text,
    make_source,
    quietly_built,
    the_pinned_terraform,
    zip_hash,
)

AZURERM = "registry.terraform.io/hashicorp/azurerm"
PROGRAM = b"\x7fELF a program"


@dataclass(frozen=True, slots=True)
class World:
    """An order that would be built but for what a test does to it."""

    order: Order
    provider: Path
    lock: Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    source = make_source(tmp_path)
    for name, value in {**source.pip_settings, "HTTPS_PROXY": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    provider = tmp_path / "mirror" / AZURERM / "terraform-provider-azurerm_4.79.0_linux_amd64.zip"
    provider.parent.mkdir(parents=True)
    with ZipFile(provider, "w") as archive:
        archive.writestr(ZipInfo("terraform-provider-azurerm_v4.79.0_x5"), PROGRAM)
    lock = tmp_path / "stacks/network" / LOCK_FILE
    lock.parent.mkdir(parents=True)
    lock.write_text(lock_text(AZURERM, "4.79.0", zip_hash(provider)), encoding="utf-8")
    order = Order(
        source=source.root,
        output=tmp_path / "dist",
        locks=(lock.parent,),
        mirrors=(tmp_path / "mirror",),
        terraform=the_pinned_terraform(),
    )
    return World(order, provider, lock)


def refusal(order: Order) -> str:
    """An earlier package is as it was, and nothing lies beside it."""
    order.output.mkdir(exist_ok=True)
    (order.output / "trueup-0.1.0.zip").write_bytes(b"an earlier one")
    with pytest.raises(PackageError) as raised:
        quietly_built(order)
    assert [path.read_bytes() for path in order.output.iterdir()] == [b"an earlier one"]
    return str(raised.value)


@pytest.mark.terraform
def test_a_terraform_of_another_hash(world: World, tmp_path: Path) -> None:
    other = tmp_path / "terraform_1.11.4_linux_amd64.zip"
    with ZipFile(other, "w") as archive:
        archive.writestr("terraform", PROGRAM)
    said = refusal(replace(world.order, terraform=other))
    assert str(other) in said
    assert hashlib.sha256(other.read_bytes()).hexdigest() in said
    assert read_pin().zip_sha256 in said
    assert read_pin().url in said


@pytest.mark.terraform
def test_a_provider_that_no_hash_of_a_lock_file_is_of(world: World) -> None:
    before = zip_hash(world.provider)
    with ZipFile(world.provider, "a") as archive:
        archive.writestr("one-file-more", b"")
    said = refusal(world.order)
    assert str(world.provider) in said
    assert str(world.lock) in said
    assert zip_hash(world.provider) in said
    assert before not in said


@pytest.mark.terraform
def test_a_provider_that_one_lock_file_of_two_does_not_have_the_hash_of(world: World) -> None:
    other = world.lock.parents[1] / "dns" / LOCK_FILE
    other.parent.mkdir()
    other.write_text(lock_text(AZURERM, "4.79.0", f"zh:{'0' * 64}"), encoding="utf-8")
    said = refusal(replace(world.order, locks=(world.lock.parents[1],)))
    assert str(other) in said
    assert str(world.lock) not in said


@pytest.mark.terraform
def test_what_is_said_of_a_hash_that_a_lock_file_lacks_adds_it(world: World) -> None:
    world.lock.write_text(lock_text(AZURERM, "4.79.0", f"zh:{'0' * 64}"), encoding="utf-8")
    remedy = refusal(world.order).partition("terraform ")[2]
    assert f"-fs-mirror={world.order.mirrors[0]} " in remedy
    required = {"azurerm": {"source": AZURERM, "version": "4.79.0"}}
    configuration = json.dumps({"terraform": {"required_providers": required}})
    (world.lock.parent / "main.tf.json").write_text(configuration, encoding="utf-8")
    command = [str(the_pinned_terraform()), *shlex.split(remedy)]
    subprocess.run(command, cwd=world.lock.parent, check=True, capture_output=True)
    assert [str(one.provider) for one in quietly_built(world.order).providers] == [f"{AZURERM} 4.79.0"]


@pytest.mark.terraform
def test_a_provider_that_is_in_no_mirror_and_whose_registry_does_not_answer(world: World) -> None:
    world.provider.unlink()
    said = refusal(world.order)
    assert said.startswith(f"{AZURERM} 4.79.0: is in no mirror")
    assert "could not connect to registry.terraform.io" in said
    assert "MIRROR=DIR (--mirror DIR)" in said
    assert said.isprintable()


@pytest.mark.terraform
def test_a_provider_that_a_mirror_has_unpacked_alone(world: World) -> None:
    folder = world.provider.parent / "4.79.0/linux_amd64"
    with ZipFile(world.provider) as archive:
        archive.extractall(folder)
    world.provider.unlink()
    said = refusal(world.order)
    assert said.startswith(f"{AZURERM} 4.79.0: is only unpacked in the mirror ({folder}), where its zip is needed")
    assert "`terraform providers mirror DIR` makes a folder of zips" in said


@pytest.mark.terraform
@pytest.mark.parametrize(
    ("required", "named"),
    [
        pytest.param(f"{DEPENDENCY}==2.0 --hash=sha256:{'0' * 64}", "sample==2.0", id="no wheel"),
        pytest.param(f"{DEPENDENCY}==1.0", "sample==1.0 --hash=sha256:", id="no hash"),
        pytest.param(f"{DEPENDENCY}>=1.0 --hash=sha256:{'0' * 64}", "sample>=1.0", id="no version"),
        pytest.param(
            f"{DEPENDENCY}==1.0 --hash=sha256:{'0' * 64}",
            f"Expected sha256 {'0' * 64} Got ",
            id="a wheel of another hash",
        ),
    ],
)
def test_a_dependency_that_is_not_what_was_locked(required: str, named: str, world: World) -> None:
    (world.order.source / "requirements.txt").write_text(f"{required}\n", encoding="utf-8")
    commit_all(world.order.source)
    said = refusal(world.order)
    assert said.startswith(f"{world.order.source / 'requirements.txt'}: pip could not install it")
    assert named in said
    assert f" {DEPENDENCY}" in said
    assert "`make lock`" in said
    assert said.isprintable()


@pytest.mark.terraform
def test_a_wheel_that_was_exchanged_where_wheels_come_from(world: World, tmp_path: Path) -> None:
    (wheel,) = (tmp_path / "wheels").iterdir()
    with ZipFile(wheel, "a") as archive:
        archive.writestr("sample/more.py", "")
    said = refusal(world.order)
    assert f"sample==1.0 from {wheel.as_uri()}" in said
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in said


@pytest.mark.terraform
def test_no_provider_at_all_unless_that_is_what_was_asked_for(world: World) -> None:
    said = refusal(replace(world.order, locks=()))
    assert said.startswith("No lock file names a provider, so")
    for spelling in (
        "ESTATE=DIR (--estate DIR)",
        "LOCKS=PATH (--locks PATH)",
        "WITHOUT_PROVIDERS=1 (--without-providers)",
    ):
        assert spelling in said


@pytest.mark.terraform
def test_an_app_file_where_the_build_puts_its_own(world: World) -> None:
    (world.order.source / "trueup-package.json").write_text("{}", encoding="utf-8")
    commit_all(world.order.source)
    assert refusal(world.order).startswith("trueup-package.json: is in the app")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lock_text(AZURERM, "4.79.0"), id="no hash"),
        pytest.param(f'provider "{AZURERM}" {{\n  hashes = [\n    "zh:00",\n  ]\n}}\n', id="no version"),
        pytest.param(lock_text("azurerm", "4.79.0", "zh:00"), id="no whole address"),
        pytest.param(lock_text("../../../etc", "4.79.0", "zh:00"), id="an address that leaves the mirror"),
        pytest.param(lock_text(AZURERM, "../4.79.0", "zh:00"), id="a version that leaves the mirror"),
        pytest.param(f'provider "{AZURERM}" {{ version = "4.79.0" }}\n', id="written by hand"),
        pytest.param(lock_text(AZURERM, "4.79.0", "zh:00").replace("\n}", "\n"), id="cut off"),
    ],
)
def test_a_lock_file_that_terraform_did_not_write_so(text: str) -> None:
    with pytest.raises(PackageError, match=r"^stacks/dns/\.terraform\.lock\.hcl: .*terraform init"):
        parse_lock(f"stacks/dns/{LOCK_FILE}", text)


def test_lock_files_that_came_with_modules_are_not_the_stacks(world_of_locks: Path) -> None:
    assert [lock.name for lock in locks_in(world_of_locks)] == [str(world_of_locks / LOCK_FILE)]
    with pytest.raises(PackageError, match="there is no"):
        locks_in(world_of_locks / "empty")


@pytest.fixture
def world_of_locks(tmp_path: Path) -> Path:
    for folder in (".", ".terraform/modules/net/examples"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / LOCK_FILE).write_text(lock_text(AZURERM, "4.79.0", "zh:00"), encoding="utf-8")
    (tmp_path / "empty").mkdir()
    return tmp_path


@dataclass(frozen=True, slots=True)
class Estate:
    """On disk, with one stack that a tracker names a bundle of."""

    root: Path

    @property
    def bundle(self) -> Path:
        return self.root / "bundles/de/network/one.zip"

    @property
    def tracker(self) -> Path:
        return self.root / "trackers/de/network.json"


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    made = Estate(tmp_path / "estate")
    for file in (made.bundle, made.tracker):
        file.parent.mkdir(parents=True)
    with ZipFile(made.bundle, "w") as archive:
        archive.writestr(f"stacks/network/{LOCK_FILE}", lock_text(AZURERM, "4.79.0", "zh:00"))
        archive.writestr(f"modules/net/{LOCK_FILE}", lock_text(AZURERM, "3.0.0", "zh:00"))
    sha256 = hashlib.sha256(made.bundle.read_bytes()).hexdigest()
    bundle = {"blob": "de/network/one.zip", "sha256": sha256, "root": "stacks/network"}
    tracker = {"schema_version": 1, "market": "de", "stack": "network", "bundle": bundle}
    made.tracker.write_text(json.dumps(tracker), encoding="utf-8")
    return made


def test_of_a_bundle_the_root_modules_lock_file_counts(estate: Estate) -> None:
    found = locks_of_estate(estate.root)
    (lock,) = found.locks
    assert [str(provider) for provider in lock.providers] == [f"{AZURERM} 4.79.0"]
    assert lock.name == f"stacks/network/{LOCK_FILE} in {estate.bundle}"
    assert found.left_out == []


def spoil_the_bundle(estate: Estate) -> str:
    with ZipFile(estate.bundle, "a") as archive:
        archive.writestr("one-file-more", b"")
    return f"{estate.bundle}: its sha256 is"


def lose_the_bundle(estate: Estate) -> str:
    estate.bundle.unlink()
    return f"{estate.bundle}: cannot be read"


def spoil_the_tracker(estate: Estate) -> str:
    estate.tracker.write_text("{", encoding="utf-8")
    return f"{estate.tracker}: tracker de/network.json: it is not JSON"


@pytest.mark.parametrize("spoil", [spoil_the_bundle, lose_the_bundle, spoil_the_tracker])
def test_a_stack_whose_records_are_bad_is_left_out_by_name_and_no_other(
    spoil: Callable[[Estate], str], estate: Estate
) -> None:
    other = estate.root / "trackers/fr/network.json"
    other.parent.mkdir()
    bundle = estate.root / "bundles/fr/network/one.zip"
    bundle.parent.mkdir(parents=True)
    shutil.copyfile(estate.bundle, bundle)
    tracker = estate.tracker.read_text(encoding="utf-8").replace('"de"', '"fr"').replace("de/network", "fr/network")
    other.write_text(tracker, encoding="utf-8")
    said = spoil(estate)
    found = locks_of_estate(estate.root)
    assert [str(bundle) in lock.name for lock in found.locks] == [True]
    assert [one.startswith(said) for one in found.left_out] == [True]


@pytest.mark.terraform
def test_where_no_stack_is_left_the_reason_comes_first(world: World, estate: Estate) -> None:
    cause = spoil_the_bundle(estate)
    said = refusal(replace(world.order, locks=(), estates=(estate.root,)))
    assert said.startswith(f"left out: {cause}")
    assert said.splitlines()[-1].startswith("No lock file names a provider then, so")


def test_trackers_without_a_bundle_are_counted(estate: Estate) -> None:
    for stack in ("app", "dns"):
        tracker = {"schema_version": 1, "market": "de", "stack": stack}
        (estate.tracker.parent / f"{stack}.json").write_text(json.dumps(tracker), encoding="utf-8")
    found = locks_of_estate(estate.root)
    assert len(found.locks) == 1
    (said,) = found.left_out
    assert said.startswith(f"2 of 3 trackers, such as {estate.tracker.parent / 'app.json'}: name no bundle. ")


def test_an_estate_without_trackers(estate: Estate) -> None:
    shutil.rmtree(estate.root / "trackers")
    with pytest.raises(PackageError, match="there is no tracker"):
        locks_of_estate(estate.root)


@pytest.mark.parametrize(("zip_is_right", "program_is_right"), [(True, True), (False, True), (True, False)])
def test_of_a_zip_both_it_and_the_program_in_it_are_what_is_pinned(
    zip_is_right: bool, program_is_right: bool, tmp_path: Path
) -> None:
    file = tmp_path / "terraform.zip"
    with ZipFile(file, "w") as archive:
        archive.writestr("terraform", PROGRAM)
    digests = [hashlib.sha256(content).hexdigest() for content in (file.read_bytes(), PROGRAM)]
    pinned = [
        digest if right else "0" * 64 for digest, right in zip(digests, (zip_is_right, program_is_right), strict=True)
    ]
    pin = Pin("1.11.4", "linux_amd64", *pinned)
    if zip_is_right and program_is_right:
        assert terraform_program(pin, file) == PROGRAM
    else:
        with pytest.raises(PackageError, match=f"pins {'0' * 64}"):
            terraform_program(pin, file)


def test_a_pin_that_lacks_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "terraform.toml"
    file.write_text('version = "1.11.4"\nplatform = "linux_amd64"\nzip_sha256 = "00"\n', encoding="utf-8")
    with pytest.raises(PackageError, match=rf"^{file}: must have .*program_sha256"):
        read_pin(file)


@pytest.mark.terraform
def test_a_lock_file_with_the_hash_of_the_content_alone_is_enough(world: World) -> None:
    """``h1:``, which Terraform writes for the platform that it runs on."""
    name = "terraform-provider-azurerm_v4.79.0_x5"
    listed = f"{hashlib.sha256(PROGRAM).hexdigest()}  {name}\n"
    digest = base64.b64encode(hashlib.sha256(listed.encode()).digest()).decode()
    world.lock.write_text(lock_text(AZURERM, "4.79.0", f"h1:{digest}"), encoding="utf-8")
    assert [str(one.provider) for one in quietly_built(world.order).providers] == [f"{AZURERM} 4.79.0"]
