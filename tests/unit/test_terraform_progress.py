"""How far an apply came, from the lines that Terraform 1.11 printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.terraform_progress import Progress, read_progress
from records.terraform import Cause, Diagnostic, DiagnosticSeverity, FailedApply, NoAnswer, Reach, Step
from tests.unit.planner_fake import inconclusive

NO_LOCK = "Error acquiring the state lock"


def line(kind: str, action: str = "update") -> str:
    said: dict[str, Any] = {"@level": "info", "type": kind, "hook": {"resource": {"addr": "a.b"}, "action": action}}
    return json.dumps(said, separators=(",", ":"))


def failed(summary: str = "creating NSG Rule", cause: Cause = Cause.FAILED) -> NoAnswer:
    said = Diagnostic(severity=DiagnosticSeverity.ERROR, summary=summary)
    return inconclusive(cause, step=Step.APPLY, diagnostics=(said,))


@pytest.mark.parametrize(
    ("lines", "progress"),
    [
        pytest.param([], Progress(), id="nothing was printed"),
        pytest.param(['{"type":"version"}', line("planned_change")], Progress(), id="nothing was begun"),
        pytest.param([line("apply_start"), line("apply_progress")], Progress(begun=1), id="one was begun"),
        pytest.param([line("apply_start"), line("apply_errored")], Progress(begun=1, ended=1), id="one failed"),
        pytest.param(
            [line("apply_start"), line("apply_complete")], Progress(begun=1, ended=1, changed=1), id="one was finished"
        ),
        pytest.param(
            [line("apply_start", "read"), line("apply_complete", "read")], Progress(begun=1, ended=1), id="one was read"
        ),
        pytest.param(['{"type":"apply_complete"', '{"type":"apply_complete"}', "{"], Progress(), id="a line is broken"),
        pytest.param(
            [json.dumps({"type": "diagnostic", "diagnostic": {"detail": line("apply_complete")}})],
            Progress(),
            id="somebody else's words are quoted",
        ),
    ],
)
def test_what_was_begun_and_ended_and_changed(lines: list[str], progress: Progress, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("\n".join(lines))
    assert read_progress(tmp_path / "out", seconds=1.0, is_on_disk=False) == progress


def test_an_apply_that_was_not_started_has_printed_nothing(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "out", seconds=0.0, is_on_disk=False) == Progress()


@pytest.mark.parametrize(
    ("progress", "failure", "reach"),
    [
        (Progress(), failed(cause=Cause.NO_ROOM), Reach.NOT_STARTED),
        (Progress(), failed(NO_LOCK), Reach.NO_LOCK),
        (Progress(), failed(NO_LOCK, Cause.TIME_LIMIT), Reach.NOT_BEGUN),
        (Progress(), failed("Saved plan is stale"), Reach.NOT_BEGUN),
        (Progress(begun=1), failed(NO_LOCK), Reach.BEGUN),
        (Progress(begun=1, ended=1, changed=1), failed(), Reach.BEGUN),
    ],
)
def test_how_far_it_came(progress: Progress, failure: NoAnswer, reach: Reach) -> None:
    assert progress.failed(failure) == FailedApply(
        failure=failure, reach=reach, changed=progress.changed, most_writes=1
    )


@pytest.mark.parametrize(
    ("ended", "seconds", "on_disk", "in_azure"),
    [(0, 0.5, 1, 1), (1, 0.5, 2, 1), (1, 1800.0, 2, 1), (4, 19.0, 5, 1), (4, 45.0, 5, 3), (4, 1800.0, 5, 4)],
)
def test_how_often_it_can_have_written_the_state(
    ended: int, seconds: float, on_disk: int, in_azure: int, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("\n".join([line("apply_complete")] * ended))
    assert read_progress(tmp_path / "out", seconds=seconds, is_on_disk=True).most_writes == on_disk
    assert read_progress(tmp_path / "out", seconds=seconds, is_on_disk=False).most_writes == in_azure
