"""How a run's file is put in place."""

from pathlib import Path

import pytest

from adapters.run_files import newest_files, write_run_file
from records.errors import StoreUnavailableError
from records.plan_checks import CheckRunRow
from tests.contract_worlds import SIX

ROW = CheckRunRow(run_id="r", started_at=SIX)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    write_run_file(tmp_path, started_at=SIX, run_id="r", content=ROW)
    (file,) = newest_files(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(StoreUnavailableError):
        write_run_file(tmp_path, started_at=SIX, run_id="r", content=ROW)
    assert list(tmp_path.iterdir()) == [file]
