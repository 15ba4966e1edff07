"""Two updates of the pretrained model, all weights and an adapter, and the exported models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from smollm2 import FOLDER, ROOT, chat_ids, greedy

from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.training.model.export import export, find_trained
from envtune.training.model.lora import LoRA
from envtune.training.model.weights import load_model
from envtune.training.run_folder.csv_log import METRICS_FILE, read_rows

PROTOCOLS = [f"protocol={path.stem}" for path in sorted((ROOT / "conf/protocol").glob("*.yaml"))]
# Untrained, it keeps no protocol, so the rewards of all episodes would be equal.
SMALL = (
    *("model=smollm2-135m", "data=playground", "debug=fast", "trainer=cpu", "logger=csv", "data.val_size=1"),
    *("rollout.step_limit=1", "rollout.at_step_limit=end", "rollout.max_response_tokens=64"),
    *("rollout.max_completion_tokens=24", "reward=format", "reward._target_=odd_ids.OddIds", "optimizer.lr=1e-4"),
    *("grpo.tasks_per_update=1", "callbacks.last.every=2"),
)
# bfloat16 arithmetic and all weights; float32 and an adapter; each protocol in one of them at least.
RUNS = {
    "all weights": ("trainer.precision=bf16-mixed", *PROTOCOLS[:1]),
    "adapter": ("trainer.precision=32-true", "model.lora.r=4", *PROTOCOLS[1:2]),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoRA]:
    """The folder of a run, and its adapter."""
    folder = tmp_path_factory.mktemp("run")
    command = [sys.executable, "train.py", f"hydra.run.dir={folder}", *SMALL, *RUNS[request.param]]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder, LoRA(r=4 if request.param == "adapter" else 0)


def test_two_updates_train_it_and_its_export_continues_as_it_does(run: tuple[Path, LoRA], tmp_path: Path):
    folder, lora = run
    updates = [row for row in read_rows(folder / "csv" / METRICS_FILE) if row["loss/total"]]
    assert len(updates) == 2
    assert all(float(row["grad_norm"]) > 0 for row in updates)
    # On a CPU the sampler is in float32, and the update of the first run in bfloat16.
    assert float(updates[0]["sampling/logp_diff_mean"]) < (0.1 if lora.r == 0 else 1e-4)

    last = folder / "checkpoints/last.ckpt"
    export(find_trained(str(last)), tmp_path / "exported", "float32")
    trained, before = (load_file(path / "model.safetensors") for path in (tmp_path / "exported", FOLDER))
    assert trained.keys() == before.keys()
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(trained[name], before[name])

    ids, taken = chat_ids("Name three tools."), list[Completion]()
    generator = HFGenerator()
    generator.update_weights(load_model(str(FOLDER), dtype="float32", lora=lora, init_from=str(last)), 2)
    generator.run([Request(ids, 0, 16)], lambda _, completion: taken.append(completion), greedy=True)
    assert greedy(tmp_path / "exported", ids, 16) == list(taken[0].ids)
