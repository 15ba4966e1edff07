from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning import Fabric
from transformers import CONFIG_MAPPING, AutoTokenizer, LlamaConfig

from envtune.chat.template import Template
from tools.tiny_model import build as recipe
from tools.tiny_model import dialogues

ROOT = Path(__file__).parents[2]

MODEL = ROOT / "envtune" / "models" / "tiny"


def test_batches_stay_within_their_tokens_and_hold_every_dialogue(monkeypatch):
    monkeypatch.setattr(recipe, "DIALOGUES_SORTED_AT_ONCE", 5)
    made = [dialogues.Dialogue(tuple(range(n)), (True,) * n) for n in (100, 700, 290, 150, 300)]
    found: list[int] = []
    stream = recipe.batches(iter(made * 2), 600, random.Random(0))
    while len(found) < 5:
        batch = next(stream)
        lengths = [len(item.ids) for item in batch]
        assert len(batch) == 1 or max(lengths) * len(batch) <= 600
        found += lengths
    assert sorted(found) == [100, 150, 290, 300, 700]


def test_only_the_agents_tokens_are_learned(learned_tokenizer):
    torch.manual_seed(0)
    model = recipe.build_model(learned_tokenizer)
    sampled = (False, False, True, False, True)
    two = [dialogues.Dialogue((5, 6, 7, 8, 9), sampled), dialogues.Dialogue((5, 6, 7), sampled[:3])]
    with torch.no_grad():
        logprobs = model(torch.tensor([[5, 6, 7, 8, 9]])).logits[0].log_softmax(-1)
        expected = -(logprobs[1, 7] + logprobs[3, 9] + logprobs[1, 7]) / 3
        assert recipe.AgentLoss(model)(*recipe.padded(two)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_stopped_build_goes_on_behind_the_last_phase_and_gives_the_same_weights(bfcl_tasks, tmp_path, monkeypatch):
    # One phase of each kind: exercises only, user messages, whole dialogues. Each takes several updates.
    kinds = [next(phase for phase in recipe.PHASES if phase.mixture is it) for it in (None, recipe.MESSAGES)]
    kinds.append(recipe.PHASES[-1])
    phases = [replace(phase, tokens=1_000, batch_tokens=512) for phase in kinds]
    sizes = {"hidden_size": 96, "intermediate_size": 64, "num_hidden_layers": 2}
    monkeypatch.setattr(recipe, "LlamaConfig", lambda **settings: LlamaConfig(**settings | sizes))
    monkeypatch.setattr(recipe, "TOKENIZER_TASKS", 10)
    monkeypatch.setattr(recipe, "DIALOGUES_SORTED_AT_ONCE", 4)
    monkeypatch.setattr(recipe, "PHASES", phases)

    def built(work: Path) -> recipe.Build:
        torch.manual_seed(0)
        fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
        made = recipe.Build(bfcl_tasks, 0, 1.0, work, fabric)
        made.run()
        return made

    whole = built(tmp_path / "whole")
    with monkeypatch.context() as stopping:
        stopping.setattr(recipe, "PHASES", phases[:2])
        stopped = built(tmp_path / "stopped")
    again = built(tmp_path / "stopped")
    assert again.updates == whole.updates > stopped.updates > 2
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights, again.model.state_dict()[name]), name


def test_every_weight_has_one_optimizer_and_only_matrices_of_the_layers_have_muon(learned_tokenizer):
    model = recipe.build_model(learned_tokenizer)
    muon, adamw = (
        {id(weights) for group in optimizer.param_groups for weights in group["params"]}
        for optimizer in recipe.optimizers_of(model)
    )
    assert not muon & adamw
    assert muon | adamw == {id(weights) for weights in model.parameters()}
    assert muon == {id(weights) for weights in model.model.layers.parameters() if weights.ndim == 2}


def test_the_learning_rate_never_rises_within_a_phase_and_ends_at_zero():
    rates = [phase.rates for phase in recipe.PHASES]
    assert all(1 >= before >= after for before, after in rates)
    assert rates[-1][1] == 0


def test_the_committed_model_is_small_standard_and_has_a_card():
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] in CONFIG_MAPPING
    assert config["dtype"] == "bfloat16"
    assert (MODEL / "model.safetensors").stat().st_size < 16_000_000
    assert "stand-in for a" in (MODEL / "README.md").read_text(encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    Template(tokenizer, dialogues.STYLES[0])
