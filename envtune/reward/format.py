"""Format and tool-execution rewards, and their sum for stage 1 (paper, section 3.3, arXiv 2510.10197)."""

from __future__ import annotations

from typing_extensions import override

from envtune.reward.breakdown import Reward, RewardBreakdown, RewardPart
from envtune.trajectory import FormatError, ToolCalls, Trajectory


def format_score(trajectory: Trajectory) -> float:
    """Return R_format = (N - C_format) / N, the share of responses in the protocol, in [0, 1]; 0 if N = 0."""
    steps = trajectory.steps
    if not steps:
        return 0.0
    return sum(not isinstance(step.action, FormatError) for step in steps) / len(steps)


def tool_score(trajectory: Trajectory) -> float:
    """Return R_tool = C_correct / (C_correct + C_error), the share of successful calls, in [0, 1]; 0 without calls."""
    results = trajectory.results
    return sum(result.ok for result in results) / len(results) if results else 0.0


def tried_call(trajectory: Trajectory) -> bool:
    """Return I_tool: whether at least one response is a tool call in the protocol, whatever became of it."""
    return any(isinstance(step.action, ToolCalls) for step in trajectory.steps)


class FormatReward(Reward):
    """R = I_tool * (R_format + R_tool), in [0, 2], for stage 1.

    I_tool, the weight of both parts, is 1 if at least one tool call was tried and 0 otherwise, so that answering
    without acting earns nothing.
    """

    @override
    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        tried = float(tried_call(trajectory))
        return RewardBreakdown(
            (
                RewardPart("format", format_score(trajectory), tried),
                RewardPart("tool", tool_score(trajectory), tried),
            )
        )
