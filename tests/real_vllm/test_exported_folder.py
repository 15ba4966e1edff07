"""`vllm serve` serves the export of a run with an adapter."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
from server import ROOT, serving
from transformers import AutoModelForCausalLM

from envtune.training.model.export import export, find_trained
from envtune.training.model.lora import LoRA
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model

TINY = ROOT / "envtune/models/tiny"
# By model: the scale of the adapter's random change. `make pretrained` prepares the second one.
MODELS = {TINY: 0.1, ROOT / "models/smollm2-135m": 0.01}
IDS = list(range(100, 140))


@pytest.fixture(scope="module", params=MODELS, ids=lambda path: path.name)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a checkpoint with a large adapter."""
    model = request.param
    if not (model / "config.json").is_file():
        pytest.skip(f"{model} does not exist: `make pretrained` prepares it")
    folder = tmp_path_factory.mktemp("run")
    policy = Policy(load_model(str(model), dtype="float32", lora=LoRA(r=4)))
    torch.manual_seed(1)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data += MODELS[model] * torch.randn_like(parameter)
    (folder / "checkpoints").mkdir()
    state = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 2}, folder / "checkpoints/best.ckpt")
    record = {"settings": {"model": {"path": str(model), "dtype": "float32", "trust_remote_code": False}}}
    (folder / "run.json").write_text(json.dumps(record))
    export(find_trained(str(folder)), folder / "exported", "float32")
    return folder / "exported"


def test_vllm_serve_computes_the_log_probs_of_the_exported_model(exported: Path):
    vllm = Path(sys.executable).with_name("vllm")
    options = ("--max-model-len=512", "--dtype=float32", "--enforce-eager", "--kv-cache-memory-bytes=268435456")
    with serving((str(vllm), "serve", str(exported), *options), exported.parent / "log") as (url, _):
        body = {"prompt": IDS, "max_tokens": 8, "temperature": 0, "logprobs": 0, "return_token_ids": True}
        asked = urllib.request.Request(
            f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=600) as answer:
            found = json.load(answer)["choices"][0]
    ids = torch.tensor(IDS + found["token_ids"])
    with torch.no_grad():
        logprobs = AutoModelForCausalLM.from_pretrained(exported)(ids[None]).logits[0].log_softmax(-1)
    expected = logprobs[len(IDS) - 1 : -1].gather(-1, ids[len(IDS) :, None])[:, 0]
    assert found["logprobs"]["token_logprobs"] == pytest.approx(expected.tolist(), abs=1e-4)
    assert logprobs[len(IDS) - 1 : -1].argmax(-1).tolist() == found["token_ids"]
