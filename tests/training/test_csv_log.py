from __future__ import annotations

from pathlib import Path

import pytest
from full_disk import files_end_after

from envtune.files.atomic_file import WriteError
from envtune.training.run_folder.csv_log import CSVLog, read_rows


def test_rows_are_on_the_disk_at_once_and_new_names_widen_the_table(tmp_path: Path):
    log = CSVLog(str(tmp_path / "csv"))
    log.log_metrics({"kl": 0.5}, step=1)
    log.log_metrics({"val/success": 1.0}, step=1)
    log.log_metrics({"kl": 0.25}, step=2)
    text = (tmp_path / "csv/metrics.csv").read_text()
    assert text.splitlines() == ["kl,step,val/success", "0.5,1,", ",1,1.0", "0.25,2,"]


def test_a_row_that_does_not_fit_the_disk_raises_and_earlier_rows_are_kept(tmp_path: Path):
    log, path = CSVLog(str(tmp_path)), tmp_path / "metrics.csv"
    log.log_metrics({"kl": 0.5}, step=1)
    # Half a row fits, or a file with another column does not.
    for room, metrics in ((path.stat().st_size + 2, {"kl": 0.25}), (path.stat().st_size, {"entropy": 2.0})):
        sentence = f"^the size limit of files is reached while writing {path}: "
        with pytest.raises(WriteError, match=sentence), files_end_after(room):
            log.log_metrics(metrics, step=2)
        assert read_rows(path) == [{"kl": "0.5", "step": "1"}]


def test_a_new_log_in_the_folder_appends_to_the_existing_rows(tmp_path: Path):
    CSVLog(str(tmp_path)).log_metrics({"kl": 0.5}, step=1)
    CSVLog(str(tmp_path)).log_metrics({"entropy": 2.0}, step=2)
    rows = [{"kl": "0.5", "step": "1", "entropy": ""}, {"kl": "", "step": "2", "entropy": "2.0"}]
    assert read_rows(tmp_path / "metrics.csv") == rows


def test_a_row_that_was_cut_off_is_left_out(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    for cut in ("0.75", "0.75,", "0.75,2"):
        path.write_text(f"kl,step\n0.5,1\n{cut}")
        assert read_rows(path) == [{"kl": "0.5", "step": "1"}]
