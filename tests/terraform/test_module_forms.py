"""The golden table of module calls, held against the real Terraform: which of them it can read. Nothing is fetched."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pins.firmness import Reason
from tests.golden.test_module_calls import FOLDER, Form, forms, text_of

pytestmark = pytest.mark.terraform

NOWHERE = "http://127.0.0.1:9"
INVALID_SOURCE = ("Invalid module source address", "Invalid registry module source address")
REFUSED_THOUGH_DOCUMENTED = {"git, scp-like, no ref", "git, scp-like, a tag"}
"""Terraform 1.11 takes no user but ``git`` in these, whatever its documentation says."""
REFUSED_FOR_THEIR_VERSION = {"local, a version that means nothing"}


def said_by_terraform(form: Form, root: Path) -> str:
    source, version = text_of(form.source), text_of(form.version)
    folder = root / FOLDER
    folder.mkdir(parents=True)
    (root / "network").mkdir()
    arguments = [
        f"  {name} = {json.dumps(text)}\n"
        for name, text in (("source", source), ("version", version))
        if isinstance(text, str)
    ]
    (folder / "main.tf").write_text(f'module "m" {{\n{"".join(arguments)}}}\n', encoding="utf-8")
    closed = {
        "HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "GIT_SSH_COMMAND": "false", "GIT_TERMINAL_PROMPT": "0",
        "CHECKPOINT_DISABLE": "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y",
    }  # fmt: skip
    run = subprocess.run(
        ["terraform", "get", "-no-color"],
        cwd=folder,
        env=os.environ | closed,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return run.stdout + run.stderr


@pytest.mark.slow
def test_terraform_reads_what_we_read_and_refuses_what_we_do(tmp_path: Path) -> None:
    written = [form for form in forms() if isinstance(text_of(form.source), str) and form.version != "${}"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda item: said_by_terraform(item[1], tmp_path / str(item[0])), enumerate(written)))
    exceptions = REFUSED_THOUGH_DOCUMENTED | REFUSED_FOR_THEIR_VERSION
    for form, text in zip(written, said, strict=True):
        is_refused = any(words in text for words in INVALID_SOURCE)
        assert is_refused <= (form.reason == Reason.MALFORMED_SOURCE or form.shows in exceptions), form
        if form.reason == Reason.MALFORMED_SOURCE:
            # Some it refuses only once it would fetch them.
            assert is_refused or "Failed to download module" in text, form
        if form.reason in {Reason.EXACT_VERSION, Reason.VERSION_RANGE}:
            assert "Invalid version constraint" not in text, form
        if "Invalid version constraint" in text:
            assert form.reason in {Reason.MALFORMED_VERSION, Reason.NO_VERSION, Reason.LATEST}, form


@pytest.mark.parametrize(
    ("constraint", "is_met"),
    [
        ("{major}.{minor}.{patch}", True),
        ("= {major}.{minor}.{patch}", True),
        ("v{major}.{minor}.{patch}", True),
        (">= {major}.{minor}.{patch}, <= {major}.{minor}.{patch}", True),
        # Two segments are one version, and not all that begin so.
        ("{major}.{minor}", False),
        ("= {major}.{minor}", False),
        ("~> {major}.{minor}", True),
    ],
)
def test_a_constraint_allows_the_versions_that_terraform_says(constraint: str, is_met: bool, tmp_path: Path) -> None:
    told = subprocess.run(["terraform", "version", "-json"], capture_output=True, text=True, check=True).stdout
    major, minor, patch = json.loads(told)["terraform_version"].split(".")
    if patch == "0":
        pytest.skip("the running Terraform is the very version that two segments are")
    text = constraint.format(major=major, minor=minor, patch=patch)
    (tmp_path / "main.tf").write_text(f'terraform {{\n  required_version = "{text}"\n}}\n', encoding="utf-8")
    run = subprocess.run(["terraform", "init", "-no-color"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode == 0) is is_met, run.stderr
