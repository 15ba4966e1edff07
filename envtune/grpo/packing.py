"""Rows of token ids laid end to end as one sequence, in which a prompt that several rows share stands once.

    row 0: prompt a, completion 0     row 1: prompt a, completion 1     row 2: prompt b, completion 2
    packed: prompt a | completion 0 | completion 1 | prompt b | completion 2

Every token is computed once, forwards and backwards, and nothing is padded. Who attends to whom is told by
``branches``; the attention itself lives with the model. "Completion" here is all that follows the prompt, observations
included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Branches:
    """One prompt and what follows it in each of its rows, as places in the packed sequence.

    A prompt token attends to itself and those before it; a completion's token also to the whole prompt, and to no
    other completion.
    """

    prompt: slice
    completions: tuple[slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """N tokens of B rows.

    ``positions`` is each token's place in its own row. ``predictors`` names, for each of the T sampled tokens in
    row-major order, the packed place whose hidden state predicts it: for a row's first one, the end of the prompt.
    """

    ids: Int[Tensor, "N"]
    positions: Int[Tensor, "N"]
    predictors: Int[Tensor, "T"]
    branches: tuple[Branches, ...]


def pack(
    ids: Int[Tensor, "B L"],
    lengths: Int[Tensor, "B"],
    prompts: Int[Tensor, "B"],
    prompt_lengths: Int[Tensor, "B"],
    completion_mask: Bool[Tensor, "B L"],
) -> PackedRows:
    """Packs rows of ``lengths`` real tokens.

    Rows with the same number in ``prompts`` begin with the same ``prompt_lengths`` tokens, at least one.
    ``completion_mask`` is True on sampled tokens, which all lie behind the prompt.
    """
    branches = _branches(prompts.tolist(), prompt_lengths.tolist(), lengths.tolist())
    starts = {
        row: (branch.prompt.start, completion.start)
        for rows, branch in branches
        for row, completion in zip(rows, branch.completions, strict=True)
    }
    prompt_starts, completion_starts = torch.tensor([starts[row] for row in range(len(ids))], device=ids.device).T
    column = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    behind = column - prompt_lengths[:, None]
    places = torch.where(behind < 0, column + prompt_starts[:, None], behind + completion_starts[:, None])
    real = column < lengths[:, None]
    # A place in a shared prompt is written by each of its rows, always with the same value.
    packed = ids.new_empty(int(places[real].max()) + 1)
    return PackedRows(
        ids=packed.scatter(0, places[real], ids[real]),
        positions=packed.scatter(0, places[real], column[real]),
        predictors=places[:, :-1][completion_mask[:, 1:]],
        branches=tuple(branch for _, branch in branches),
    )


def _branches(
    prompts: Sequence[int], prompt_lengths: Sequence[int], lengths: Sequence[int]
) -> list[tuple[list[int], Branches]]:
    """The rows of each prompt, in the order of their first row, and where their parts come to lie."""
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
