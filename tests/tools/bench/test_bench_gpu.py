"""Operations and figures worked out on paper; no test depends on time."""

from __future__ import annotations

import sys

import pytest

from envtune.bfcl.category import Category
from envtune.grpo.batch import TrainBatch
from envtune.trajectory import EpisodeEnd, TokenRecord, Trajectory
from tools.bench import gpu, measuring
from tools.bench.random_update import ONE_STEP, Shape, forward_operations, update_operations

SMALL = Shape(4, 8, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, vocab_size=10)


def batch_of(prompt: int, *responses: int) -> TrainBatch:
    """One group; every token after the prompt is sampled."""
    trajectories = []
    for response in responses:
        mask = (False,) * prompt + (True,) * response
        tokens = TokenRecord((1,) * len(mask), mask, (0.0,) * len(mask), prompt)
        trajectories.append(Trajectory("t", Category.BASE, 1, (ONE_STEP,), EpisodeEnd.TERMINATED, tokens=tokens))
    return TrainBatch.from_trajectories(trajectories, [[0.0]] * len(responses), temperature=1.0)


def test_operations_count_a_shared_prompt_once_and_only_causal_pairs():
    batch = batch_of(2, 1, 3)
    # A layer: query and output 4 x 4, key and value 4 x 2, three of 4 x 8: 144 weights, on 2 + 1 + 3 tokens.
    # Pairs: within the prompt 3, from the first response 2 + 1, from the second 6 + 6; each costs 2 x 2 x 4.
    layer = 2 * 144 * 6 + 16 * 18
    forward = 3 * layer + 2 * 4 * 10 * 4
    assert forward_operations(SMALL, batch) == forward
    # Reference, policy and a backward pass of two, or of one where the weights are frozen.
    assert update_operations(SMALL, batch) == 4 * forward
    assert update_operations(SMALL, batch, frozen=True) == 3 * forward


def test_figures_are_medians_and_their_parts_add_up():
    update = {"time/update": 4.0, "time/logprob": 1.5, "time/reference": 0.5, "time/backward": 2.0}
    slow = {name: 10 * seconds for name, seconds in update.items()}
    memory = [{"perf/peak_memory": gib} for gib in (1.0, 3.0, 2.0)]
    updates = [measured | rest for measured, rest in zip((slow, update, update), memory, strict=True)]
    assert gpu.figures(updates, batch_of(2, 1, 3), operations=100.0, rate=50.0) == {
        "seconds_per_update": 4.0,
        "seconds": {"reference": 0.5, "policy": 1.0, "backward": 2.0, "rest": 0.5},
        "tokens": 8,
        "different_tokens": 6,
        "tokens_per_second": 2.0,
        "different_tokens_per_second": 1.5,
        "mfu": 0.5,
        "peak_memory_gib": 3.0,
    }


def test_the_smallest_shape_runs_without_a_gpu(monkeypatch: pytest.MonkeyPatch):
    given = "--shape tiny --tasks 1 --group-size 2 --prompt 16 --response 4 4 --updates 1 --attention math --device cpu"
    monkeypatch.setattr(sys, "argv", ["tools.bench.gpu", *given.split()])
    (options,) = gpu._options()
    run = gpu.measure(options)
    # Embedding 512 x 64; a layer: 64 x (64 + 32 + 32 + 64) + 128 biases, 3 x 64 x 128, two norms; a last norm.
    assert run["parameters"] == run["trained_parameters"] == 512 * 64 + 2 * (12416 + 24576 + 128) + 64
    assert (run["tokens"], run["different_tokens"]) == (40, 24)
    assert sum(run["seconds"].values()) == pytest.approx(run["seconds_per_update"], abs=3e-4)


def test_adapters_without_peft_are_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["tools.bench.gpu", "--shape", "7B"])
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as end:
        gpu.main()
    assert end.value.code == "error: low-rank adapters need the package peft: pip install peft, or use --lora-rank 0"
