"""What ``--help`` shows of each command, on a terminal of 80 columns."""

import itertools
import re

import pytest
from typer.testing import CliRunner

from commands.help import flowing
from commands.terminal import app

NARROW = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1"}
COMMANDS = [
    *([name] for name in ("reconcile", "record", "repair", "accept", "adopt", "pins")),
    *(
        ["drift", name]
        for name in ("check", "heal", "holds", "history", "approve", "reject", "retry", "pause", "resume")
    ),
]
every_command = pytest.mark.parametrize("command", [[], ["drift"], *COMMANDS], ids=" ".join)


def told(*arguments: str) -> str:
    ended = CliRunner().invoke(app, arguments, env=NARROW)
    assert ended.exit_code == 0
    return ended.stdout


@every_command
def test_the_short_flag_is_taken(command: list[str]) -> None:
    assert told(*command, "-h") == told(*command, "--help")


@every_command
def test_no_flag_looks_as_if_it_took_a_value(command: list[str]) -> None:
    assert not re.search(r"<(bool|str|list|Path)", told(*command, "--help"))


@pytest.mark.parametrize(("command", "last"), [("reconcile", "html>"), ("pins", "sarif>")])
def test_no_choice_breaks_within_a_word(command: str, last: str) -> None:
    assert last in told(command, "--help").split()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_text_breaks_only_where_the_terminal_ends(command: list[str]) -> None:
    before_the_options = told(*command, "--help").split("╭")[0]
    for paragraph in before_the_options.split("\n \n"):
        lines = [line.strip() for line in paragraph.strip().splitlines()]
        for line, following in itertools.pairwise(lines):
            if line and following:
                assert len(line) + 1 + len(following.split()[0]) > 78


def test_a_paragraph_is_one_line() -> None:
    assert flowing("one\ntwo\n\nthree\n  four") == "one two\n\nthree four"
