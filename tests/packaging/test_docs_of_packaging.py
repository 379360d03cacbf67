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


@pytest.mark.parametrize("said", [[], ["WITHOUT_PROVIDERS=1"]], ids=["unless it is told to", "where it is told to"])
def test_make_builds_without_providers_only(said: list[str]) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "package", "LOCKS=a b", *said],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    command = shown.stdout.partition("scripts.package ")[2]
    assert "--locks a --locks b" in command
    assert ("--without-providers" in command) == bool(said)


@pytest.mark.parametrize("option", ["estate", "locks", "mirror", "terraform", "without-providers"])
def test_errors_name_options_as_make_takes_them(option: str) -> None:
    variable, _, rest = spelt(option, "" if option == "without-providers" else "HERE").partition("=")
    assert f"$({variable}:%=--{option} %)" in text_of("Makefile") or f"$(if $({variable}),--{option})" in text_of(
        "Makefile"
    )
    flag = re.findall(r"\((.+)\)", rest)[0].split()
    assert vars(_parser().parse_args(flag))[variable.lower()]


def test_the_terraform_that_was_measured_is_the_one_that_is_pinned() -> None:
    assert f"Terraform {read_pin().version} |" in text_of("docs/adr/0020-where-terraform-comes-from.md")


def test_nothing_that_builds_is_in_the_package() -> None:
    assert "scripts/" in text_of(".funcignore").splitlines()
