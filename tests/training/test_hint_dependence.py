"""The difference of progress with and without hints, worked out by hand, and a validation that it leaves as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import settings_of, toy_datamodule, toy_module, toy_trainer
from toy_world import ANSWER, LS, MKDIR, ScriptedGenerator, SeedReward, ToyTasks, toy_collector

from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.reporting import hint_dependence
from envtune.training.reporting.hint_dependence import HintDependence
from envtune.training.reporting.trajectory_log import TrajectoryLog
from envtune.training.run_folder.csv_log import CSVLog, read_rows


def heeds_hints(numbers: Sequence[int]) -> Any:
    """Makes the folder twice, so that the second call fails; lists it only in these tasks and after a hint."""

    def script(users: Sequence[str], seed: int) -> str:
        number = int(users[0].split(":")[0].removeprefix("Task "))
        hinted = number in numbers and any("\nHint: " in text for text in users)
        return (MKDIR, MKDIR, ANSWER, LS if hinted else ANSWER, ANSWER)[len(users) - 1]

    return script


def validated(tokenizer: Any, folder: Path, callback: HintDependence, script: Any) -> tuple[list[Any], Any]:
    """The rows of the metrics after a validation of three tasks (4, 5 and 6), and the generator."""
    generator = ScriptedGenerator(tokenizer, script)
    collector = toy_collector(tokenizer, generator, NoAugmentation(), max_episodes=2)
    datamodule = EnvironmentDataModule(ToyTasks(4, 3), collector, SeedReward(), settings_of())
    trainer = toy_trainer(folder, [callback], limit_val_batches=1.0, logger=CSVLog(str(folder)))
    trainer.validate(toy_module(), datamodule, verbose=False)
    return read_rows(folder / "metrics.csv"), generator


def test_the_mean_difference_of_progress_is_logged(tokenizer: Any, tmp_path: Path):
    # Task 5 passes both turns with hints and the first one without; tasks 4 and 6 the first one in any case.
    rows, generator = validated(tokenizer, tmp_path, HintDependence(Actionable(), enabled=True), heeds_hints([5]))
    assert [float(row["env/hint_dependence"]) for row in rows if row["env/hint_dependence"]] == [pytest.approx(0.5 / 3)]
    assert [float(row["val/progress/overall"]) for row in rows if row["val/progress/overall"]] == [0.5]
    assert all(generator.greedy)
    without, with_hints = generator.calls[: len(generator.calls) // 2], generator.calls[len(generator.calls) // 2 :]
    assert [request.seed for request in without[0]] == [request.seed for request in with_hints[0]]


def test_hints_that_do_harm_count_against(tokenizer: Any, tmp_path: Path):
    def script(users: Sequence[str], seed: int) -> str:
        hinted = any("\nHint: " in text for text in users)
        return (MKDIR, MKDIR, ANSWER, ANSWER if hinted else LS, ANSWER)[len(users) - 1]

    rows, _ = validated(tokenizer, tmp_path, HintDependence(Actionable(), enabled=True), script)
    assert [float(row["env/hint_dependence"]) for row in rows if row["env/hint_dependence"]] == [-0.5]


def test_by_default_nothing_is_played_again(tokenizer: Any, tmp_path: Path):
    rows, generator = validated(tokenizer, tmp_path / "off", HintDependence(Actionable()), heeds_hints([5]))
    _, twice = validated(tokenizer, tmp_path / "on", HintDependence(Actionable(), enabled=True), heeds_hints([]))
    assert "env/hint_dependence" not in rows[0]
    assert 2 * sum(map(len, generator.calls)) == sum(map(len, twice.calls))


def test_the_mean_is_over_the_tasks_of_all_ranks(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hint_dependence, "gather", lambda own: [own, [1.0, 0.0], []])
    rows, _ = validated(tokenizer, tmp_path, HintDependence(Actionable(), enabled=True), heeds_hints([4, 5]))
    # 0.5, 0.5 and 0 here, 1 and 0 on the second rank.
    assert [float(row["env/hint_dependence"]) for row in rows if row["env/hint_dependence"]] == [pytest.approx(2 / 5)]


def test_training_and_validation_are_bit_for_bit_what_they_are_without_it(tokenizer: Any, tmp_path: Path):
    weights, files, rows = [], [], []
    for enabled in (False, True):
        folder = tmp_path / str(enabled)
        callbacks = [HintDependence(Actionable(), enabled=enabled), TrajectoryLog(str(folder), with_tokens=True)]
        module, datamodule = toy_module(), toy_datamodule(tokenizer)
        toy_trainer(
            folder, callbacks, max_steps=3, val_check_interval=1, limit_val_batches=1.0, logger=CSVLog(str(folder))
        ).fit(module, datamodule)
        weights.append(torch.nn.utils.parameters_to_vector(module.parameters()))
        files.append({path.relative_to(folder): path.read_text() for path in folder.rglob("*.jsonl")})
        kept = [row for row in read_rows(folder / "metrics.csv") if not row.get("env/hint_dependence")]
        timed = ("time/", "perf/", "env/hint_dependence")
        rows.append([{name: value for name, value in row.items() if not name.startswith(timed)} for row in kept])
    assert torch.equal(*weights)
    assert len(files[0]) == 6
    assert files[0] == files[1]
    assert rows[0] == rows[1]
