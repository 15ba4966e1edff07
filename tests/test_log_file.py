from __future__ import annotations

import logging
from pathlib import Path

import pytest
from full_disk import files_end_after

from envtune.files.log_file import LogFile


def test_a_log_that_cannot_be_written_says_so_once_and_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "train.log"
    handler = LogFile(path)
    with files_end_after(12):
        for number in range(5):
            handler.handle(logging.makeLogRecord({"msg": f"update {number}"}))
    told = f"warning: the size limit of files is reached while writing {path}: raise it (ulimit -f); "
    assert capsys.readouterr().err == told + "until then the log is incomplete\n"
    # What did not fit waits.
    handler.handle(logging.makeLogRecord({"msg": "update 5"}))
    handler.close()
    assert path.read_text().splitlines() == [f"update {number}" for number in range(6)]


def test_a_message_that_cannot_be_formatted_is_a_mistake_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    handler = LogFile(tmp_path / "train.log")
    handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("text",)}))
    handler.close()
    assert "Traceback" in capsys.readouterr().err
