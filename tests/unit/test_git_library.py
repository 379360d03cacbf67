"""What `trueup pins` makes of a library's repository as people and pipelines have it on disk. Real git."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.git_repository import checked_out_commit, commits_there, read_library
from tests.module_world import git
from tests.unit.test_cli import trueup

REMOTE: Final = "https://example.com/platform/modules.git"
SOURCE: Final = "git::https://example.com/platform/modules"


def commit(folder: Path, text: str) -> str:
    (folder / "main.tf").write_text(f"# {text}\n", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two commits: the first is v1.0.0, and the second is on the branch `main` alone."""
    folder = tmp_path / "library"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "remote", "add", "origin", REMOTE)
    commit(folder, "1")
    git(folder, "tag", "--annotate", "--message", "1", "v1.0.0")
    commit(folder, "2")
    return folder


def cloned(library: Path, into: Path, *options: str) -> Path:
    git(into.parent, "clone", "--quiet", *options, f"file://{library}", str(into))
    git(into, "remote", "set-url", "origin", REMOTE)
    return into


@dataclass(frozen=True)
class Audited:
    status: int
    stdout: str
    stderr: str

    @property
    def found(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def reasons(self) -> list[str]:
        return [call["reason"] for call in self.found["calls"]]


def audited(folder: Path, library: Path, *sources: str, commits: dict[str, str] | None = None) -> Audited:
    """The audit of configuration with these sources, and of a tracker that has the ``commits`` of some of them."""
    code, estate = folder / "code", folder / "estate"
    (code / ".git").mkdir(parents=True)
    calls = [f'module "m{index}" {{\n  source = "{source}"\n}}\n' for index, source in enumerate(sources)]
    (code / "main.tf").write_text("".join(calls), encoding="utf-8")
    (estate / "trackers" / "de").mkdir(parents=True)
    modules = [{"name": "kv", "source": source, "commit": sha} for source, sha in (commits or {}).items()]
    (estate / "trackers" / "de" / "platform.json").write_text(
        json.dumps({"schema_version": 1, "market": "de", "stack": "platform", "modules": modules}), encoding="utf-8"
    )
    run = trueup("pins", str(code), "--estate", str(estate), "--library", str(library), "--format", "json")
    return Audited(run.returncode, run.stdout, " ".join(run.stderr.split()))


def test_the_commit_that_is_checked_out_in_a_relative_folder_is_told(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(library.parent)
    assert checked_out_commit(Path("library")) == git(library, "rev-parse", "HEAD")
    monkeypatch.chdir(library)
    assert checked_out_commit(Path()) == git(library, "rev-parse", "HEAD")


def test_a_tag_of_a_tag_is_the_commit_in_the_end_and_a_tag_of_a_file_is_none(library: Path) -> None:
    first = git(library, "rev-parse", "v1.0.0^{commit}")
    for name, of in (("twice", "v1.0.0"), ("thrice", "twice"), ("of_a_file", "HEAD:main.tf")):
        git(library, "tag", "--annotate", "--message", name, name, of)
    git(library, "tag", "light_of_a_file", "HEAD:main.tf")
    # A name may hold what some take for the end of a line.
    git(library, "tag", "a\u2028b", "v1.0.0^{commit}")
    assert read_library(library).tags == dict.fromkeys(("v1.0.0", "twice", "thrice", "a\u2028b"), first)


def test_a_tag_of_a_tag_that_nobody_moved_is_not_told_as_moved(library: Path, tmp_path: Path) -> None:
    git(library, "tag", "--annotate", "--message", "again", "v1.0.1", "v1.0.0")
    deployed = {f"{SOURCE}?ref=v1.0.1": git(library, "rev-parse", "v1.0.1^{commit}")}
    run = audited(tmp_path, library, f"{SOURCE}?ref=v1.0.1", commits=deployed)
    assert (run.status, run.found["moved_tags"]) == (0, [])


def test_commits_that_are_there_are_told_from_what_is_not(library: Path) -> None:
    head, blob = git(library, "rev-parse", "HEAD"), git(library, "rev-parse", "HEAD:main.tf")
    assert commits_there(library, [blob, "a" * 40, head]) == {head}


@pytest.mark.parametrize(
    ("ref", "reason", "status"),
    [
        pytest.param("v1.0.0", "version_tag", 0, id="a tag"),
        pytest.param("refs/tags/v1.0.0", "version_tag", 0, id="a tag by its whole name"),
        pytest.param("v1.0.0&depth=1", "version_tag", 0, id="a tag that is no branch, with depth"),
        pytest.param("v2.0.0", "version_tag", 0, id="a tag that is a branch too"),
        pytest.param("v2.0.0&depth=1", "branch", 2, id="with depth it is the branch"),
        pytest.param("v3.0.0", "branch", 2, id="a branch"),
        pytest.param("origin/v3.0.0", "branch", 2, id="a remote's branch"),
        pytest.param("origin/v2.0.0", "branch", 2, id="a remote's branch that is a tag too"),
        pytest.param("heads/v3.0.0", "branch", 2, id="heads"),
        pytest.param("v9.9.9", "no_such_ref", 2, id="neither"),
        pytest.param("kv/v1.0.0", "no_such_ref", 2, id="a module that has no tag"),
        pytest.param("a" * 40, "no_such_ref", 2, id="a commit that is not there"),
        pytest.param("HEAD_COMMIT", "commit", 0, id="a commit that is there"),
    ],
)
def test_the_librarys_repository_has_the_last_word(
    ref: str, reason: str, status: int, library: Path, tmp_path: Path
) -> None:
    git(library, "branch", "v3.0.0")
    git(library, "branch", "v2.0.0")
    git(library, "tag", "v2.0.0", "v1.0.0^{commit}")
    source = f"{SOURCE}?ref={ref.replace('HEAD_COMMIT', git(library, 'rev-parse', 'HEAD').upper())}"
    run = audited(tmp_path, library, source)
    assert (run.reasons, run.status, run.stderr) == ([reason], status, "")


def test_a_tag_with_depth_that_is_a_branch_too_is_what_git_clones_as_the_branch(library: Path, tmp_path: Path) -> None:
    """The rule of git's own that the audit goes by."""
    git(library, "branch", "v1.0.0", "main")
    cloned(library, tmp_path / "shallow", "--depth", "1", "--branch", "v1.0.0")
    assert git(tmp_path / "shallow", "rev-parse", "HEAD") == git(library, "rev-parse", "main")
    git(cloned(library, tmp_path / "whole"), "checkout", "--quiet", "v1.0.0")
    assert git(tmp_path / "whole", "rev-parse", "HEAD") == git(library, "rev-parse", "refs/tags/v1.0.0^{commit}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(("--no-tags",), "it has no tags, and calls name v1.0.0", id="without tags"),
        pytest.param(("--depth", "1"), "it is a shallow clone that lacks v1.0.0", id="shallow"),
    ],
)
def test_a_clone_that_was_not_fetched_whole_is_refused_and_no_tag_called_gone(
    options: tuple[str, ...], said: str, library: Path, tmp_path: Path
) -> None:
    git(library, "tag", "latest")
    clone = cloned(library, tmp_path / "clone", *options)
    deployed = {f"{SOURCE}?ref=v1.0.0": git(library, "rev-parse", "v1.0.0^{commit}")}
    run = audited(tmp_path, clone, commits=deployed)
    assert (run.status, run.stdout) == (1, "")
    assert said in run.stderr
    assert "git fetch --tags" in run.stderr


def test_a_shallow_clone_that_has_what_calls_name_will_do(library: Path, tmp_path: Path) -> None:
    git(library, "tag", "v1.1.0")
    clone = cloned(library, tmp_path / "clone", "--depth", "1")
    run = audited(tmp_path, clone, f"{SOURCE}?ref=v1.1.0", f"{SOURCE}?ref={git(library, 'rev-parse', 'HEAD')}")
    assert (run.status, run.reasons) == (0, ["version_tag", "commit"])


def test_a_library_that_no_call_is_of_is_refused_until_its_address_is_given(library: Path, tmp_path: Path) -> None:
    git(library, "tag", "--force", "v1.0.0", "HEAD")
    deployed = {f"{SOURCE}?ref=v1.0.0": git(library, "rev-parse", "HEAD~1")}
    mirror = tmp_path / "mirror.git"
    git(tmp_path, "clone", "--quiet", "--mirror", str(library), str(mirror))
    for remotes in ("is that of a folder", "is none"):
        run = audited(tmp_path / remotes, mirror, commits=deployed)
        assert (run.status, run.stdout) == (1, "")
        assert "no call is of this repository" in run.stderr
        assert "example.com/platform/modules" in run.stderr
        assert "`sources:` in library.yaml" in run.stderr
        if remotes == "is that of a folder":
            git(mirror, "remote", "remove", "origin")
    (mirror / "library.yaml").write_text(f"modules:\n  kv: [a_b]\nsources: [{SOURCE}]\n", encoding="utf-8")
    told = audited(tmp_path / "told", mirror, commits=deployed)
    assert (told.status, [moved["tag"] for moved in told.found["moved_tags"]]) == (2, ["v1.0.0"])


def test_a_folder_that_is_no_repository_is_not_taken_for_the_one_around_it(library: Path, tmp_path: Path) -> None:
    git(library, "remote", "set-url", "origin", "https://example.com/platform/estate")
    (library / "modules").mkdir()
    run = audited(tmp_path, library / "modules", f"{SOURCE}?ref=v1.0.0")
    assert (run.status, run.stdout) == (1, "")
    assert "no call is of this repository, which is" in run.stderr
    assert "example.com/platform/estate" in run.stderr


def test_a_library_in_the_audited_repository_needs_no_call_by_its_address(library: Path) -> None:
    (library / "modules").mkdir()
    (library / "modules" / "main.tf").write_text("", encoding="utf-8")
    (library / "main.tf").write_text(
        'module "own" {\n  source = "./modules"\n}\n'
        'module "other" {\n  source = "git::https://example.com/other?ref=v1.0.0"\n}\n',
        encoding="utf-8",
    )
    run = trueup("pins", str(library), "--library", str(library / "modules"), "--format", "json")
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        (
            "git@ssh.dev.azure.com:v3/contoso/Cloud%20Platform/modules",
            "git::https://dev.azure.com/contoso/Cloud%20Platform/_git/modules",
        ),
        (
            "https://dev.azure.com/Contoso/platform/_git/Modules",
            "git::https://dev.azure.com/contoso/Platform/_git/modules",
        ),
        ("https://github.com/Contoso/Modules", "git@github.com:contoso/modules.git"),
    ],
)
def test_a_library_is_known_however_its_address_is_written(
    remote: str, source: str, library: Path, tmp_path: Path
) -> None:
    git(library, "remote", "set-url", "origin", remote)
    git(library, "tag", "--force", "v1.0.0", "HEAD")
    run = audited(tmp_path, library, commits={f"{source}?ref=v1.0.0": git(library, "rev-parse", "HEAD~1")})
    assert (run.status, [moved["tag"] for moved in run.found["moved_tags"]]) == (2, ["v1.0.0"])


def test_a_tag_that_is_gone_is_told_as_such_and_its_call_as_not_pinned(library: Path, tmp_path: Path) -> None:
    first = git(library, "rev-parse", "v1.0.0^{commit}")
    git(library, "tag", "v2.0.0")
    git(library, "tag", "--delete", "v1.0.0")
    run = audited(tmp_path, library, f"{SOURCE}?ref=v9.9.9", commits={f"{SOURCE}?ref=v1.0.0": first})
    assert [(moved["tag"], moved["is_gone"]) for moved in run.found["moved_tags"]] == [("v1.0.0", True)]
    assert run.reasons == ["no_such_ref", "no_such_ref"]
