"""`make demo-drift` runs to its end, and shows what it promises."""

import os
import re
import subprocess
import sys
from typing import Final

import pytest

from tests.world.commands import LIMIT_SECONDS, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.terraform]

_PASSED_ON: Final = ("PATH", "HOME")


def test_the_demonstration_shows_that_records_agree_and_that_a_plan_finds_the_click() -> None:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    done = subprocess.run(
        [sys.executable, "examples/demo_drift.py"],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    before, click, after = done.stdout.partition("in the portal: somebody opens")
    assert click
    assert "trueup drift check" not in before
    reconciled, checked, *_ = re.split(r"\$ (?:HEAL_MODE=on )?trueup drift check", after)
    assert "$ HEAL_MODE=on trueup drift heal --estate" in after
    assert "The only stack is healthy" in reconciled
    assert "de/network  held (dry_run)" in checked
    assert 'access = "Allow" -> "Deny"' in checked
    assert re.search(r"3 stacks: 2 clean, 1 held", checked)
    (folder,) = set(re.findall(r"--estate (\S+)", done.stdout))
    assert not os.path.exists(folder)  # noqa: PTH110
