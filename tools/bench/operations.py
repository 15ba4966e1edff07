"""Floating-point operations that a Qwen2 model needs on a batch; a multiply-add counts as two."""

from __future__ import annotations

from envtune.grpo.batch import TrainBatch
from envtune.grpo.packing import pack
from tools.bench.random_update import Shape


def forward_operations(shape: Shape, batch: TrainBatch) -> float:
    """Return the operations of one forward pass, in which a group's prompt is computed once.

    Weights count on all different tokens, attention on all causal pairs, logits on sampled tokens. A rollout that feeds
    every token once needs as many.
    """
    packed = pack(batch.ids, batch.lengths, batch.prompts, batch.prompt_lengths, batch.completion_mask)
    pairs = 0
    for branch in packed.branches:
        prompt = branch.prompt.stop - branch.prompt.start
        pairs += prompt * (prompt + 1) // 2
        for place in branch.completions:
            length = place.stop - place.start
            pairs += length * prompt + length * (length + 1) // 2
    key_width = shape.hidden // shape.heads * shape.key_heads
    weights = 2 * shape.hidden * (shape.hidden + key_width) + 3 * shape.hidden * shape.intermediate
    layer = 2 * weights * len(packed.ids) + 4 * shape.hidden * pairs
    return float(shape.layers * layer + 2 * shape.hidden * shape.vocabulary * len(packed.predictors))


def update_operations(shape: Shape, batch: TrainBatch, frozen: bool = False) -> float:
    """Return the operations of an update: a forward pass of the reference, one of the policy, and its backward pass.

    A backward pass needs twice the operations of a forward pass, or once where the weights are ``frozen`` and only
    low-rank adapters are trained.
    """
    return forward_operations(shape, batch) * (3 if frozen else 4)
