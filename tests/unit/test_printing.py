"""Where a report goes that is asked for as a file, and what is told where it cannot go there."""

import io
from pathlib import Path

import pytest
import typer
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from commands.printing import opened, print_to


def test_a_file_that_cannot_be_written_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    asked_for = tmp_path / "nonexistent" / "report.md"
    with pytest.raises(typer.BadParameter) as refused, opened(asked_for):
        pytest.fail("the run began")
    assert str(asked_for) in str(refused.value)
    assert ".part" not in str(refused.value)


def test_a_report_that_breaks_off_leaves_the_last_one_and_no_draft(tmp_path: Path) -> None:
    asked_for = tmp_path / "report.md"
    asked_for.write_text("yesterday's")

    def half_of_it() -> None:
        with opened(asked_for) as file:
            file.write("half of")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        half_of_it()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.md", "yesterday's")]


def test_where_a_report_is_is_said_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked_for = tmp_path / "report.md"
    with opened(asked_for) as file:
        file.write("all of it")
    assert capsys.readouterr() == ("", f"The report is in {asked_for}\n")


@pytest.mark.parametrize("output", [None, Path("/dev/null")], ids=["no file", "a device"])
def test_what_was_shown_already_is_not_said_to_be_anywhere(
    output: Path | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(output):
        pass
    assert capsys.readouterr() == ("", "")


def test_in_a_pipe_a_line_is_one_however_long_it_is() -> None:
    remedy = f"→ {'long before ' * 60}run `trueup accept --market de --stack app --by WHO --reason WHY`."
    pipe = io.StringIO()
    print_to(pipe, Group(Padding(Text(f"first\n{remedy}"), (0, 0, 0, 4)), Text("end")))
    assert pipe.getvalue() == f"    first\n    {remedy}\nend\n"
