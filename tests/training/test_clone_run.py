"""`python train.py stage=clone`: a run that was killed and continued is the run that was not, and starts a stage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from interrupted_run import run
from test_exact_resume import assert_same_run, checkpoint_of, metrics_of, trajectories_of

# Waits for a few processes, which a busy machine may take a while for.
pytestmark = pytest.mark.timeout(900)


def settings(toy_folder: Path) -> list[str]:
    return [
        "stage=clone",
        "model=hf",
        f"model.path={toy_folder}",
        "model.gradient_checkpointing=false",
        "prompt=compact",
        "data=playground",
        "data.toolboxes=[MathAPI]",
        "data.categories=[base]",
        "data.val_categories=[base]",
        "data.val_size=1",
        "data.max_tasks=8",
        "grpo.tasks_per_update=2",
        "optimizer.lr=0.003",
        "rollout.step_limit=1",
        "rollout.at_step_limit=end",
        "rollout.max_completion_tokens=100",
        "rollout.max_response_tokens=1024",
        "rollout.max_episodes=2",
        "trainer=cpu",
        "trainer.max_steps=6",
        "trainer.val_check_interval=2",
        "callbacks.last.every=3",
        "callbacks.trajectories.with_tokens=true",
        "logger=both",
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, toy_folder: Path) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("clone")
    whole, killed, output = home / "whole", home / "killed", home / "output.txt"
    assert run([*settings(toy_folder), f"hydra.run.dir={whole}"], output) == 0, output.read_text()[-3000:]
    arguments = [*settings(toy_folder), f"hydra.run.dir={killed}"]
    for moment in ("in the middle of the checkpoint of update 3", "in the validation after update 4"):
        assert run(arguments, output, moment) == -9, output.read_text()[-3000:]
        arguments = [f"ckpt_path={killed}"]
    assert run(arguments, output) == 0, output.read_text()[-3000:]
    return {"whole": whole, "killed": killed, "output": output}


def test_a_killed_and_continued_run_is_the_one_that_was_not(folders: dict[str, Path]):
    assert_same_run(folders["killed"], folders["whole"])
    assert "continues after update 2, from last.ckpt" in " ".join(folders["output"].read_text().split())


def test_a_run_logs_the_loss_of_every_update_and_validations_of_the_model(folders: dict[str, Path]):
    rows = metrics_of(folders["whole"])
    losses = [float(row["clone/loss"]) for row in rows if row["clone/loss"]]
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    assert [row["step"] for row in rows if row["val/success/overall"]] == ["0", "2", "4", "6"]
    rates = [float(row["lr"]) for row in rows if row["lr"]]
    assert rates[0] == pytest.approx(0.0015)
    assert rates[1] == pytest.approx(0.003)
    assert rates[5] < rates[2] < rates[1]
    files = trajectories_of(folders["whole"])
    assert {f"train/update_00000{update}.jsonl" for update in range(1, 7)} < set(files)


def test_policy_and_reference_of_a_stage_start_from_what_was_cloned(
    folders: dict[str, Path], toy_folder: Path, tmp_path: Path
):
    cloned = checkpoint_of(folders["whole"], "best")
    arguments = [word for word in settings(toy_folder) if not word.startswith(("stage=", "optimizer", "trainer.max"))]
    arguments = [*arguments, "stage=1", f"init_from={folders['whole']}", "optimizer.lr=1e-9", "trainer.max_steps=1"]
    arguments += ["grpo.group_size=2", "rollout.max_completion_tokens=16", f"hydra.run.dir={tmp_path / 'stage_1'}"]
    output = tmp_path / "output.txt"
    assert run(arguments, output) == 0, output.read_text()[-3000:]
    started = checkpoint_of(tmp_path / "stage_1", "last")
    for name, weights in cloned["state_dict"].items():
        torch.testing.assert_close(started["state_dict"][name], weights, rtol=0.0, atol=1e-8)
    (row,) = [row for row in metrics_of(tmp_path / "stage_1") if row["kl"]]
    assert abs(float(row["kl"])) < 1e-6


def test_a_curriculum_begins_with_cloning(toy_folder: Path, tmp_path: Path):
    arguments = [word for word in settings(toy_folder) if not word.startswith(("stage=", "trainer.max"))]
    arguments += ["stage=curriculum", "curriculum.stages=[clone,1]", "curriculum.max_updates=2", "grpo.group_size=2"]
    arguments += [f"hydra.run.dir={tmp_path / 'all'}"]
    output = tmp_path / "output.txt"
    assert run(arguments, output) == 0, output.read_text()[-3000:]
    stages = [row["curriculum/stage"] for row in metrics_of(tmp_path / "all") if row["curriculum/stage"]]
    assert [float(stage) for stage in stages] == [1, 1, 2, 2]
    losses = [row["step"] for row in metrics_of(tmp_path / "all") if row["clone/loss"]]
    assert losses == ["1", "2"]
