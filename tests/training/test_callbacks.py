from __future__ import annotations

import errno
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import rich
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy_training import toy_datamodule, toy_module, toy_trainer

from envtune import trajectory_file
from envtune.files.atomic_file import WriteError
from envtune.training.reporting.trajectory_log import TrajectoryLog
from envtune.training.reporting.update_progress import UpdateProgress, describe
from envtune.training.reporting.validation_history import ValidationHistory
from envtune.trajectory import Trajectory


class Played:
    """Keeps all that a datamodule's collector plays, in order."""

    def __init__(self, datamodule: Any) -> None:
        self.batches: list[list[Trajectory]] = []
        play = datamodule.collector.play

        def kept(*arguments: Any, **options: Any) -> list[Trajectory]:
            self.batches.append(play(*arguments, **options))
            return self.batches[-1]

        datamodule.collector.play = kept


def read_back(path: Path) -> list[Trajectory]:
    return [trajectory_file.from_json(record) for record in trajectory_file.read(path)]


def test_every_trajectory_is_kept_with_its_reward_and_reads_back_equal(tokenizer: Any, tmp_path: Path):
    datamodule = toy_datamodule(tokenizer)
    played = Played(datamodule)
    log = TrajectoryLog(str(tmp_path / "kept"), with_tokens=True)
    trainer = toy_trainer(tmp_path, [log], max_steps=2, val_check_interval=2, limit_val_batches=1.0)
    trainer.fit(toy_module(), datamodule)
    names = ["train/update_000001.jsonl", "train/update_000002.jsonl", "val/update_000002.jsonl"]
    assert sorted(str(path.relative_to(tmp_path / "kept")) for path in tmp_path.rglob("*.jsonl")) == names
    assert [read_back(tmp_path / "kept" / name) for name in names] == played.batches
    records = list(trajectory_file.read(tmp_path / "kept" / names[0]))
    for record, trajectory in zip(records, played.batches[0], strict=True):
        value = float(trajectory.seed % 97)
        assert record["reward"] == {"total": value, "parts": {"seed": {"value": value, "weight": 1.0}}}


def test_best_median_and_worst_become_text_at_every_nth_update(tokenizer: Any, tmp_path: Path):
    logger = TensorBoardLogger(tmp_path, name="", version="")
    datamodule = toy_datamodule(tokenizer)
    played = Played(datamodule)
    log = TrajectoryLog(str(tmp_path), text_every=2)
    toy_trainer(tmp_path, [log], max_steps=3, logger=logger).fit(toy_module(), datamodule)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    rewards = sorted(float(trajectory.seed % 97) for trajectory in played.batches[1])
    for name, reward in (("worst", rewards[0]), ("median", rewards[2]), ("best", rewards[3])):
        texts = events.Tensors(f"trajectory/{name}/text_summary")
        assert [text.step for text in texts] == [2]
        assert f"reward {reward:.3f} (seed {reward:.3f})" in texts[0].tensor_proto.string_val[0].decode()
    assert [scalar.step for scalar in events.Scalars("reward/mean")] == [1, 2, 3]


def test_a_full_disk_stops_the_run_and_leaves_earlier_files_whole(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dumps = json.dumps
    written = []

    def full_after_six(record: Any, **options: Any) -> str:
        # The tools write their results with the same function.
        if "task_id" in record:
            written.append(record)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        return dumps(record, **options)

    monkeypatch.setattr(trajectory_file.json, "dumps", full_after_six)
    datamodule = toy_datamodule(tokenizer)
    played = Played(datamodule)
    with pytest.raises(WriteError, match=r"the disk is full while writing .*/train/update_000002\.jsonl: free some"):
        toy_trainer(tmp_path, [TrajectoryLog(str(tmp_path), with_tokens=True)], max_steps=3).fit(
            toy_module(), datamodule
        )
    # Four episodes in the first update; the second failed at its third line.
    assert [path.name for path in tmp_path.rglob("*.jsonl*")] == ["update_000001.jsonl"]
    assert read_back(tmp_path / "train" / "update_000001.jsonl") == played.batches[0]


def test_a_sanity_check_before_the_first_update_plays_with_the_models_weights(tokenizer: Any, tmp_path: Path):
    datamodule = toy_datamodule(tokenizer)
    played = Played(datamodule)
    toy_trainer(tmp_path, num_sanity_val_steps=1, limit_val_batches=1.0).fit(toy_module(), datamodule)
    assert [[t.policy_version for t in batch] for batch in played.batches] == [[0] * 2, [0] * 4]


def test_text_must_come_at_some_update():
    with pytest.raises(ValueError, match="text_every=0 must be a whole number of at least 1"):
        TrajectoryLog("folder", text_every=0)


class Validated:
    """Stands for a Trainer that has just validated."""

    def __init__(self, global_step: int, **metrics: float) -> None:
        self.global_step = global_step
        self.callback_metrics = {name.replace("_", "/"): torch.tensor(value) for name, value in metrics.items()}


def test_history_keeps_the_first_validation_and_the_newest():
    history = ValidationHistory()
    assert history.newest_update == -1
    for update, success in ((0, 0.25), (5, 0.5), (8, 0.75)):
        history.on_validation_end(Validated(update, val_success_overall=success, reward_mean=9.0), None)
    assert (history.before, history.after) == ({"val/success/overall": 0.25}, {"val/success/overall": 0.75})
    assert history.curve == [(0, 0.25), (5, 0.5), (8, 0.75)]
    assert history.newest_update == 8


def test_a_continued_run_still_knows_its_first_validation(tokenizer: Any, tmp_path: Path):
    checkpoint = ModelCheckpoint(tmp_path, filename="last", every_n_train_steps=1, save_on_train_epoch_end=False)
    options: dict[str, Any] = {"enable_checkpointing": True, "limit_val_batches": 1.0}
    first = ValidationHistory()
    trainer = toy_trainer(tmp_path, [first, checkpoint], **options)
    module, datamodule = toy_module(), toy_datamodule(tokenizer)
    trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule)
    assert set(first.before) >= {"val/success/overall", "val/success/base", "val/progress/overall", "val/progress/base"}

    second = ValidationHistory()
    trainer = toy_trainer(tmp_path, [second], max_steps=2, **options)
    continued = toy_datamodule(tokenizer)
    played = Played(continued)
    module = toy_module()
    trainer.fit(module, continued, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert (second.before, second.after, second.newest_update) == (first.before, first.after, 0)
    # The second update, of the tasks that the first did not draw, by the weights that it left.
    assert {trajectory.policy_version for trajectory in played.batches[0]} == {1}
    assert continued.state_dict() == {"drawn": [4]}
    assert len(played.batches) == 1
    uninterrupted, datamodule = toy_module(), toy_datamodule(tokenizer)
    toy_trainer(tmp_path, max_steps=2).fit(uninterrupted, datamodule)
    pairs = zip(uninterrupted.parameters(), module.parameters(), strict=True)
    assert all(ours.equal(theirs) for ours, theirs in pairs)


def test_progress_is_one_log_line_per_update(
    tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.INFO, logger="envtune"):
        trainer = toy_trainer(tmp_path, [UpdateProgress()], max_steps=3, enable_progress_bar=True)
        trainer.fit(toy_module(), toy_datamodule(tokenizer))
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("envtune")]
    number = r"[-+.e\d]+"
    form = rf"reward {number}  success 0.0%  KL {number}  seconds per update {number}  resident memory \d+\.\d\d GiB"
    assert len(lines) == 3
    for update, line in enumerate(lines, 1):
        assert re.fullmatch(rf"update {update}/3  {form}", line)
    assert "update" not in capfd.readouterr().out


def test_a_terminal_gets_a_bar_that_is_closed_after_an_error(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    console = Console(force_terminal=True, width=160, record=True)
    monkeypatch.setattr(rich, "_console", console)
    trainer = toy_trainer(tmp_path, [UpdateProgress()], max_steps=3, enable_progress_bar=True)
    datamodule = toy_datamodule(tokenizer)
    play = datamodule.collector.play

    def fails_in_the_second_update(*arguments: Any) -> Any:
        if trainer.global_step == 1:
            raise RuntimeError("the tools broke")
        return play(*arguments)

    datamodule.collector.play = fails_in_the_second_update
    with pytest.raises(RuntimeError, match="the tools broke"):
        trainer.fit(toy_module(), datamodule)
    shown = console.export_text()
    assert re.search(r"update\s+1/3", shown)
    assert "reward" in shown
    assert not console._live_stack


def test_only_numbers_that_are_there_are_put_into_words():
    assert describe({"reward/mean": 0.3124, "success": torch.tensor(0.042), "x": 1}) == "reward 0.312  success 4.2%"
    assert describe({}) == ""
