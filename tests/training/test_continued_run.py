"""Continuing with Lightning's own Trainer, as a program other than train.py does it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback
from toy_training import toy_datamodule, toy_module, toy_trainer

from envtune.errors import UserError
from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.reporting.trajectory_log import TrajectoryLog
from envtune.training.reporting.validation_history import ValidationHistory
from envtune.training.resume.continued_run import adopt_checkpoint, find_resume_checkpoint, resume_run
from envtune.training.resume.last_checkpoint import LastCheckpoint
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO, update_of
from envtune.training.run_folder.csv_log import CSVLog, read_rows
from envtune.training.run_folder.run_files import files_written_by
from envtune.training.run_folder.run_record import write_run_record


class Interrupted(Exception):
    """Stands for a kill, which a test of this process cannot survive."""


class Noise(Callback):
    """Moves the weights at random, by every process-wide generator; ``fails_at`` raises after an update instead."""

    def __init__(self, fails_at: int = -1) -> None:
        self._fails_at = fails_at
        self.thrown: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if trainer.global_step == self._fails_at:
            raise Interrupted
        self.thrown.append(random.random() + float(np.random.random()) + float(torch.rand(())))
        with torch.no_grad():
            next(module.parameters()).add_(self.thrown[-1] / 100)


class BestStep(BestCheckpoint):
    """Takes the number of the update for the result of its validation."""

    def _measure(self, trainer: Any) -> float:
        return float(trainer.global_step)


def fit(
    tokenizer: Any, folder: Path, fails_at: int = -1, updates: int = 7, best: str = "max", **options: Any
) -> tuple[Any, Noise]:
    """Epochs of two updates, a validation after every third update, checkpoints after every second."""
    start = resume_run(folder)
    noise = Noise(fails_at)
    keeper = BestStep(str(folder / "checkpoints"), mode=best)
    callbacks = [noise, TrajectoryLog(str(folder)), keeper, LastCheckpoint(str(folder / "checkpoints"), every=2)]
    settings = {"max_steps": updates, "val_check_interval": 3, "limit_val_batches": 1.0, "enable_checkpointing": True}
    logger = CSVLog(str(folder))
    settings |= {"logger": logger, "plugins": [AtomicCheckpointIO()]}
    write_run_record(str(folder), {}, [], start=start, files=files_written_by(folder, [*callbacks, logger]))
    trainer = toy_trainer(folder, callbacks, **(settings | options))
    module, datamodule = toy_module(), toy_datamodule(tokenizer)
    seed_everything()
    trainer.fit(module, datamodule, ckpt_path=start, weights_only=True)
    return module, noise


def seed_everything() -> None:
    """The state in which every process begins."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def exact_rows(folder: Path) -> list[dict[str, str]]:
    clocked = ("time/", "perf/")
    return [{n: v for n, v in row.items() if not n.startswith(clocked)} for row in read_rows(folder / "metrics.csv")]


@pytest.fixture(scope="module")
def whole(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Noise]:
    """A run that nothing interrupts: its folder, its module and its noise."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *fit(tokenizer, folder)


@pytest.mark.parametrize(("fails_at", "goes_on_after"), [(1, -1), (4, 3), (6, 4), (7, 6)])
def test_a_run_of_the_users_own_trainer_is_resumed_exactly(
    tokenizer: Any, tmp_path: Path, whole: tuple[Path, Any, Noise], fails_at: int, goes_on_after: int
):
    folder, expected, noise = whole
    with pytest.raises(Interrupted):
        fit(tokenizer, tmp_path, fails_at)
    last = tmp_path / "checkpoints/last.ckpt"
    assert (update_of(last) if last.exists() else -1) == goes_on_after
    module, continued = fit(tokenizer, tmp_path)
    assert continued.thrown == noise.thrown[max(goes_on_after, 0) :]
    pairs = zip(expected.parameters(), module.parameters(), strict=True)
    assert all(ours.equal(theirs) for ours, theirs in pairs)
    assert exact_rows(tmp_path) == exact_rows(folder)
    files = [sorted((p.name, p.read_text()) for p in home.glob("*/*.jsonl")) for home in (tmp_path, folder)]
    assert files[0] == files[1]


def test_metrics_are_logged_at_the_same_updates_if_not_at_all(tokenizer: Any, tmp_path: Path):
    options = {"log_every_n_steps": 2}
    fit(tokenizer, tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        fit(tokenizer, tmp_path / "broken", fails_at=4, **options)
    fit(tokenizer, tmp_path / "broken", **options)
    assert exact_rows(tmp_path / "broken") == exact_rows(tmp_path / "whole")


def test_a_longer_run_is_the_shorter_one_continued(tokenizer: Any, tmp_path: Path):
    expected, _ = fit(tokenizer, tmp_path / "long", updates=6)
    fit(tokenizer, tmp_path / "short", updates=5)
    module, _ = fit(tokenizer, tmp_path / "short", updates=6)
    assert all(a.equal(b) for a, b in zip(expected.parameters(), module.parameters(), strict=True))
    assert exact_rows(tmp_path / "short") == exact_rows(tmp_path / "long")


def test_a_run_whose_folder_was_moved_remembers_how_good_its_best_checkpoint_was(tokenizer: Any, tmp_path: Path):
    # The smallest step: no validation is better than the first, after update 3.
    fit(tokenizer, tmp_path / "here", updates=5, best="min")
    (tmp_path / "here").rename(tmp_path / "there")
    fit(tokenizer, tmp_path / "there", updates=6, best="min")
    assert update_of(tmp_path / "there/checkpoints/best.ckpt") == 3


class Stop(Callback):
    def on_validation_end(self, trainer: Any, module: Any) -> None:
        trainer.should_stop = True


def test_a_run_that_was_over_stays_over_and_knows_its_validations(tokenizer: Any, tmp_path: Path):
    def trainer_of(history: ValidationHistory) -> Any:
        last = LastCheckpoint(str(tmp_path / "checkpoints"))
        options: dict[str, Any] = {"max_steps": 9, "val_check_interval": 2, "limit_val_batches": 1.0}
        return toy_trainer(tmp_path, [history, Stop(), last], enable_checkpointing=True, **options)

    history = ValidationHistory()
    trainer = trainer_of(history)
    trainer.fit(toy_module(), toy_datamodule(tokenizer))
    trainer.save_checkpoint(tmp_path / "checkpoints/last.ckpt", weights_only=False)
    continued = ValidationHistory()
    trainer = trainer_of(continued)
    trainer.fit(toy_module(), toy_datamodule(tokenizer), ckpt_path=resume_run(tmp_path), weights_only=True)
    assert trainer.global_step == 2
    assert history.newest_update == 2
    assert (continued.before, continued.after, continued.newest_update) == (history.before, history.after, 2)
    assert continued.curve == history.curve != []


def test_a_checkpoint_of_several_devices_is_refused_on_another_number(tokenizer: Any, tmp_path: Path):
    fit(tokenizer, tmp_path, updates=3)
    path = tmp_path / "checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["run"]["random_states"] *= 2
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    with pytest.raises(
        UserError, match="the checkpoint was saved on 2 devices, but this run has 1: continue on as many"
    ):
        fit(tokenizer, tmp_path)


def test_a_file_of_another_run_starts_a_new_one_and_leaves_the_other_alone(tokenizer: Any, tmp_path: Path):
    fit(tokenizer, tmp_path / "old", updates=4)
    before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    last = tmp_path / "old/checkpoints/last.ckpt"
    assert find_resume_checkpoint(str(last), str(tmp_path / "new")) == last
    assert {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()} == before
    # A file of the folder itself continues the run in it.
    assert find_resume_checkpoint(str(last), str(tmp_path / "old")) == last
    assert [row["step"] for row in read_rows(tmp_path / "old/metrics.csv")] == ["1", "2", "3", "3"]


def test_missing_or_damaged_checkpoints_are_user_errors(tmp_path: Path):
    path = tmp_path / "gone.ckpt"
    with pytest.raises(UserError, match=f"ckpt_path={path} does not exist; give a run's folder or a .ckpt"):
        find_resume_checkpoint(str(path), str(tmp_path / "run"))
    path.write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(UserError, match=rf"checkpoint {path} cannot be read \(it is cut off, or no checkpoint\); give"):
        find_resume_checkpoint(str(path), str(tmp_path / "run"))


def test_weights_alone_and_a_missing_file_of_the_run_itself_change_nothing(tokenizer: Any, tmp_path: Path):
    fit(tokenizer, tmp_path, updates=4)
    weights = tmp_path / "checkpoints/weights.ckpt"
    AtomicCheckpointIO().save_checkpoint({"global_step": 3, "state_dict": {}}, weights)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name, said in (("weights.ckpt", "holds weights alone, from which no run can"), ("lst.ckpt", "does not exist")):
        with pytest.raises(UserError, match=f"{name} {said}"):
            find_resume_checkpoint(str(tmp_path / "checkpoints" / name), str(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_that_starts_from_the_file_of_another_has_a_checkpoint_of_its_own_at_once(tokenizer: Any, tmp_path: Path):
    fit(tokenizer, tmp_path / "old", updates=4)
    last = tmp_path / "old/checkpoints/last.ckpt"
    adopt_checkpoint(last, str(tmp_path / "new"))
    own = tmp_path / "new/checkpoints/last.ckpt"
    assert own.read_bytes() == last.read_bytes()
    assert find_resume_checkpoint("last", str(tmp_path / "new")) == own


def test_checkpoints_come_after_some_update():
    with pytest.raises(UserError, match="every=0 must be a whole number of at least 1: updates"):
        LastCheckpoint("folder", every=0)
