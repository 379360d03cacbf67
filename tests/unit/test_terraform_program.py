"""A program is started where it is, or from a copy where the package has lost its executable bit."""

import os
import subprocess
from pathlib import Path

import pytest

from adapters.terraform_program import FOLDER_PREFIX, startable_program
from records.errors import SettingsError


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """As it comes out of a package: no executable bit, in a folder that cannot be written to."""
    file = tmp_path / "wwwroot" / "terraform"
    file.parent.mkdir()
    file.write_text("#!/bin/sh\necho one\n", encoding="utf-8")
    file.chmod(0o444)
    file.parent.chmod(0o555)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    return made


def output(program: str) -> str:
    return subprocess.run([program], capture_output=True, encoding="utf-8", check=True).stdout


def test_what_can_be_started_is_started_where_it_is(folder: Path) -> None:
    assert startable_program("sh", folder) in {"/bin/sh", "/usr/bin/sh"}
    assert startable_program("/bin/sh", folder) == "/bin/sh"
    assert list(folder.iterdir()) == []


def test_what_has_no_executable_bit_is_copied_once(program: Path, folder: Path) -> None:
    copy = startable_program(str(program), folder)
    before = Path(copy).stat()
    assert output(copy) == "one\n"
    assert startable_program(str(program), folder) == copy
    assert Path(copy).stat().st_ino == before.st_ino
    assert [path.name for path in Path(copy).parent.iterdir()] == ["terraform"]


def test_another_program_under_the_same_name_is_copied_anew(program: Path, folder: Path) -> None:
    copy = startable_program(str(program), folder)
    program.chmod(0o644)
    program.write_text("#!/bin/sh\necho two\n", encoding="utf-8")
    program.chmod(0o444)
    os.utime(copy, (program.stat().st_atime, program.stat().st_mtime))
    assert output(startable_program(str(program), folder)) == "two\n"


def test_a_program_that_is_not_there_is_named(folder: Path) -> None:
    for binary in ("no-such-terraform", str(folder / "terraform")):
        with pytest.raises(SettingsError, match=f"^{binary}: there is no such program"):
            startable_program(binary, folder)


@pytest.mark.parametrize("kind", ["others can write to it", "a link"])
def test_a_folder_that_somebody_else_may_have_made_is_not_used(kind: str, program: Path, folder: Path) -> None:
    own = folder / f"{FOLDER_PREFIX}{os.geteuid()}"
    if kind == "a link":
        (folder / "elsewhere").mkdir(mode=0o700)
        own.symlink_to(folder / "elsewhere")
    else:
        own.mkdir()
        own.chmod(0o777)
    with pytest.raises(SettingsError, match=f"^{own}: is not a folder"):
        startable_program(str(program), folder)


def test_where_no_program_may_be_executed_it_says_so(
    program: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount that is noexec takes a superuser to make; access(2) tells it so."""
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.X_OK)
    with pytest.raises(SettingsError, match="PLAN_WORK_FOLDER"):
        startable_program(str(program), folder)
