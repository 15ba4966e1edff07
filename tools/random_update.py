"""Updates of a model of random weights on batches of random ids: what `bench_gpu.py` and `bench_growth.py` time.

The model and the ids mean nothing. Everything else is training's own code: batches, policy and reference, loss,
optimiser step, and the clock that names the phases.
"""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import lightning
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config

from envtune.grpo.batch import TrainBatch
from envtune.grpo.settings import GRPOSettings
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.task import Category
from envtune.training.datamodule import RolloutLoader
from envtune.training.model.policy import Policy
from envtune.training.module import GRPOModule
from envtune.training.reporting.library_logging import silence_libraries
from envtune.training.rollout_batch import RewardedGroup, RolloutBatch, reward_matrix
from envtune.trajectory import EpisodeEnd, TokenRecord, Trajectory

# conf/optimizer/adamw.yaml
OPTIMIZER = partial(torch.optim.AdamW, lr=1e-6, betas=(0.9, 0.999), weight_decay=0.01)


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a Qwen2 model."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    vocabulary: int
    tied: bool = True


SHAPES: Mapping[str, Shape] = {
    "tiny": Shape(64, 128, 2, 4, 2, 512),
    "0.5B": Shape(896, 4864, 24, 14, 2, 151936),
    "1.5B": Shape(1536, 8960, 28, 12, 2, 151936),
    "7B": Shape(3584, 18944, 28, 28, 4, 152064, tied=False),
}


@dataclass(frozen=True, slots=True)
class Work:
    """Groups, members of each and lengths in tokens. ``response`` bounds what follows the prompt, drawn evenly."""

    tasks: int
    group_size: int
    prompt: int
    response: tuple[int, int]


def random_model(
    shape: Shape, device: str, dtype: torch.dtype = torch.float32, checkpointing: bool = False
) -> PreTrainedModel:
    """The same weights each time for the same arguments."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        max_position_embeddings=65536,
        tie_word_embeddings=shape.tied,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if checkpointing:
        model.gradient_checkpointing_enable()
    return model


def random_rollout(work: Work, vocabulary: int) -> RolloutBatch:
    """The same ids each time. All that follows a prompt counts as sampled, and rewards differ within each group."""
    draw = random.Random(0)
    return rollout_of([_random_group(work, vocabulary, draw) for _ in range(work.tasks)])


def rollout_of(groups: Sequence[Sequence[Trajectory]]) -> RolloutBatch:
    """Groups of trajectories as a batch to train on; the rewards of a group are 0, 1, 2 ..."""
    rewarded = tuple(
        RewardedGroup(tuple(group), tuple(_reward(number) for number in range(len(group)))) for group in groups
    )
    trajectories = [trajectory for group in groups for trajectory in group]
    tensors = TrainBatch.from_trajectories(trajectories, reward_matrix(rewarded), pad_id=0, temperature=1.0)
    # What is logged about the rollout is not used: a second is said to have passed.
    return RolloutBatch(rewarded, tensors, refills=0, rollout_seconds=1.0, environment_seconds=0.0, fed_tokens=0)


def run_updates(
    policy: Policy,
    rollout: RolloutBatch,
    updates: int,
    max_tokens: int,
    accelerator: str = "cpu",
    precision: Any = "32-true",
) -> list[dict[str, float]]:
    """What each of so many updates on the same rollout logged (`docs/metrics.md`); the first one warms up.

    ``max_tokens`` is `grpo.max_tokens_per_batch`.
    """
    silence_libraries()
    warnings.filterwarnings("ignore", module="lightning")
    settings = GRPOSettings(max_tokens_per_batch=max_tokens)
    logged = _Logged()
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=1,
            precision=precision,
            max_steps=updates,
            logger=False,
            callbacks=[logged],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(GRPOModule(policy, settings, OPTIMIZER), _Repeated(rollout, updates))
    return logged.updates


def _random_group(work: Work, vocabulary: int, draw: random.Random) -> list[Trajectory]:
    prompt = tuple(draw.randrange(vocabulary) for _ in range(work.prompt))
    return [_random_trajectory(work, vocabulary, prompt, draw) for _ in range(work.group_size)]


def _random_trajectory(work: Work, vocabulary: int, prompt: tuple[int, ...], draw: random.Random) -> Trajectory:
    response = tuple(draw.randrange(vocabulary) for _ in range(draw.randint(*work.response)))
    mask = (False,) * len(prompt) + (True,) * len(response)
    # Near the log-probs of a random model, so that ratios are near 1.
    logprobs = (0.0,) * len(prompt) + (-torch.tensor(float(vocabulary)).log().item(),) * len(response)
    tokens = TokenRecord((*prompt, *response), mask, logprobs, len(prompt))
    return Trajectory("random", Category.BASE, 1, (), EpisodeEnd.TERMINATED, tokens=tokens)


def _reward(number: int) -> RewardBreakdown:
    return RewardBreakdown((RewardPart("number", float(number)),))


class _Repeated(lightning.LightningDataModule):
    """Hands the module the same batch each time, as if the policy of that update had played it."""

    toolbox_of: Mapping[str, str] = {}

    def __init__(self, rollout: RolloutBatch, updates: int) -> None:
        super().__init__()
        self._rollout, self._updates = rollout, updates

    def train_dataloader(self) -> RolloutLoader:
        return RolloutLoader(self._of_version, self._updates)

    def _of_version(self, version: int) -> RolloutBatch:
        tensors = self._rollout.tensors
        versions = torch.full_like(tensors.policy_versions, version)
        return replace(self._rollout, tensors=replace(tensors, policy_versions=versions))


class _Logged(lightning.Callback):
    def __init__(self) -> None:
        self.updates: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.updates.append({name: float(value) for name, value in trainer.callback_metrics.items()})
