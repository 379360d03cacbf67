"""Of the app goes in what was committed, and nothing that merely lies in the checkout."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.package.app_files import app_files
from scripts.package.errors import PackageError
from tests.module_world import git
from tests.packaging.packages import commit_all, make_source

PACKED = ["drift/run.py", "function_app.py", "host.json", "requirements.txt"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_source(tmp_path).root


def names(checkout: Path, *, with_changes: bool = False) -> list[str]:
    return [entry.name for entry in app_files(checkout, with_changes=with_changes).entries]


def refusal(checkout: Path) -> str:
    with pytest.raises(PackageError) as raised:
        app_files(checkout, with_changes=False)
    return str(raised.value)


def put(checkout: Path, name: str, text: str = "changed\n") -> None:
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("with_changes", [False, True])
@pytest.mark.parametrize(
    "name", ["secret.env", "policy.yaml", "latest.html", "stacks/de/x.auto.tfvars", "drift/new.py"]
)
def test_what_git_does_not_track_never_goes_in(name: str, with_changes: bool, checkout: Path) -> None:
    put(checkout, name)
    assert names(checkout, with_changes=with_changes) == PACKED
    put(checkout, ".git/info/exclude", "*\n")
    assert names(checkout, with_changes=with_changes) == PACKED


def change(checkout: Path) -> str:
    put(checkout, "drift/run.py")
    return "drift/run.py. "


def change_and_stage(checkout: Path) -> str:
    put(checkout, "drift/run.py")
    git(checkout, "add", "--all")
    return "drift/run.py. "


def change_back_what_was_staged(checkout: Path) -> str:
    change_and_stage(checkout)
    put(checkout, "drift/run.py", "another\n")
    return "drift/run.py. "


def change_and_have_git_look_away(checkout: Path) -> str:
    git(checkout, "update-index", "--assume-unchanged", "drift/run.py")
    put(checkout, "drift/run.py")
    assert git(checkout, "status", "--porcelain") == ""
    return "drift/run.py. "


def end_lines_otherwise(checkout: Path) -> str:
    """As git for Windows does by itself, and finds no change."""
    git(checkout, "config", "core.autocrlf", "true")
    (checkout / "function_app.py").write_bytes(b"import sample\r\n")
    return "function_app.py. "


def delete(checkout: Path) -> str:
    (checkout / "drift/run.py").unlink()
    return "drift/run.py (gone). "


def delete_and_stage(checkout: Path) -> str:
    git(checkout, "rm", "--quiet", "drift/run.py")
    return "drift/run.py (gone). "


def untrack(checkout: Path) -> str:
    git(checkout, "rm", "--quiet", "--cached", "drift/run.py")
    put(checkout, "drift/run.py")
    return "drift/run.py. "


def stage_a_new_one(checkout: Path) -> str:
    put(checkout, "drift/ünlike.py")
    git(checkout, "add", "--all")
    return "drift/ünlike.py. "


def change_what_is_left_out(checkout: Path) -> str:
    with (checkout / ".funcignore").open("a", encoding="utf-8") as file:
        file.write("drift/\n")
    return ".funcignore. "


def change_what_builds(checkout: Path) -> str:
    put(checkout, ".funcignore", ".funcignore\ntests/\nscripts/\n*.md\n")
    put(checkout, "scripts/package/terraform.toml", 'version = "1"\n')
    commit_all(checkout)
    put(checkout, "scripts/package/terraform.toml", 'version = "2"\n')
    return "scripts/package/terraform.toml. "


@pytest.mark.parametrize(
    "spoil",
    [
        change,
        change_and_stage,
        change_back_what_was_staged,
        change_and_have_git_look_away,
        end_lines_otherwise,
        delete,
        delete_and_stage,
        untrack,
        stage_a_new_one,
        change_what_is_left_out,
        change_what_builds,
    ],
)
def test_what_is_not_as_it_was_committed_is_refused_by_name(spoil: Callable[[Path], str], checkout: Path) -> None:
    named = spoil(checkout)
    said = refusal(checkout)
    assert said.startswith(f"{checkout}: not as commit {git(checkout, 'rev-parse', 'HEAD')} has it: {named}")
    assert "Commit what is to be deployed" in said
    assert "CHANGES=1 (--with-changes)" in said
    changed = app_files(checkout, with_changes=True).changed
    assert changed == [named.removesuffix(". ").removesuffix(" (gone)")]


def test_several_are_all_named_and_go_in_once_they_are_committed(checkout: Path) -> None:
    (checkout / "drift/run.py").unlink()
    put(checkout, "host.json")
    put(checkout, "drift/new.py")
    assert "has it: drift/run.py (gone), host.json. " in refusal(checkout)
    commit = commit_all(checkout)
    packed = app_files(checkout, with_changes=False)
    assert [entry.name for entry in packed.entries] == ["drift/new.py", *PACKED[1:]]
    assert (packed.commit, packed.changed) == (commit, [])


def test_what_is_not_packed_may_change(checkout: Path) -> None:
    put(checkout, "docs/README.md")
    (checkout / "tests/test_app.py").unlink()
    assert names(checkout) == PACKED


def test_a_repository_whose_ids_are_of_sha256(tmp_path: Path, checkout: Path) -> None:
    other = shutil.copytree(checkout, tmp_path / "other", ignore=shutil.ignore_patterns(".git"))
    git(other, "init", "--quiet", "--object-format=sha256")
    commit = commit_all(other)
    assert app_files(other, with_changes=False).commit == commit
    put(other, "drift/run.py")
    assert "has it: drift/run.py. " in refusal(other)


def test_a_hooks_repository_is_not_the_checkouts(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another/.git"))
    assert names(checkout) == PACKED


@pytest.mark.parametrize("target", ["../secrets.json", "secrets.json"], ids=["outside", "what git does not track"])
def test_a_link(target: str, checkout: Path) -> None:
    put(checkout, target, "{}")
    (checkout / "settings.json").symlink_to(target)
    git(checkout, "add", "settings.json")
    git(checkout, "commit", "--quiet", "--message", "a link")
    assert refusal(checkout).startswith(f"{checkout / 'settings.json'}: is a link")


def test_a_folder_that_is_a_link(checkout: Path, tmp_path: Path) -> None:
    (checkout / "drift").rename(tmp_path / "drift")
    (checkout / "drift").symlink_to(tmp_path / "drift")
    assert refusal(checkout).startswith(f"{checkout / 'drift/run.py'}: is a link, or in a folder that is one")


@pytest.mark.parametrize("name", ["host.json", "function_app.py", "requirements.txt", ".funcignore"])
def test_a_checkout_without_what_functions_needs(checkout: Path, name: str) -> None:
    (checkout / name).unlink()
    assert f"{name} not found" in refusal(checkout)


@pytest.mark.parametrize("name", ["host.json", "function_app.py", "requirements.txt"])
def test_what_functions_needs_and_git_does_not_track_or_funcignore_leaves_out(checkout: Path, name: str) -> None:
    put(checkout, ".funcignore", f"{name}\n")
    commit_all(checkout)
    assert refusal(checkout) == f"{checkout / '.funcignore'}: leaves out {name}. Take the line out."
    git(checkout, "rm", "--quiet", "--cached", name)
    git(checkout, "commit", "--quiet", "--message", "without")
    assert refusal(checkout) == f"{checkout / name}: is not tracked by git. Add it, and commit it."


def no_repository(checkout: Path, _: pytest.MonkeyPatch) -> str:
    shutil.rmtree(checkout / ".git")
    return "git cannot read it as a checkout (fatal: not a git repository"


def another_ones_folder(checkout: Path, _: pytest.MonkeyPatch) -> str:
    shutil.rmtree(checkout / ".git")
    git(checkout.parent, "init", "--quiet")
    commit_all(checkout.parent)
    return "is source/ in another git checkout"


def no_commit(checkout: Path, _: pytest.MonkeyPatch) -> str:
    shutil.rmtree(checkout / ".git")
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--all")
    return "git cannot read it as a checkout (fatal: "


def no_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PATH", str(checkout))
    return "git cannot read it as a checkout (there is no git on the PATH)"


@pytest.mark.parametrize("spoil", [no_repository, another_ones_folder, no_commit, no_git])
def test_a_folder_that_is_no_checkout(
    spoil: Callable[[Path, pytest.MonkeyPatch], str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = spoil(checkout, monkeypatch)
    assert refusal(checkout).startswith(f"{checkout}: {said}")
    assert refusal(checkout).endswith("The package takes what is committed: build in a clone of trueup's repository.")
