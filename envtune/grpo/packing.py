"""Packs rows of token ids into one sequence that contains a prompt shared by several rows only once.

    row 0: prompt a, completion 0     row 1: prompt a, completion 1     row 2: prompt b, completion 2
    packed: prompt a | completion 0 | completion 1 | prompt b | completion 2

Every token is computed once in the forward and the backward pass, without padding. ``branches`` defines which tokens
attend to which; the attention is part of the model. "Completion" means all tokens after the prompt, observations
included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Branches:
    """Slices of the packed sequence with a prompt and the completions of its rows.

    Attention is causal within the prompt and within a completion; a completion also attends to the whole prompt, not to
    other completions.
    """

    prompt: slice
    completions: tuple[slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """N packed tokens of B rows with T sampled tokens."""

    ids: Int[Tensor, "N"]
    positions: Int[Tensor, "N"]
    """Position of each token in its row."""
    predictors: Int[Tensor, "T"]
    """Packed index of the hidden state that predicts each sampled token, in the order of the tokens."""
    branches: tuple[Branches, ...]


def pack(
    ids: Int[Tensor, "M"],
    lengths: Int[Tensor, "B"],
    prompts: Int[Tensor, "B"],
    prompt_lengths: Int[Tensor, "B"],
    sampled: Int[Tensor, "T"],
) -> PackedRows:
    """Pack M tokens of B rows, one row after another, with prompts of ``prompt_lengths`` tokens, at least 1.

    Rows with equal numbers in ``prompts`` have equal prompts. ``sampled`` are places behind the prompts.
    """
    branches = _branches(prompts.tolist(), prompt_lengths.tolist(), lengths.tolist())
    starts = {
        row: (branch.prompt.start, completion.start)
        for rows, branch in branches
        for row, completion in zip(rows, branch.completions, strict=True)
    }
    of_rows = torch.tensor([starts[row] for row in range(len(lengths))], device=ids.device)
    first = lengths.cumsum(0) - lengths
    rows = torch.stack([first, prompt_lengths, of_rows[:, 0], of_rows[:, 1] - prompt_lengths])
    first, prompt, prompt_start, completion_shift = rows.repeat_interleave(lengths, dim=1)
    positions = torch.arange(len(ids), device=ids.device) - first
    places = positions + torch.where(positions < prompt, prompt_start, completion_shift)
    # Rows with a shared prompt write equal values to its places.
    packed = ids.new_empty(int(places.max()) + 1)
    return PackedRows(
        ids=packed.scatter(0, places, ids),
        positions=packed.scatter(0, places, positions),
        predictors=places[sampled - 1],
        branches=tuple(branch for _, branch in branches),
    )


def _branches(
    prompts: Sequence[int], prompt_lengths: Sequence[int], lengths: Sequence[int]
) -> list[tuple[list[int], Branches]]:
    """Return the rows and slices of each prompt, in the order of the prompts' first rows."""
    rows_of: dict[int, list[int]] = {}
    for row, number in enumerate(prompts):
        rows_of.setdefault(number, []).append(row)
    branches, end = [], 0
    for rows in rows_of.values():
        prompt = slice(end, end + prompt_lengths[rows[0]])
        ends = list(accumulate((lengths[row] - prompt_lengths[row] for row in rows), initial=prompt.stop))
        branches.append((rows, Branches(prompt, tuple(slice(*pair) for pair in pairwise(ends)))))
        end = ends[-1]
    return branches
