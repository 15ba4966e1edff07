from __future__ import annotations

from pathlib import Path

from envtune.training.csv_log import CSVLog, read_rows


def test_rows_are_on_the_disk_at_once_and_new_names_widen_the_table(tmp_path: Path):
    log = CSVLog(str(tmp_path / "csv"))
    log.log_metrics({"kl": 0.5}, step=1)
    log.log_metrics({"val/success": 1.0}, step=1)
    log.log_metrics({"kl": 0.25}, step=2)
    text = (tmp_path / "csv/metrics.csv").read_text()
    assert text.splitlines() == ["kl,step,val/success", "0.5,1,", ",1,1.0", "0.25,2,"]


def test_another_log_in_the_folder_goes_on_with_the_rows_that_are_there(tmp_path: Path):
    CSVLog(str(tmp_path)).log_metrics({"kl": 0.5}, step=1)
    CSVLog(str(tmp_path)).log_metrics({"entropy": 2.0}, step=2)
    rows = [{"kl": "0.5", "step": "1", "entropy": ""}, {"kl": "", "step": "2", "entropy": "2.0"}]
    assert read_rows(tmp_path / "metrics.csv") == rows


def test_a_row_that_was_cut_off_is_left_out(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    for cut in ("0.75", "0.75,", "0.75,2"):
        path.write_text(f"kl,step\n0.5,1\n{cut}")
        assert read_rows(path) == [{"kl": "0.5", "step": "1"}]
