"""Trajectories as padded tensors, and their division into micro-batches by unique tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from envtune.grpo.advantage import group_relative_advantages
from envtune.trajectory import TokenRecord, Trajectory

# The turn of tokens that were not sampled, and of all tokens of a trajectory without recorded turns.
NO_TURN = -1


@dataclass(frozen=True, slots=True, eq=False)
class TrainBatch:
    """B trajectories, right-padded to L tokens. A log-prob at [b, t] is that of ids[b, t] given ids[b, :t]."""

    ids: Int[Tensor, "B L"]
    attention_mask: Bool[Tensor, "B L"]
    """True on real tokens, False on padding."""
    completion_mask: Bool[Tensor, "B L"]
    """True on sampled tokens; False at position 0, since no position predicts it."""
    behaviour_logprobs: Float[Tensor, "B L"]
    """Log-probs of the sampler in nats, at ``temperature``; 0.0 where the mask is False."""
    turns: Int[Tensor, "B L"]
    """Turn of each sampled token, from 0; otherwise ``NO_TURN``."""
    advantages: Float[Tensor, "B"]
    rewards: Float[Tensor, "B"]
    policy_versions: Int[Tensor, "B"]
    """Number of updates of the weights that sampled each row."""
    prompts: Int[Tensor, "B"]
    """Number of each row's prompt; rows with equal numbers begin with equal prompts."""
    prompt_lengths: Int[Tensor, "B"]
    """Tokens before the first sampled one."""
    temperature: float
    """Temperature at which the trainer must recompute log-probs."""

    @classmethod
    def from_trajectories(
        cls, trajectories: Sequence[Trajectory], rewards: Float[Tensor, "task group"], pad_id: int, temperature: float
    ) -> TrainBatch:
        """Pad trajectories, in the row-major order of ``rewards``, and compute group-relative advantages.

        Raises:
            ValueError: the numbers of trajectories and rewards differ, or a trajectory has no valid tokens.
        """
        if len(trajectories) != rewards.numel():
            raise ValueError(f"{len(trajectories)} trajectories do not fit rewards of shape {tuple(rewards.shape)}")
        records = [_tokens_of(trajectory) for trajectory in trajectories]
        prompts: dict[tuple[int, ...], int] = {}
        return cls(
            ids=_padded([record.ids for record in records], torch.int64, pad_id),
            attention_mask=_padded([(True,) * len(record.ids) for record in records], torch.bool, False),
            completion_mask=_padded([record.completion_mask for record in records], torch.bool, False),
            behaviour_logprobs=_padded([record.logprobs for record in records], torch.float32, 0.0),
            turns=_padded([_turns_of(trajectory) for trajectory in trajectories], torch.int16, NO_TURN),
            advantages=group_relative_advantages(rewards.float()).flatten(),
            rewards=rewards.float().flatten(),
            policy_versions=torch.tensor([trajectory.policy_version for trajectory in trajectories]),
            prompts=torch.tensor([prompts.setdefault(r.ids[: r.prompt_length], len(prompts)) for r in records]),
            prompt_lengths=torch.tensor([record.prompt_length for record in records]),
            temperature=temperature,
        )

    def __len__(self) -> int:
        return self.ids.shape[0]

    @property
    def lengths(self) -> Int[Tensor, "B"]:
        """Number of real tokens of each row."""
        return self.attention_mask.sum(dim=1)

    @property
    def unique_tokens(self) -> int:
        """Number of real tokens of all rows, each prompt counted once."""
        prompts = dict(zip(self.prompts.tolist(), self.prompt_lengths.tolist(), strict=True))
        return int((self.lengths - self.prompt_lengths).sum()) + sum(prompts.values())

    def micro_batches(self, max_tokens: int) -> list[Int[Tensor, "_"]]:
        """Partition the rows into micro-batches of at most ``max_tokens`` unique tokens; return their row indices.

        A longer row is a micro-batch of its own. Packing is first-fit decreasing.
        """
        groups: list[list[int]] = []
        room: list[int] = []
        for size, rows in sorted(self._portions(max_tokens), reverse=True):
            index = next((index for index, left in enumerate(room) if left >= size), len(groups))
            if index == len(groups):
                groups.append([])
                room.append(max_tokens)
            groups[index] += rows
            room[index] -= size
        return [torch.tensor(group, device=self.ids.device) for group in groups]

    def _portions(self, max_tokens: int) -> list[tuple[int, list[int]]]:
        """Return (unique tokens, rows) of rows that share a prompt and fit a micro-batch; longest rows first."""
        lengths, prompt_lengths, prompts = (t.tolist() for t in (self.lengths, self.prompt_lengths, self.prompts))
        open_portions: dict[int, int] = {}
        portions: list[tuple[int, list[int]]] = []
        for row in sorted(range(len(self)), key=lambda row: -lengths[row]):
            index = open_portions.get(prompts[row])
            size = lengths[row] - prompt_lengths[row]
            if index is not None and portions[index][0] + size <= max_tokens:
                portions[index] = portions[index][0] + size, [*portions[index][1], row]
            else:
                open_portions[prompts[row]] = len(portions)
                portions.append((lengths[row], [row]))
        return portions

    def select(self, rows: Int[Tensor, "_"]) -> TrainBatch:
        """Return these rows in this order, trimmed to the longest of them."""
        longest = int(self.lengths[rows].max())
        picked = {name: tensor[rows] for name, tensor in self._tensors().items()}
        return replace(self, **{name: t[:, :longest] if t.ndim == 2 else t for name, t in picked.items()})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TrainBatch:
        """Return a copy on ``device``."""
        return replace(self, **{k: t.to(device, non_blocking=non_blocking) for k, t in self._tensors().items()})

    def pin_memory(self) -> TrainBatch:
        """Return a copy in pinned memory."""
        return replace(self, **{name: tensor.pin_memory() for name, tensor in self._tensors().items()})

    def _tensors(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _tokens_of(trajectory: Trajectory) -> TokenRecord:
    tokens = trajectory.tokens
    if tokens is None:
        raise ValueError(f"the trajectory of task {trajectory.task_id} has no tokens; collect it with a generator")
    if not tokens.ids or tokens.completion_mask[0]:
        raise ValueError(f"the trajectory of task {trajectory.task_id} must begin with a prompt token")
    return tokens


def _turns_of(trajectory: Trajectory) -> tuple[int, ...]:
    """Return the turn of each token. A run of sampled tokens is one step: environment tokens separate completions."""
    runs = [(sampled, len(list(run))) for sampled, run in groupby(_tokens_of(trajectory).completion_mask)]
    completions = sum(sampled for sampled, _ in runs)
    turns = [number for number, turn in enumerate(trajectory.turns) for _ in turn.steps]
    if not trajectory.turns:
        turns = [NO_TURN] * completions
    if len(turns) != completions:
        raise ValueError(
            f"the trajectory of task {trajectory.task_id} has {len(turns)} steps but {completions} completions"
        )
    in_order = iter(turns)
    return tuple(number for sampled, length in runs for number in [next(in_order) if sampled else NO_TURN] * length)


def _padded(rows: Sequence[tuple[Any, ...]], dtype: torch.dtype, value: int | float) -> Tensor:
    tensors = [torch.tensor(row, dtype=dtype) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
