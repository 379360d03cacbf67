"""What is said of the package, held against what builds it."""

from __future__ import annotations

import re
import subprocess

import pytest

from scripts.package.__main__ import _parser
from scripts.package.build import APP_FOLDER, CLI_CONFIG, PROGRAM
from scripts.package.errors import spelt
from scripts.package.terraform_release import read_pin
from tests.world.commands import ROOT

OPTIONS = {"WITHOUT_PROVIDERS": "without-providers", "CHANGES": "with-changes"}
"""Those that take no value, by their variables."""


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_settings_of_an_app_are_where_the_package_has_them() -> None:
    documented = re.findall(r"^ *(TF_\w+=\S+)$", text_of("docs/hosting.md"), re.MULTILINE)
    assert documented == [f"TF_BINARY={APP_FOLDER}/{PROGRAM}", f"TF_CLI_CONFIG_FILE={APP_FOLDER}/{CLI_CONFIG}"]


def test_make_hands_on_what_the_builder_knows() -> None:
    handed_on = re.findall(r"\$\((\w+):%=(--[a-z-]+) %\)", text_of("Makefile"))
    assert handed_on
    for variable, option in handed_on:
        assert vars(_parser().parse_args([option, "here"]))[variable.lower()]


@pytest.mark.parametrize("variable", ["WITHOUT_PROVIDERS", "CHANGES"])
@pytest.mark.parametrize("is_said", [False, True], ids=["unless it is told to", "where it is told to"])
def test_make_builds_otherwise_only(is_said: bool, variable: str) -> None:
    said = [f"{variable}=1"] if is_said else []
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "package", "LOCKS=a b", *said],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    command = shown.stdout.partition("scripts.package ")[2]
    assert "--locks a --locks b" in command
    assert re.findall(r"--with\S+", command) == ([f"--{OPTIONS[variable]}"] if is_said else [])


@pytest.mark.parametrize("option", ["estate", "locks", "mirror", "terraform", *OPTIONS.values()])
def test_errors_name_options_as_make_takes_them(option: str) -> None:
    variable, _, rest = spelt(option, "" if option in OPTIONS.values() else "HERE").partition("=")
    assert f"$({variable}:%=--{option} %)" in text_of("Makefile") or f"$(if $({variable}),--{option})" in text_of(
        "Makefile"
    )
    flag = re.findall(r"\((.+)\)", rest)[0].split()
    assert vars(_parser().parse_args(flag))[variable.lower()]


def test_the_terraform_that_was_measured_is_the_one_that_is_pinned() -> None:
    assert f"Terraform {read_pin().version} |" in text_of("docs/adr/0020-where-terraform-comes-from.md")


def test_nothing_that_builds_is_in_the_package() -> None:
    assert "scripts/" in text_of(".funcignore").splitlines()
