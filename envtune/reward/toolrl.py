"""The reward of the ToolRL baseline: format and similarity to the ground truth's calls (arXiv 2504.13958, section 3.3).

For one turn with ground-truth calls G and the agent's calls P of that turn:

    r_name  = |names(G) & names(P)| / |names(G) | names(P)|                      in [0, 1]
    r_param = sum over matched (g, p) of |keys(g) & keys(p)| / |keys(g) | keys(p)|   in [0, |G|]
    r_value = sum over matched (g, p) of the number of g's arguments that p gives equally   in [0, sum |keys(g)|]
    R_correct = 6 * R_max / S_max - 3,   R_max = max over matchings of the sum, S_max = 1 + |G| + sum |keys(g)|

ToolRL scores one response to a prompt. Its extension to episodes of several turns is defined here:

- P are all calls of the turn's steps, including failed ones; a superfluous call only lowers r_name.
- Only calls of the same tool are matched, each at most once. Two calls without arguments have equal parameters.
- R_correct is the mean over the turns with ground truth. Turns without ground truth are left out, because ToolRL does
  not score correctness if no call is due; without other turns, R_correct is 0.
- A turn that was never reached counts as one with ground truth and without calls: -3.
- R_format is the share of responses in the protocol (ToolRL: 0 or 1 for its single response).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from envtune.reward.breakdown import Reward, RewardBreakdown, RewardPart
from envtune.reward.format import format_score
from envtune.task import ToolCall
from envtune.trajectory import ToolCalls, Trajectory, Turn

LOWEST, HIGHEST = -3.0, 3.0


class ToolRLReward(Reward):
    """R = R_format + R_correct, in [-3, 4]."""

    @override
    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown(
            (
                RewardPart("format", format_score(trajectory)),
                RewardPart("correct", correctness(trajectory)),
            )
        )


def correctness(trajectory: Trajectory) -> float:
    """Return R_correct of an episode, in [-3, 3]."""
    played = [turn_correctness(turn) for turn in trajectory.turns if turn.ground_truth]
    scores = played + [LOWEST] * (trajectory.turn_count - len(trajectory.turns))
    return sum(scores) / len(scores) if scores else 0.0


def turn_correctness(turn: Turn) -> float:
    """Return R_correct of a turn with ground truth, in [-3, 3]."""
    wanted = turn.ground_truth
    made = [call for step in turn.steps if isinstance(step.action, ToolCalls) for call in step.action.calls]
    names = _jaccard({call.name for call in wanted}, {call.name for call in made})
    highest = 1 + len(wanted) + sum(len(call.arguments) for call in wanted)
    matched = best_matching([[_likeness(one, other) for other in made] for one in wanted])
    return (HIGHEST - LOWEST) * (names + matched) / highest + LOWEST


def best_matching(scores: Sequence[Sequence[float]]) -> float:
    """Return the largest sum of non-negative ``scores[row][column]`` with each row and column used at most once.

    The matching grows row by row along the best alternating path (Hungarian method by relaxation, exact).
    """
    columns = len(scores[0]) if scores else 0
    owner: dict[int, int] = {}
    total = 0.0
    for start in range(len(scores)):
        gain, path = _best_path(scores, owner, start, columns)
        total += gain
        for row, column in path:
            owner[column] = row
    return total


def _best_path(
    scores: Sequence[Sequence[float]], owner: dict[int, int], start: int, columns: int
) -> tuple[float, list[tuple[int, int]]]:
    """Return the largest gain from assigning row ``start`` a column, and the (row, column) pairs to set for it.

    The path ends at a free column, or at a row that gives up its column.
    """
    reached: dict[int, tuple[float, list[tuple[int, int]]]] = {start: (0.0, [])}
    best: tuple[float, list[tuple[int, int]]] = (0.0, [])
    for _ in range(len(owner) + 1):
        for row, (gain, path) in list(reached.items()):
            for column in range(columns):
                taken = gain + scores[row][column]
                pairs = [*path, (row, column)]
                holder = owner.get(column)
                if holder is None:
                    best = max(best, (taken, pairs), key=lambda found: found[0])
                    continue
                left = taken - scores[holder][column]
                if left > reached.get(holder, (float("-inf"),))[0] + 1e-12:
                    reached[holder] = (left, pairs)
                    best = max(best, (left, pairs), key=lambda found: found[0])
    return best


def _likeness(wanted: ToolCall, made: ToolCall) -> float:
    """Return r_param + r_value of a pair; 0 for calls of different tools."""
    if wanted.name != made.name:
        return 0.0
    equal = sum(key in made.arguments and _equal(value, made.arguments[key]) for key, value in wanted.arguments.items())
    return _jaccard(set(wanted.arguments), set(made.arguments)) + equal


def _equal(one: Any, other: Any) -> bool:
    """Compare as JSON values: 1 equals 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0
