"""Where a plan's folder cannot be made: whose fault it is."""

import errno
import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from adapters import terraform_cli
from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import FolderStates
from records.errors import BundleError, SettingsError, TrueupError
from records.registry import StateLocation
from records.tracker import Bundle


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
    planner = TerraformCli(
        TerraformOptions(states=FolderStates(root=Path("/tmp"), container="tfstate"), binary=sys.executable)
    )
    with pytest.raises(blamed, match=os.strerror(number)):
        async with planner.deployed(
            content=b"", bundle=Bundle(blob="b", sha256="0" * 64), state=StateLocation(key="a.tfstate")
        ):
            pass
