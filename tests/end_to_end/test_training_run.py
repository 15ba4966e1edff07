"""The user's command on real BFCL tasks, and the same run continued."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# The first test waits for a whole run, which a busy machine may take a while for.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parent.parent.parent
# With short episodes: on a busy machine whole ones take minutes.
SMALL = (
    "debug=fast",
    "trainer=cpu",
    "callbacks.last.every=1",
    "model.dtype=float32",
    "rollout.max_response_tokens=768",
)


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", f"hydra.run.dir={folder}", *SMALL, *arguments]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    result = train(folder, "stage=3", "reward=progress")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    (folder / "stdout.txt").write_text(result.stdout, encoding="utf-8")
    return folder


def test_two_updates_on_real_tasks_use_fresh_rollouts_each(run_folder: Path):
    for update in (1, 2):
        lines = (run_folder / f"trajectories/train/update_{update:06d}.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert len(records) == 4
        assert {record["policy_version"] for record in records} == {update - 1}
        assert len({record["task_id"] for record in records}) == 2


def test_tensorboard_holds_the_names_people_look_for(run_folder: Path):
    events = EventAccumulator(str(run_folder / "tensorboard"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    expected = {"reward/mean", "reward/progress", "reward/frac_zero_std", "success", "kl", "entropy", "grad_norm"}
    expected |= {"loss/policy", "clip_ratio/low", "clip_ratio/high", "sampling/ess", "completions/mean_length"}
    expected |= {"format/valid_rate", "tools/call_frequency", "perf/tokens_per_s", "time/rollout", "time/update"}
    expected |= {"val/success/overall", "val/progress/base", "val/progress/long_context"}
    assert expected <= names
    assert [event.step for event in events.Scalars("reward/mean")] == [1, 2]


def test_the_sampler_and_the_trainer_agree_on_log_probs(run_folder: Path):
    events = EventAccumulator(str(run_folder / "tensorboard"))
    events.Reload()
    assert max(event.value for event in events.Scalars("sampling/logp_diff_max")) < 1e-3
    assert all(abs(event.value) < 1e-4 for event in events.Scalars("kl")[:1])


def test_a_person_sees_config_folder_updates_and_a_table(run_folder: Path):
    text = (run_folder / "stdout.txt").read_text()
    assert f"run folder: {run_folder}" in text.replace("\n", "")
    assert "update 1/2  reward " in text
    assert "resident memory" in text
    assert "progress before" in text


def test_the_run_is_recorded(run_folder: Path):
    record = json.loads((run_folder / "run.json").read_text())
    assert record["packages"]["bfcl-eval"] == "2026.3.23"
    assert len(record["tasks"]["validation_tasks"]) == 4
    assert (run_folder / ".hydra/config.yaml").is_file()
    assert (run_folder / "checkpoints/best.ckpt").is_file()


def test_a_continued_run_goes_on_where_the_checkpoint_was(run_folder: Path, tmp_path: Path):
    result = train(tmp_path, f"ckpt_path={run_folder}/checkpoints/last.ckpt", "trainer.max_steps=3")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "update 3/3" in result.stdout
    assert not (tmp_path / "trajectories/train/update_000002.jsonl").exists()
    records = (tmp_path / "trajectories/train/update_000003.jsonl").read_text().splitlines()
    assert {json.loads(line)["policy_version"] for line in records} == {2}


def test_a_corrupt_checkpoint_is_told_in_one_sentence(tmp_path: Path):
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(b"PK\x03\x04 not a checkpoint")
    result = train(tmp_path / "run", f"ckpt_path={broken}")
    assert result.returncode != 0
    assert f"error: checkpoint {broken} cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_warm_up_longer_than_the_run_is_told_before_anything_is_played(tmp_path: Path):
    result = train(tmp_path / "run", "scheduler=cosine", "scheduler.warmup_updates=5")
    assert result.returncode != 0
    assert "error: scheduler.warmup_updates=5 must be below the 2 updates of the schedule" in result.stderr
    assert "validation" not in result.stdout
