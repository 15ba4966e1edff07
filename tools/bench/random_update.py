"""Updates of a model of random weights on batches of random ids, and their operations, for `gpu`, `growth`, `update`.

Weights and ids are random; everything else is the code of training: batches, policy and reference, loss, optimiser
step, and the clock that names the phases. Operations are floating-point operations; a multiply-add counts as two.
"""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from lightning import Callback, LightningDataModule, Trainer
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config

from envtune.grpo.advantage.group_relative import GroupRelative
from envtune.grpo.batch import TrainBatch
from envtune.grpo.packing import pack
from envtune.grpo.settings import GRPOSettings
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.training.datamodule import RolloutLoader
from envtune.training.model.policy import Policy
from envtune.training.module import GRPOModule
from envtune.training.reporting.library_logging import silence_libraries
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, train_batch
from envtune.trajectory import (
    EpisodeEnd,
    FinalAnswer,
    Step,
    TokenRecord,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)

# conf/optimizer/adamw.yaml
OPTIMIZER = partial(torch.optim.AdamW, lr=1e-6, betas=(0.9, 0.999), weight_decay=0.01)
ONE_STEP = Turn(
    "", (), (Step("", FinalAnswer("", ""), (), ""),), TurnEnd.ANSWERED, TurnVerdict(True, True, False, True, True)
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of a Qwen2 model, by the names of its config."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    tie_word_embeddings: bool = True
    """Whether the output head shares the weights of the embedding."""


SHAPES: Mapping[str, Shape] = {
    "tiny": Shape(64, 128, 2, 4, 2, 512),
    "0.5B": Shape(896, 4864, 24, 14, 2, 151936),
    "1.5B": Shape(1536, 8960, 28, 12, 2, 151936),
    "7B": Shape(3584, 18944, 28, 28, 4, 152064, tie_word_embeddings=False),
}


@dataclass(frozen=True, slots=True)
class BatchSize:
    """Size of a random batch, lengths in tokens."""

    tasks: int
    group_size: int
    prompt: int
    response: tuple[int, int]
    """Least and greatest length after the prompt; lengths are drawn uniformly."""


def random_model(
    shape: Shape, device: str, dtype: torch.dtype = torch.float32, checkpointing: bool = False
) -> PreTrainedModel:
    """Return a model with weights drawn from a fixed seed."""
    torch.manual_seed(0)
    config = Qwen2Config(
        **asdict(shape),
        max_position_embeddings=65536,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if checkpointing:
        model.gradient_checkpointing_enable()
    return model


def random_rollout(size: BatchSize, vocabulary: int) -> RolloutBatch:
    """Return a batch of ids drawn from a fixed seed, in which every token after a prompt counts as sampled."""
    draw = random.Random(0)
    # Near the log-probs of a random model, so that ratios are near 1.
    logprob = -torch.tensor(float(vocabulary)).log().item()
    groups = []
    for _ in range(size.tasks):
        group = []
        prompt = tuple(draw.randrange(vocabulary) for _ in range(size.prompt))
        for _ in range(size.group_size):
            response = tuple(draw.randrange(vocabulary) for _ in range(draw.randint(*size.response)))
            mask = (False,) * len(prompt) + (True,) * len(response)
            logprobs = tuple(logprob if sampled else 0.0 for sampled in mask)
            tokens = TokenRecord((*prompt, *response), mask, logprobs, len(prompt))
            group.append(Trajectory("random", "base", 1, (ONE_STEP,), EpisodeEnd.TERMINATED, tokens=tokens))
        groups.append(group)
    return rollout_of(groups)


def rollout_of(groups: Sequence[Sequence[Trajectory]]) -> RolloutBatch:
    """Return groups of trajectories as a batch to train on; the rewards of a group are 0, 1, 2, …"""
    numbers = [RewardBreakdown((RewardPart("number", float(n)),)) for n in range(max(map(len, groups)))]
    rewarded = []
    for group in groups:
        advantages = GroupRelative()(group, list(map(float, range(len(group)))))
        rewarded.append(RewardedGroup(tuple(group), tuple(numbers[: len(group)]), tuple(map(tuple, advantages))))
    # Metrics of the rollout divide by its seconds and are not read here: 1 s stands for them.
    return RolloutBatch(
        tuple(rewarded),
        train_batch(rewarded, 1.0),
        refills=0,
        rollout_seconds=1.0,
        environment_seconds=0.0,
        fed_tokens=0,
    )


def run_updates(
    policy: Policy, rollout: RolloutBatch, updates: int, max_tokens: int, **on: Any
) -> list[dict[str, float]]:
    """Update ``policy`` repeatedly on one rollout and return the metrics of each update (docs/metrics.md).

    Args:
        policy: the policy to train.
        rollout: the batch of every update.
        updates: the number of updates; the first one warms up.
        max_tokens: `grpo.max_tokens_per_batch`, different tokens of a micro-batch.
        **on: accelerator and precision, as in `fit`.
    """
    logged = _Logged()
    module = GRPOModule(policy, GRPOSettings(max_tokens_per_batch=max_tokens), OPTIMIZER)
    fit(module, _Repeated(rollout, updates), updates, [logged], **on)
    return logged.updates


def fit(module: GRPOModule, data: LightningDataModule, updates: int, callbacks: list[Callback], **on: Any) -> None:
    """Train for ``updates`` updates without validation, checkpoints, log files or progress bar.

    ``on`` are the Trainer's accelerator and precision, by default the CPU and float32.
    """
    silence_libraries()
    warnings.filterwarnings("ignore", module="lightning")
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            **{"accelerator": "cpu", "precision": "32-true", **on},
            devices=1,
            max_steps=updates,
            logger=False,
            callbacks=callbacks,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        trainer.fit(module, data)


def forward_operations(shape: Shape, batch: TrainBatch) -> float:
    """Return the operations of one forward pass, in which a group's prompt is computed once.

    Weights count on all different tokens, attention on all causal pairs, logits on sampled tokens. A rollout that feeds
    every token once needs as many.
    """
    packed = pack(batch.ids, batch.lengths, batch.prompts, batch.prompt_lengths, batch.sampled)
    pairs = 0
    for branch in packed.branches:
        prompt = branch.prompt.stop - branch.prompt.start
        pairs += prompt * (prompt + 1) // 2
        for place in branch.completions:
            length = place.stop - place.start
            pairs += length * prompt + length * (length + 1) // 2
    key_width = shape.hidden_size // shape.num_attention_heads * shape.num_key_value_heads
    weights = 2 * shape.hidden_size * (shape.hidden_size + key_width) + 3 * shape.hidden_size * shape.intermediate_size
    layer = 2 * weights * len(packed.ids) + 4 * shape.hidden_size * pairs
    return float(shape.num_hidden_layers * layer + 2 * shape.hidden_size * shape.vocab_size * len(packed.predictors))


def update_operations(shape: Shape, batch: TrainBatch, frozen: bool = False) -> float:
    """Return the operations of an update: a forward pass of the reference, one of the policy, and its backward pass.

    A backward pass needs twice the operations of a forward pass, or once where the weights are ``frozen`` and only
    low-rank adapters are trained.
    """
    return forward_operations(shape, batch) * (3 if frozen else 4)


class _Repeated(LightningDataModule):
    """Yields one batch for every update, as if the policy of that update had sampled it."""

    def __init__(self, rollout: RolloutBatch, updates: int) -> None:
        super().__init__()
        self._rollout, self._updates = rollout, updates

    def check_model(self, model: PreTrainedModel) -> None:
        """Do nothing: nothing is sampled."""

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Do nothing: nothing is sampled."""

    def domain_of(self, tool: str) -> None:
        """Return None: the trajectories have no calls."""

    def train_dataloader(self) -> RolloutLoader:
        return RolloutLoader(self._of_version, self._updates)

    def _of_version(self, version: int) -> RolloutBatch:
        tensors = self._rollout.tensors
        versions = torch.full_like(tensors.policy_versions, version)
        return replace(self._rollout, tensors=replace(tensors, policy_versions=versions))


class _Logged(Callback):
    def __init__(self) -> None:
        self.updates: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.updates.append({name: float(value) for name, value in trainer.callback_metrics.items()})
