"""Draws of tasks that treat all groups alike."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence


def draw_evenly(candidates: Mapping[str, Sequence[str]], size: int, seed: int, setting: str) -> tuple[str, ...]:
    """Draw ids, with counts per group that differ by at most one where every group has enough.

    Args:
        candidates: the ids of each group, in the order of the result; the first groups get one id more if ``size`` is
            not divisible.
        size: the number of ids; all are drawn if there are fewer.
        seed: the seed of the draw.
        setting: the name of the setting, part of the seed.
    """
    shares = dict.fromkeys(candidates, 0)
    left = min(size, sum(map(len, candidates.values())))
    while left:
        for group in [group for group in shares if shares[group] < len(candidates[group])][:left]:
            shares[group] += 1
            left -= 1
    drawn: list[str] = []
    for group, ids in candidates.items():
        chosen = set(random.Random(f"{setting} {seed} {group}").sample(ids, shares[group]))
        drawn.extend(name for name in ids if name in chosen)
    return tuple(drawn)
