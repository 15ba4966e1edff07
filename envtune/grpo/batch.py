"""Groups of trajectories as tensors: ``TrainBatch``, and its division into micro-batches by unique tokens."""

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

NO_TURN = -1


@dataclass(frozen=True, slots=True, eq=False)
class TrainBatch:
    """B trajectories, right-padded to L tokens.

    ``attention_mask`` is True on real tokens, ``completion_mask`` on sampled tokens only. A log-prob at [b, t] belongs
    to ids[b, t] given ids[b, :t]; position 0 is never sampled. ``behaviour_logprobs`` (natural log, 0.0 where nothing
    was sampled) were taken at ``temperature``, at which the trainer must recompute them. ``policy_versions`` counts
    the updates that the weights had received that sampled each row. Rows with the same number in ``prompts`` begin with
    the same ``prompt_lengths`` tokens, which stand before anything sampled. ``turns`` is the turn, from 0, in which a
    token was sampled; ``NO_TURN`` where nothing was, and everywhere in a row whose trajectory holds no turns.
    """

    ids: Int[Tensor, "B L"]
    attention_mask: Bool[Tensor, "B L"]
    completion_mask: Bool[Tensor, "B L"]
    behaviour_logprobs: Float[Tensor, "B L"]
    turns: Int[Tensor, "B L"]
    advantages: Float[Tensor, "B"]
    rewards: Float[Tensor, "B"]
    policy_versions: Int[Tensor, "B"]
    prompts: Int[Tensor, "B"]
    prompt_lengths: Int[Tensor, "B"]
    temperature: float

    @classmethod
    def from_trajectories(
        cls, trajectories: Sequence[Trajectory], rewards: Float[Tensor, "task group"], pad_id: int, temperature: float
    ) -> TrainBatch:
        """``trajectories`` stand group after group, in the row-major order of ``rewards``.

        Raises:
            ValueError: numbers that do not fit together, or a trajectory without its tokens.
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
            prompts=torch.tensor([prompts.setdefault(_prompt_of(record), len(prompts)) for record in records]),
            prompt_lengths=torch.tensor([record.prompt_length for record in records]),
            temperature=temperature,
        )

    def __len__(self) -> int:
        return self.ids.shape[0]

    @property
    def lengths(self) -> Int[Tensor, "B"]:
        """Real tokens of each row."""
        return self.attention_mask.sum(dim=1)

    @property
    def unique_tokens(self) -> int:
        """Real tokens of all rows, each prompt counted once."""
        prompts = dict(zip(self.prompts.tolist(), self.prompt_lengths.tolist(), strict=True))
        return int((self.lengths - self.prompt_lengths).sum()) + sum(prompts.values())

    def micro_batches(self, max_tokens: int) -> list[Int[Tensor, "_"]]:
        """Row indices of micro-batches; each row is in exactly one.

        A micro-batch's unique tokens, each of its prompts counted once, are at most ``max_tokens``; a row that is
        longer than that on its own stands alone.
        """
        groups: list[list[int]] = []
        room: list[int] = []
        for size, rows in sorted(self._portions(max_tokens), reverse=True):
            place = next((place for place, left in enumerate(room) if left >= size), len(groups))
            if place == len(groups):
                groups.append([])
                room.append(max_tokens)
            groups[place] += rows
            room[place] -= size
        return [torch.tensor(group, device=self.ids.device) for group in groups]

    def _portions(self, max_tokens: int) -> list[tuple[int, list[int]]]:
        """Rows of one prompt that fit a micro-batch together, and how many tokens they are; longest rows first."""
        lengths, prompt_lengths, prompts = (t.tolist() for t in (self.lengths, self.prompt_lengths, self.prompts))
        open_portions: dict[int, int] = {}
        portions: list[tuple[int, list[int]]] = []
        for row in sorted(range(len(self)), key=lambda row: -lengths[row]):
            place = open_portions.get(prompts[row])
            size = lengths[row] - prompt_lengths[row]
            if place is not None and portions[place][0] + size <= max_tokens:
                portions[place] = portions[place][0] + size, [*portions[place][1], row]
            else:
                open_portions[prompts[row]] = len(portions)
                portions.append((lengths[row], [row]))
        return portions

    def select(self, rows: Int[Tensor, "_"]) -> TrainBatch:
        """These rows in this order, trimmed to the longest of them."""
        longest = int(self.lengths[rows].max())
        picked = {name: tensor[rows] for name, tensor in self._tensors().items()}
        return replace(self, **{name: t[:, :longest] if t.ndim == 2 else t for name, t in picked.items()})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TrainBatch:
        return replace(self, **{k: t.to(device, non_blocking=non_blocking) for k, t in self._tensors().items()})

    def pin_memory(self) -> TrainBatch:
        return replace(self, **{name: tensor.pin_memory() for name, tensor in self._tensors().items()})

    def _tensors(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _tokens_of(trajectory: Trajectory) -> TokenRecord:
    tokens = trajectory.tokens
    if tokens is None:
        raise ValueError(f"the trajectory of task {trajectory.task_id} carries no tokens; collect it with a generator")
    if not tokens.ids or tokens.completion_mask[0]:
        raise ValueError(f"the trajectory of task {trajectory.task_id} must begin with a prompt token")
    return tokens


def _turns_of(trajectory: Trajectory) -> tuple[int, ...]:
    """The turn of each token. The environment writes between two completions: a run of sampled tokens is one step."""
    runs = [(sampled, len(list(run))) for sampled, run in groupby(_tokens_of(trajectory).completion_mask)]
    completions = sum(sampled for sampled, _ in runs)
    turns = [number for number, turn in enumerate(trajectory.turns) for _ in turn.steps]
    if not trajectory.turns:
        turns = [NO_TURN] * completions
    if len(turns) != completions:
        raise ValueError(
            f"the trajectory of task {trajectory.task_id} has {len(turns)} steps, {completions} completions"
        )
    in_order = iter(turns)
    return tuple(number for sampled, length in runs for number in [next(in_order) if sampled else NO_TURN] * length)


def _prompt_of(record: TokenRecord) -> tuple[int, ...]:
    return record.ids[: record.prompt_length]


def _padded(rows: Sequence[tuple[Any, ...]], dtype: torch.dtype, value: int | float) -> Tensor:
    tensors = [torch.tensor(row, dtype=dtype) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
