"""`python train.py rollout=vllm` on BFCL tasks: two updates, their replay with rollout=hf, and a killed engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from envtune.training.run_folder.csv_log import METRICS_FILE, read_rows

ROOT = Path(__file__).parent.parent.parent
TINY = ROOT / "envtune/models/tiny/model.safetensors"
SMALL = (
    *("debug=fast", "trainer=cpu", "model.dtype=float32", "logger=csv", "grpo.importance=token", "data.val_size=2"),
    *("data.categories=[base]", "callbacks.last.every=1", "callbacks.trajectories.with_tokens=true"),
    *(
        "rollout.max_response_tokens=512",
        "rollout.step_limit=1",
        "rollout.at_step_limit=end",
        "reward=format",
        "grpo.group_size=4",
    ),
)
ENGINE = tuple(
    f"+rollout.generator.engine.{setting}"
    for setting in ("enforce_eager=true", "block_size=32", "kv_cache_memory_bytes=268435456")
)


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", f"hydra.run.dir={folder}", *SMALL, *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def updates_of(folder: Path) -> list[dict[str, str]]:
    return [row for row in read_rows(folder / "csv" / METRICS_FILE) if row["loss/total"]]


def weights_after(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return {name.removeprefix("policy.model."): tensor for name, tensor in state.items()}


@pytest.fixture(scope="module")
def vllm_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vllm")
    result = train(folder, "rollout=vllm", *ENGINE)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    # asyncio's message about an engine that was not closed properly.
    assert "was destroyed" not in result.stderr
    return folder


def test_a_run_equals_a_replay_of_its_tokens_with_transformers(vllm_run: Path, tmp_path: Path):
    replayed = ("rollout.generator._target_=replay.Replay", f"+rollout.generator.folder={vllm_run}")
    result = train(tmp_path, "rollout=hf", *replayed)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]

    ours, theirs = (updates_of(folder) for folder in (vllm_run, tmp_path))
    assert [row["step"] for row in ours] == [row["step"] for row in theirs] == ["1", "2"]
    assert all(float(row["reward/std"]) > 0 for row in ours)
    for name in ("reward/mean", "loss/total", "loss/policy", "kl", "entropy", "grad_norm", "completions/mean_length"):
        sampled, repeated = ([float(row[name]) for row in rows] for rows in (ours, theirs))
        assert sampled == pytest.approx(repeated, rel=1e-3, abs=1e-6), name
    assert all(float(row["sampling/logp_diff_max"]) < 1e-3 and float(row["time/sync"]) > 0 for row in ours)

    start, end, other = load_file(TINY), weights_after(vllm_run), weights_after(tmp_path)
    moved = sum(float((end[name] - tensor.float()).abs().sum()) for name, tensor in start.items())
    apart = sum(float((end[name] - other[name]).abs().sum()) for name in start)
    assert apart < 0.02 * moved


def test_a_killed_engine_ends_the_run_with_one_sentence_and_an_intact_checkpoint(vllm_run: Path, tmp_path: Path):
    checkpoint = vllm_run / "checkpoints/last.ckpt"
    mortal = ("rollout.generator._target_=replay.Mortal", "+rollout.generator.killed_after=3")
    result = train(tmp_path, "rollout=vllm", *ENGINE, *mortal, f"ckpt_path={checkpoint}", "trainer.max_steps=5")
    assert result.returncode != 0
    assert "error: vLLM has ended and could not sample" in result.stderr
    assert "Traceback" not in result.stderr
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert saved["global_step"] == 3
