from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from envtune.training.checkpoint_io import AtomicCheckpointIO, update_of
from envtune.training.csv_log import CSVLog, read_rows
from envtune.training.rewind import rewind


def written_run(folder: Path) -> Path:
    """What a run leaves that was killed in update 4: rows, curves and trajectories of updates 0 to 4, two best ones."""
    csv_log, curves = CSVLog(str(folder / "csv")), SummaryWriter(str(folder / "tensorboard"))
    (folder / "trajectories/train").mkdir(parents=True)
    for update in range(5):
        csv_log.log_metrics({"kl": update / 4}, step=update)
        curves.add_scalar("kl", update / 4, update)
        curves.add_text("trajectory/best", str(update), update)
        for name in (f"update_{update:06d}.jsonl", f"update_{update:06d}.rank_1.jsonl"):
            (folder / "trajectories/train" / name).write_text(name)
    curves.close()
    for update in (2, 4):
        save_best(folder, update)
    for litter in ("trajectories/train/update_000002.jsonl.partial", "checkpoints/last.ckpt.new"):
        (folder / litter).write_text("half")
    return folder


def save_best(folder: Path, update: int) -> None:
    weights = {"weight": torch.tensor(float(update))}
    AtomicCheckpointIO().save_checkpoint(
        {"global_step": update, "state_dict": weights}, folder / "checkpoints/best.ckpt"
    )


def steps_of(folder: Path) -> tuple[list[int], list[int]]:
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [s.step for s in events.Scalars("kl")], [t.step for t in events.Tensors("trajectory/best/text_summary")]


def test_what_was_written_after_the_checkpoint_is_gone_and_the_rest_stays(tmp_path: Path):
    folder = written_run(tmp_path)
    rewind(folder, 2)
    assert [row["step"] for row in read_rows(folder / "csv/metrics.csv")] == ["0", "1", "2"]
    assert steps_of(folder) == ([0, 1, 2], [0, 1, 2])
    files = {path.name: path.read_text() for path in folder.rglob("*.jsonl*")}
    kept = [f"update_00000{update}{rank}.jsonl" for update in range(3) for rank in ("", ".rank_1")]
    assert files == {name: name for name in kept}
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["best.ckpt"]
    assert update_of(folder / "checkpoints/best.ckpt") == 2


def test_nothing_is_taken_back_from_a_run_that_wrote_nothing_more(tmp_path: Path):
    folder = written_run(tmp_path)
    rewind(folder, 4)
    assert steps_of(folder) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert len(list(folder.rglob("*.jsonl"))) == 10
    assert update_of(folder / "checkpoints/best.ckpt") == 4
    assert update_of(folder / "checkpoints/best.previous.ckpt") == 2


def test_a_run_that_begins_anew_leaves_nothing(tmp_path: Path):
    folder = written_run(tmp_path)
    (folder / "run.json").write_text("{}")
    rewind(folder, -1)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["run.json"]


def test_events_that_were_cut_off_end_where_they_were(tmp_path: Path):
    folder = written_run(tmp_path)
    (events,) = (folder / "tensorboard").iterdir()
    events.write_bytes(events.read_bytes()[:-7])
    rewind(folder, 4)
    # The last record is the text of update 4.
    assert steps_of(folder) == ([0, 1, 2, 3, 4], [0, 1, 2, 3])


def test_a_best_checkpoint_without_an_earlier_one_is_taken_away_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    save_best(tmp_path, 4)
    with caplog.at_level(logging.WARNING, logger="envtune"):
        rewind(tmp_path, 2)
    assert not list(tmp_path.rglob("*.ckpt"))
    assert f"{tmp_path}/checkpoints/best.ckpt was of a later update and is gone" in caplog.text


def test_the_record_of_settings_and_outcome_is_not_written_twice(tmp_path: Path):
    curves = SummaryWriter(str(tmp_path / "tensorboard"))
    curves.add_scalar("hp/success", 0.5, 4)
    curves.add_scalar("val/success", 0.5, 4)
    curves.close()
    rewind(tmp_path, 4)
    assert EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"] == ["val/success"]
