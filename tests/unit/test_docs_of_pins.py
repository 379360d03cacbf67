"""docs/pins.md and the snippets for pull requests, held against the code and run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs would be one more dependency, for this one call

from adapters.table_names import PINS_TABLE
from adapters.telemetry_names import MODULE_EVENT, MODULE_STACKS
from pins.configuration import Trouble
from pins.firmness import FIRMNESS_OF, Reason
from pins.render.sarif import RULES
from pins.wording import BECAUSE
from records.module_pins import (
    DeployedCommit,
    DeployedModulePins,
    DeployedMovedTag,
    LooseReference,
    ModuleVersion,
    PinSummary,
)
from tests.unit.test_cli import trueup
from tests.unit.test_docs import ROOT, headings, table_rows, text_of

GITHUB, AZURE_DEVOPS = "pins-github-actions.yml", "pins-azure-devops.yml"
ROWS = table_rows(text_of("docs/pins.md"))

needs_jq = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("jq"), reason="the scripts are for agents, which have jq"
)


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_reason_is_documented_with_its_firmness() -> None:
    documented = {row[1].strip("`"): row[0].strip("`") for row in ROWS if row[1].strip("`") in set(Reason)}
    assert documented == {str(reason): str(firmness) for reason, firmness in FIRMNESS_OF.items()}
    assert set(BECAUSE) == set(Reason) == set(FIRMNESS_OF)


def test_every_rule_of_sarif_is_documented_with_its_level() -> None:
    documented = {row[0].strip("`"): row[1] for row in ROWS if row[0].strip("`") in {str(rule) for rule in RULES}}
    assert documented == {str(rule): described.level for rule, described in RULES.items()}


def test_every_trouble_is_documented() -> None:
    assert {row[0].strip("`") for row in ROWS} >= set(Trouble)


def test_every_field_of_the_json_is_documented(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        'module "a" {\n  source = "git::https://example.com/m?ref=v1.0.0"\n}\n', encoding="utf-8"
    )
    found: dict[str, Any] = json.loads(trueup("pins", str(tmp_path), "--format", "json").stdout)
    fields = {word: words(row[1]) for row in ROWS for word in words(row[0])}
    assert set(found) - {"schema_version"} <= set(fields)
    for name in ("calls", "modules"):
        (item,) = found[name]
        assert set(item) <= set(fields[name]), name


def test_every_field_of_the_daily_report_is_documented() -> None:
    section = text_of("docs/pins.md").partition("## In the daily report")[2].partition("\n## ")[0]
    fields = {row[0].strip("`"): words(row[1]) for row in table_rows(section)}
    assert set(fields) - {"field of `pins"} == set(PinSummary.model_fields)
    assert set(fields["modules"]) == {*DeployedModulePins.model_fields, *ModuleVersion.model_fields}
    assert set(fields["loose"]) == set(LooseReference.model_fields)
    assert set(fields["moved_tags"]) == {*DeployedMovedTag.model_fields, *DeployedCommit.model_fields}
    for document in ("docs/pins.md", "CHANGELOG.md"):
        for name in (PINS_TABLE, MODULE_EVENT, MODULE_STACKS):
            assert f"`{name}`" in text_of(document)


def test_the_example_of_the_librarys_file_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", text_of("docs/pins.md"), re.DOTALL)
    (tmp_path / "library.yaml").write_text(block, encoding="utf-8")
    (tmp_path / "main.tf").write_text("", encoding="utf-8")
    run = trueup("pins", str(tmp_path), "--library-file", str(tmp_path / "library.yaml"))
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("title", ["a-floating-pin", "a-fork", "several-versions-of-a-module", "a-moved-tag"])
def test_the_runbook_says_what_a_person_does(title: str) -> None:
    assert title in headings(text_of("docs/runbook.md"))


def script_of(file: str) -> str:
    document = yaml.safe_load((ROOT / "docs" / "pipelines" / file).read_text(encoding="utf-8"))
    steps = document["jobs"]["pins"]["steps"] if file == GITHUB else document["steps"]
    (step,) = [step for step in steps if "audit" in {step.get("id"), step.get("name")}]
    script: str = step.get("run") or step["bash"]
    return script


def variables_of(file: str) -> dict[str, str]:
    document = yaml.safe_load((ROOT / "docs" / "pipelines" / file).read_text(encoding="utf-8"))
    variables: dict[str, str] = document["jobs"]["pins"]["env"] if file == GITHUB else document["variables"]
    return variables


def run_audit(file: str, repository: Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The script as an agent runs it, with the real trueup and jq."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "trueup").write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -c "from commands.terminal import main; main()" "$@"\n',
        encoding="utf-8",
    )
    (bin_folder / "trueup").chmod(0o755)
    given = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "AGENT_TEMPDIRECTORY": str(folder),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    return subprocess.run(
        ["bash", "-c", script_of(file)],
        cwd=repository,
        env=given | variables_of(file) | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_jq
@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (GITHUB, "::error title=floating-pin,file=stacks/de/main.tf,line=2::module kv is floating"),
        (
            AZURE_DEVOPS,
            "##vso[task.logissue type=error;sourcepath=stacks/de/main.tf;linenumber=2]module kv is floating",
        ),
    ],
)
def test_a_snippet_fails_a_pull_request_on_a_floating_pin_and_shows_it_at_its_line(
    file: str, shown: str, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    main = repository / "stacks" / "de" / "main.tf"
    main.parent.mkdir(parents=True)
    (repository / ".git").mkdir()
    main.write_text('module "kv" {\n  source = "git::https://example.com/m?ref=main"\n}\n', encoding="utf-8")
    failed = run_audit(file, repository, tmp_path / "first")
    assert (failed.returncode, failed.stderr.replace(f"The report is in {tmp_path}/first/pins.sarif\n", "")) == (2, "")
    assert shown in failed.stdout
    summary = tmp_path / "first" / ("summary.md" if file == GITHUB else "pins.md")
    assert "Not pinned" in summary.read_text(encoding="utf-8")
    main.write_text('module "kv" {\n  source = "git::https://example.com/m?ref=v1.0.0"\n}\n', encoding="utf-8")
    passed = run_audit(file, repository, tmp_path / "second")
    assert passed.returncode == 0
    assert "logissue" not in passed.stdout
    assert "::error" not in passed.stdout
    broken = run_audit(file, repository, tmp_path / "third", PINS_LIBRARY_FILE="nowhere.yaml")
    assert broken.returncode == 1


@needs_jq
@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (GITHUB, "file=stäcks 100%25/d%2Ce/ключ-\N{KEY}.tf,line=2::"),
        (AZURE_DEVOPS, "sourcepath=stäcks 100%AZP25/d,e/ключ-\N{KEY}.tf;linenumber=2]"),
    ],
)
def test_a_snippet_names_the_file_as_the_repository_does(file: str, shown: str, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    main = repository / "stäcks 100%" / "d,e" / "ключ-\N{KEY}.tf"
    main.parent.mkdir(parents=True)
    (repository / ".git").mkdir()
    main.write_text('module "kv" {\n  source = "git::https://example.com/m?ref=main"\n}\n', encoding="utf-8")
    found = run_audit(file, repository, tmp_path / "work")
    assert shown in found.stdout


@needs_jq
def test_azure_devops_publishes_what_was_written_alone(tmp_path: Path) -> None:
    document = yaml.safe_load((ROOT / "docs" / "pipelines" / AZURE_DEVOPS).read_text(encoding="utf-8"))
    (publish,) = [step for step in document["steps"] if "publish" in step]
    (variable,) = re.findall(r"\$\((\w+)\)", publish["publish"])
    assert publish["condition"] == f"and(succeededOrFailed(), ne(variables['{variable}'], ''))"
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "main.tf").write_text("", encoding="utf-8")
    setting = f"##vso[task.setvariable variable={variable}]"
    written = run_audit(AZURE_DEVOPS, tmp_path / "repository", tmp_path / "first")
    assert f"{setting}{tmp_path}/first/pins.sarif\n" in written.stdout
    broken = run_audit(AZURE_DEVOPS, tmp_path / "repository", tmp_path / "second", PINS_LIBRARY_FILE="nowhere.yaml")
    assert (broken.returncode, setting in broken.stdout) == (1, False)


@pytest.mark.parametrize("file", [GITHUB, AZURE_DEVOPS])
def test_nothing_is_written_into_a_script_by_the_service(file: str) -> None:
    assert "${{" not in script_of(file)
    assert not re.search(r"\$\(\s*[\w.-]+\s*\)", script_of(file))


@pytest.mark.parametrize("file", [GITHUB, AZURE_DEVOPS])
def test_a_snippet_names_only_options_that_there_are(file: str) -> None:
    told = trueup("pins", "--help").stdout
    assert all(option in told for option in re.findall(r"--(?:format|output|library-file)", script_of(file)))
