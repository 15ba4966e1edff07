"""`python train.py trainer=fsdp` by two processes: trained, validated, continued, exported."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from sharded_run import together, train
from transformers import AutoModelForCausalLM

from envtune.training.model.export import export, find_trained

# Two updates on four episodes of one short step each, and a validation after each update.
SETTINGS = (
    "model=hf",
    "model.gradient_checkpointing=true",
    "prompt=compact",
    "prompt.instructions=short",
    "data=playground",
    "data.toolboxes=[MathAPI]",
    "data.categories=[base]",
    "data.val_categories=[base]",
    "data.val_size=2",
    "grpo.group_size=2",
    "grpo.tasks_per_update=2",
    "optimizer.lr=0.05",
    "rollout.step_limit=1",
    "rollout.at_step_limit=end",
    "rollout.max_completion_tokens=6",
    "rollout.max_response_tokens=1024",
    "trainer=fsdp",
    "trainer.accelerator=cpu",
    "trainer.devices=2",
    "trainer.max_steps=2",
    "trainer.val_check_interval=1",
    "callbacks.last.every=1",
    "logger=csv",
)


@pytest.mark.timeout(900)
def test_a_run_is_trained_continued_and_exported(tmp_path: Path, toy_folder: Path) -> None:
    run, exported = tmp_path / "run", tmp_path / "exported"
    codes, said = together(train, [*SETTINGS, f"model.path={toy_folder}", f"hydra.run.dir={run}"])
    assert codes == [0, 0], said[-3000:]
    last = run / "checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 2
    codes, said = together(train, [f"ckpt_path={run}", "trainer.max_steps=3"])
    assert codes == [0, 0], said[-3000:]
    found = torch.load(last, weights_only=True)
    assert found["global_step"] == 3
    with next(run.rglob("metrics.csv")).open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert sorted(set(steps)) == [0, 1, 2, 3]
    assert json.loads((run / "run.json").read_text())["settings"]["trainer"]["devices"] == 2

    export(find_trained(str(last)), exported, "float32")
    model = AutoModelForCausalLM.from_pretrained(exported)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, found["state_dict"][f"policy.model.{name}"], atol=0, rtol=0)
