"""Trajectories as one row of tokens, without padding, and their division into micro-batches by unique tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from envtune.trajectory import TokenRecord, Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class TrainBatch:
    """B trajectories as N tokens, one trajectory after another; T of the tokens were sampled.

    What only sampled tokens have is stored for those alone, in their order.
    """

    ids: Int[Tensor, "N"]
    lengths: Int[Tensor, "B"]
    """Tokens of each trajectory."""
    sampled: Int[Tensor, "T"]
    """Places in ``ids`` of the sampled tokens, ascending; never the first token of a trajectory."""
    behaviour_logprobs: Float[Tensor, "T"]
    """Log-probs of the sampler in nats, at ``temperature``."""
    turns: Int[Tensor, "T"]
    """Turn of each sampled token in its episode, from 0."""
    advantages: Float[Tensor, "T"]
    policy_versions: Int[Tensor, "B"]
    """Number of updates of the weights that sampled each trajectory."""
    prompts: Int[Tensor, "B"]
    """Number of each trajectory's prompt; those with equal numbers begin with equal prompts."""
    prompt_lengths: Int[Tensor, "B"]
    """Tokens before the first sampled one."""
    temperature: float
    """Temperature at which the trainer must recompute log-probs."""

    @classmethod
    def from_trajectories(
        cls, trajectories: Sequence[Trajectory], advantages: Sequence[Sequence[float]], temperature: float
    ) -> TrainBatch:
        """Concatenate trajectories.

        Args:
            trajectories: with tokens and turns.
            advantages: of each turn of each trajectory.
            temperature: of the sampler.

        Raises:
            ValueError: the numbers of trajectories, turns and advantages differ, or a trajectory has no valid tokens.
        """
        records = [_tokens_of(trajectory) for trajectory in trajectories]
        turns = [_turns_of(trajectory) for trajectory in trajectories]
        return replace(
            cls.from_records(records, temperature),
            turns=torch.tensor(list(chain.from_iterable(turns)), dtype=torch.int16),
            advantages=torch.tensor(_of_tokens(trajectories, turns, advantages), dtype=torch.float32),
            policy_versions=torch.tensor([trajectory.policy_version for trajectory in trajectories]),
        )

    @classmethod
    def from_records(cls, records: Sequence[TokenRecord], temperature: float) -> TrainBatch:
        """Concatenate tokens without turns, advantages and policy versions, which are 0."""
        masks = torch.tensor(list(chain.from_iterable(record.completion_mask for record in records)), dtype=torch.bool)
        logprobs = torch.tensor(list(chain.from_iterable(record.logprobs for record in records)), dtype=torch.float32)
        prompts: dict[tuple[int, ...], int] = {}
        sampled = masks.nonzero()[:, 0]
        return cls(
            ids=torch.tensor(list(chain.from_iterable(record.ids for record in records)), dtype=torch.int64),
            lengths=torch.tensor([len(record.ids) for record in records]),
            sampled=sampled,
            behaviour_logprobs=logprobs[masks],
            turns=torch.zeros_like(sampled, dtype=torch.int16),
            advantages=torch.zeros(len(sampled)),
            policy_versions=torch.zeros(len(records), dtype=torch.int64),
            prompts=torch.tensor([prompts.setdefault(r.ids[: r.prompt_length], len(prompts)) for r in records]),
            prompt_lengths=torch.tensor([record.prompt_length for record in records]),
            temperature=temperature,
        )

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> Int[Tensor, "B"]:
        """Place in ``ids`` of each trajectory's first token."""
        return self.lengths.cumsum(0) - self.lengths

    @property
    def episodes(self) -> Int[Tensor, "T"]:
        """Number of each sampled token's trajectory in this batch, from 0."""
        return torch.arange(len(self), device=self.ids.device).repeat_interleave(self.lengths)[self.sampled]

    @property
    def unique_tokens(self) -> int:
        """Number of tokens, each prompt counted once."""
        prompts = dict(zip(self.prompts.tolist(), self.prompt_lengths.tolist(), strict=True))
        return int((self.lengths - self.prompt_lengths).sum()) + sum(prompts.values())

    def micro_batches(self, max_tokens: int) -> list[Int[Tensor, "_"]]:
        """Partition the trajectories into micro-batches of at most ``max_tokens`` unique tokens; return their numbers.

        A longer trajectory is a micro-batch of its own. Packing is first-fit decreasing.
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

    def padded_micro_batches(self, max_tokens: int) -> list[Int[Tensor, "_"]]:
        """Partition the trajectories into micro-batches of at most ``max_tokens`` tokens, padding included.

        All are padded to the longest of a micro-batch. Those of similar length are together, and a trajectory of more
        tokens is a micro-batch of its own.
        """
        lengths = self.lengths.tolist()
        groups: list[list[int]] = []
        for row in sorted(range(len(self)), key=lambda row: -lengths[row]):
            if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= max_tokens:
                groups[-1].append(row)
            else:
                groups.append([row])
        return [torch.tensor(group, device=self.ids.device) for group in groups]

    def padded(self) -> Int[Tensor, "B longest"]:
        """Return the ids with one trajectory per row, padded behind its end with its first id."""
        places = torch.arange(int(self.lengths.max()), device=self.ids.device)
        return self.ids[self.starts[:, None] + torch.where(places < self.lengths[:, None], places, 0)]

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
        """Return these trajectories in this order."""
        places = _spans(self.starts[rows], self.lengths[rows])
        chosen = self.sampled_of(rows)
        # The place in the new batch of each old place; those that were not chosen are not looked up.
        moved = torch.empty_like(self.ids).scatter(0, places, torch.arange(len(places), device=places.device))
        of_trajectories = {name: getattr(self, name)[rows] for name in _OF_TRAJECTORIES}
        of_sampled = {name: getattr(self, name)[chosen] for name in _OF_SAMPLED_TOKENS}
        return replace(self, ids=self.ids[places], sampled=moved[self.sampled[chosen]], **of_trajectories, **of_sampled)

    def sampled_of(self, rows: Int[Tensor, "_"]) -> Int[Tensor, "_"]:
        """Return the numbers, among the T sampled tokens, of those of these trajectories, in their order."""
        counts = self.episodes.bincount(minlength=len(self))
        return _spans((counts.cumsum(0) - counts)[rows], counts[rows])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TrainBatch:
        """Return a copy on ``device``."""
        return replace(self, **{k: t.to(device, non_blocking=non_blocking) for k, t in self._tensors().items()})

    def pin_memory(self) -> TrainBatch:
        """Return a copy in pinned memory."""
        return replace(self, **{name: tensor.pin_memory() for name, tensor in self._tensors().items()})

    def _tensors(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


_OF_TRAJECTORIES = ("lengths", "policy_versions", "prompts", "prompt_lengths")
_OF_SAMPLED_TOKENS = ("behaviour_logprobs", "turns", "advantages")


def _spans(starts: Int[Tensor, "_"], lengths: Int[Tensor, "_"]) -> Int[Tensor, "_"]:
    """Return starts[0], starts[0] + 1, … for ``lengths[0]`` numbers, then those of the next span, and so on."""
    before = lengths.cumsum(0) - lengths
    return torch.arange(int(lengths.sum()), device=starts.device) + (starts - before).repeat_interleave(lengths)


def _tokens_of(trajectory: Trajectory) -> TokenRecord:
    tokens = trajectory.tokens
    if tokens is None:
        raise ValueError(f"the trajectory of task {trajectory.task_id} has no tokens; collect it with a generator")
    if not tokens.ids or tokens.completion_mask[0]:
        raise ValueError(f"the trajectory of task {trajectory.task_id} must begin with a prompt token")
    return tokens


def _turns_of(trajectory: Trajectory) -> list[int]:
    """Return the turn of each sampled token: each step has one completion."""
    completions = _tokens_of(trajectory).completions
    turns = [number for number, turn in enumerate(trajectory.turns) for _ in turn.steps]
    if len(turns) != len(completions):
        raise ValueError(
            f"the trajectory of task {trajectory.task_id} has {len(turns)} steps but {len(completions)} completions"
        )
    return [turn for turn, (start, end) in zip(turns, completions, strict=True) for _ in range(start, end)]


def _of_tokens(
    trajectories: Sequence[Trajectory], turns: Sequence[Sequence[int]], advantages: Sequence[Sequence[float]]
) -> list[float]:
    """Return the advantage of each sampled token."""
    if [len(trajectory.turns) for trajectory in trajectories] != list(map(len, advantages)):
        raise ValueError("every turn of every trajectory needs one advantage")
    return [of_turns[turn] for of_turns, row in zip(advantages, turns, strict=True) for turn in row]
