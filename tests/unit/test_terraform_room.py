"""A plan for which there is no room: whose fault it is; and what is in the way of one before Terraform is started."""

import errno
import hashlib
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

import pytest

from adapters import terraform_cli
from adapters.private_folder import PREFIX
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import FolderStates
from records.errors import BundleError, SettingsError, TrueupError
from records.registry import StateLocation
from records.terraform import Cause, FailedApply, MadePlan, NoAnswer, Reach, Step
from records.tracker import Bundle

ROOM: Final = [errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE]


def planner(root: Path) -> TerraformCli:
    states = FolderStates(root=root, container="tfstate")
    return TerraformCli(TerraformOptions(states=states, work_folder=Path("/tmp"), binary=sys.executable))


def packed(tree: Mapping[str, str]) -> tuple[bytes, Bundle]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in tree.items():
            archive.writestr(name, text)
    return content.getvalue(), Bundle(blob="b", sha256=hashlib.sha256(content.getvalue()).hexdigest())


@pytest.mark.parametrize("number", ROOM, ids=os.strerror)
async def test_a_command_for_which_there_is_no_room_is_one_stacks_bad_luck(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_room(command: Sequence[str], **_given: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(terraform_cli, "run_to_end", no_room)
    content, bundle = packed({"main.tf": ""})
    async with planner(tmp_path).deployed(
        content=content, bundle=bundle, state=StateLocation(key="a.tfstate")
    ) as module:
        plan = await module.plan()
        assert isinstance(plan, NoAnswer)
        assert (plan.step, plan.cause) == (Step.INIT, Cause.NO_ROOM)
        assert os.strerror(number) in plan.message
        file = Path(module.folder.path / "o/1.plan")  # type: ignore[attr-defined]
        apply = await module.apply(MadePlan(file=file, json_file=file, has_changes=True), lock_timeout_seconds=0)
        assert isinstance(apply, FailedApply)
        assert (apply.reach, apply.changed) == (Reach.NOT_STARTED, 0)


async def test_a_bundle_that_there_is_no_room_to_unpack_is_one_stacks_bad_luck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(unpacked: Path, name: str) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(terraform_cli, "root_of_bundle", no_room)
    content, bundle = packed({"main.tf": ""})
    with pytest.raises(BundleError, match="has no room for it"):
        async with planner(tmp_path).deployed(content=content, bundle=bundle, state=StateLocation(key="a.tfstate")):
            pass


async def test_a_program_that_is_none_is_every_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_program(command: Sequence[str], **_given: object) -> NoReturn:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(terraform_cli, "run_to_end", no_program)
    content, bundle = packed({"main.tf": ""})
    async with planner(tmp_path).deployed(
        content=content, bundle=bundle, state=StateLocation(key="a.tfstate")
    ) as module:
        with pytest.raises(SettingsError, match="TF_BINARY names it"):
            await module.plan()


async def test_a_bundle_whose_lock_file_pins_no_provider_is_not_unpacked_to_be_planned(tmp_path: Path) -> None:
    """It was packed by an earlier version, or by hand."""
    content, bundle = packed({"main.tf": "", ".terraform.lock.hcl": 'provider "a/b/c" {\n  version = "1.0.0"\n}\n'})
    with pytest.raises(
        BundleError, match=r"\.terraform\.lock\.hcl: it has no hash of a/b/c.*`terraform providers lock`"
    ):
        async with planner(tmp_path).deployed(content=content, bundle=bundle, state=StateLocation(key="a.tfstate")):
            pass


@pytest.fixture
def work() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="w-") as folder:
        yield Path(folder)


async def test_what_a_killed_process_left_goes_before_the_next_plan(tmp_path: Path, work: Path) -> None:
    terraform = TerraformCli(
        TerraformOptions(
            states=FolderStates(root=tmp_path, container="tfstate"), work_folder=work, binary=sys.executable
        )
    )
    content, bundle = packed({"main.tf": ""})
    for number in range(2):
        left = work / f"{PREFIX}{number}"
        left.mkdir(mode=0o700)
        async with terraform.deployed(content=content, bundle=bundle, state=StateLocation(key="a.tfstate")):
            assert not left.exists()


@pytest.mark.parametrize(
    ("number", "blamed"),
    [(errno.ENOSPC, BundleError), (errno.EMFILE, BundleError), (errno.EACCES, SettingsError)],
    ids=["a full disk is one stack's", "too many open files are one stack's", "a forbidden folder is every stack's"],
)
async def test_a_folder_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, number: int, blamed: type[TrueupError]
) -> None:
    def no_folder(parent: Path, *, grace_seconds: float) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(terraform_cli, "private_folder", no_folder)
    with pytest.raises(blamed, match=os.strerror(number)):
        async with planner(Path("/tmp")).deployed(
            content=b"", bundle=Bundle(blob="b", sha256="0" * 64), state=StateLocation(key="a.tfstate")
        ):
            pass
