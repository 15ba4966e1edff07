from __future__ import annotations

from pathlib import Path

import pytest
from made_scores import record

from envtune.errors import UserError
from envtune.evaluation.ood.record import read_records, write_record


def test_a_record_is_read_as_it_was_written(tmp_path: Path):
    retail, steps = record(choice="tau2_retail", parts={"retail": {"τ": 0.5}}, limit=1), record(user=None)
    for each in (retail, steps):
        write_record(tmp_path, each)
    assert read_records(tmp_path) == [steps, retail]


def test_a_benchmark_that_is_scored_again_takes_the_place_of_its_record(tmp_path: Path):
    write_record(tmp_path, record(broken=3))
    write_record(tmp_path, record(broken=0))
    assert [each.broken for each in read_records(tmp_path)] == [0]


def test_one_column_has_one_score(tmp_path: Path):
    write_record(tmp_path, record(choice="acebench"))
    write_record(tmp_path, record(choice="acebench_multi_step"))
    expected = r"acebench\.json and acebench_multi_step\.json both score acebench multi_step: delete one"
    with pytest.raises(UserError, match=expected):
        read_records(tmp_path)


def test_a_folder_is_of_one_checkpoint(tmp_path: Path):
    write_record(tmp_path, record("base"))
    write_record(tmp_path, record("tuned", choice="tau2_retail", parts={"retail": {"0": 1.0}}))
    with pytest.raises(UserError, match=r"several checkpoints \(base, tuned\)"):
        read_records(tmp_path)


def test_an_empty_folder_and_a_foreign_file_are_told_apart(tmp_path: Path):
    with pytest.raises(UserError, match=r"holds no scores: name a folder that tools/ood\.py has written"):
        read_records(tmp_path)
    (tmp_path / "scores.json").write_text('{"accuracy": 1}', encoding="utf-8")
    with pytest.raises(UserError, match=r"scores\.json cannot be used \(.*it is not a record of tools/ood\.py"):
        read_records(tmp_path)
